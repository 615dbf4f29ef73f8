--- How a WebSocket is opened, and what is refused: RFC 6455, section 4.

local client = require "spec.support.client"
local server = require "spec.support.server"
local websocket = require "spec.support.websocket"
local frames = require "spec.support.ws"

local APP = [[
local aq = require "luaqueduct"
local Guard = {}
function Guard:handle(req)
  if req.query.token ~= "right" then return aq.unauthorized "who are you?" end
  req.context.user = "ada"
  return req
end

local function echo(ws, data, is_binary) ws:send(data, is_binary) end

local router = aq.router()
router:get("/", function() return "plain" end)
router:get("/echo", aq.websocket { message = echo })
router:get("/deaf", aq.websocket {})
router:get("/guarded/:room"):link(Guard):link(aq.websocket {
  open = function(ws, req)
    ws.context.user = req.context.user
    ws:send(("%s in %s from %s %s"):format(req.context.user, req.params.room, ws.remote_address,
      tostring(ws.remote_address == req.remote_address)))
  end,
  message = function(ws) ws:send(ws.context.user) end,
})
local kept
router:get("/late", aq.websocket {
  open = function(ws, req) kept = req end,
  message = function(ws) ws:send(tostring(select(2, pcall(function() return kept.path end)))) end,
})
router:get("/slow", aq.websocket {
  open = function(ws) ws:send "before" aq.sleep(0.05) ws:send "after" end, message = echo })
router:get("/broken", aq.websocket { message = echo, open = function()
  local kept <close> = setmetatable({}, { __close = function() collectgarbage() end })
  error "of open"
end })
router:get("/chat", aq.websocket { protocols = { "v2.chat", "v1.chat" }, message = echo })
router:get("/origin", aq.websocket { origins = { "https://a.example" }, message = echo })
router:get("/id", aq.websocket { message = function(ws)
  ws:send(ws.id .. " " .. ws.remote_address .. " " .. tostring(ws)) end })
router:get("/frozen", aq.websocket { message = function(ws)
  ws:send(tostring(select(2, pcall(function() ws.user = 1 end)))) end })
return router
]]

describe("the handshake of a WebSocket", function()
  local app

  setup(function() app = server.start { source = APP, workers = 2 } end)
  teardown(function() app:stop() end)

  it("ends HTTP and begins frames", function()
    local ws <close> = websocket.open(app, "/echo")

    ws:text "hello"

    assert.are.equal("hello", ws:message())
    assert.are.equal("close 1000", ws:bye(1000))
  end)

  local refusals = {
    { "without Upgrade", 426, omit = { Upgrade = true } },
    { "with another protocol", 426, omit = { Upgrade = true }, headers = { { "Upgrade", "h2c" } } },
    { "without Connection: Upgrade", 400, omit = { Connection = true } },
    { "without a version", 400, omit = { ["Sec-WebSocket-Version"] = true } },
    { "of another version", 426, omit = { ["Sec-WebSocket-Version"] = true },
      headers = { { "Sec-WebSocket-Version", "8" } } },
    { "without a key", 400, omit = { ["Sec-WebSocket-Key"] = true } },
    { "with a key that is too short", 400, omit = { ["Sec-WebSocket-Key"] = true },
      headers = { { "Sec-WebSocket-Key", "AAAA" } } },
    { "with two keys", 400, headers = { { "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==" } } },
    { "of HTTP/1.0", 400, version = "1.0", headers = { { "Host", "a" } }, omit = { Host = true } },
    { "with a body", 400, headers = { { "Content-Length", "0" }, { "Content-Length", "0" } } },
    { "with malformed extensions", 400, offer = "permessage-deflate; =" },
    { "by POST", 405, method = "POST", headers = { { "Content-Length", "0" } } },
  }
  for _, case in ipairs(refusals) do
    it(("is refused %s: %d"):format(case[1], case[2]), function()
      local res = websocket.refused(app, "/echo", case)

      assert.are.equal(case[2], res.status)
      assert.is_nil(res:header "sec-websocket-accept")
      if case[2] == 426 then
        assert.are.equal("13", res:header "sec-websocket-version")
        assert.are.equal("websocket", res:header "upgrade")
        assert.are.equal("Upgrade", res:header "connection")
      elseif case[2] == 405 then
        assert.is_truthy(res:header("allow"):find("GET", 1, true))
      end
    end)
  end

  it("is refused with a body that has bytes", function()
    local conn <close> = app:connect()

    conn:send(websocket.request("/echo", { headers = { { "Content-Length", "3" } } }) .. "abc")

    assert.are.equal(400, assert(conn:read_response()).status)
  end)

  it("leaves HTTP as it was when it is refused", function()
    local conn <close> = app:connect()

    conn:send(websocket.request("/echo", { omit = { ["Sec-WebSocket-Key"] = true } }))
    assert.are.equal(400, assert(conn:read_response()).status)

    assert.are.equal("plain", conn:get("/").body)
  end)

  it("takes frames that come in the same segment", function()
    local early = frames.frames { { "text", "one" }, { "binary", "two" },
      { "text", "thr", more = true } }
    local ws <close> = websocket.open(app, "/echo", { early = early })

    assert.are.equal("one", ws:message())
    assert.are.same({ "two", true }, { ws:message() })
    ws:frames { "cont", "ee" }
    assert.are.equal("three", ws:message())
  end)

  it("takes what comes byte by byte", function()
    local ws <close> = websocket.open(app, "/echo",
      { early = frames.frame { "text", "late" }, piece = 1 })

    assert.are.equal("late", ws:message())
  end)

  it("comes behind another request of the connection", function()
    local conn <close> = app:connect()
    assert.are.equal("plain", conn:get("/").body)

    conn:send(websocket.request "/echo")

    local head = assert(conn:read_head())
    assert.are.equal(101, head.status)
  end)

  it("takes what looks like a request behind it as frames, and ends", function()
    local ws <close> = websocket.open(app, "/echo", { early = client.format("GET", "/") })

    assert.are.equal("close 1002", ws:ending())
  end)

  it("comes behind a request that is not answered yet", function()
    local conn <close> = app:connect()

    conn:send(client.format("GET", "/") .. websocket.request "/echo")

    assert.are.equal("plain", assert(conn:read_response()).body)
    local res = assert(conn:read_head())
    assert.is_true(res.status == 101 or res.status == 400, tostring(res.status))
  end)

  it("passes the links in front of it, and their context", function()
    assert.are.equal(401, websocket.refused(app, "/guarded/hall").status)

    local ws <close> = websocket.open(app, "/guarded/hall?token=right")

    assert.are.equal("ada in hall from 127.0.0.1 true", ws:message())
    ws:text "who"
    assert.are.equal("ada", ws:message())
  end)

  it("does not lend the request any longer than to open", function()
    local ws <close> = websocket.open(app, "/late")

    ws:text "now"

    assert.is_truthy(ws:message():find("app.lua:", 1, true))
  end)

  it("lets messages wait for open", function()
    local ws <close> = websocket.open(app, "/slow", { early = frames.frame { "text", "mine" } })

    assert.are.same({ "before", "after", "mine" }, ws:messages "mine")
  end)

  it("ends with 1011 when open fails", function()
    local ws <close> = websocket.open(app, "/broken")

    assert.are.equal("close 1011", ws:ending())
    app:wait_log "of open"
  end)

  it("agrees on the client's first subprotocol that is one of ours", function()
    local both <close> = websocket.open(app, "/chat",
      { headers = { { "Sec-WebSocket-Protocol", "v9.chat, v1.chat" },
        { "Sec-WebSocket-Protocol", "v2.chat" } } })
    local none <close> = websocket.open(app, "/chat",
      { headers = { { "Sec-WebSocket-Protocol", "other" } } })
    local silent <close> = websocket.open(app, "/chat")

    assert.are.equal("v1.chat", both.answer:header "sec-websocket-protocol")
    assert.is_nil(none.answer:header "sec-websocket-protocol")
    assert.is_nil(silent.answer:header "sec-websocket-protocol")
  end)

  it("refuses pages of other origins", function()
    local function from(origin) return { headers = { { "Origin", origin } } } end

    for _, origin in ipairs { "https://b.example", "http://a.example", "https://a.example.evil",
        "null", "" } do
      assert.are.equal(403, websocket.refused(app, "/origin", from(origin)).status)
    end
    websocket.open(app, "/origin", from "https://a.example"):close()
    websocket.open(app, "/origin"):close() -- a program's
    websocket.open(app, "/echo", from "https://b.example"):close()
  end)

  it("gives each connection an id of its own", function()
    local seen = {}

    for _ = 1, 20 do
      local ws <close> = websocket.open(app, "/id")
      ws:text ""
      local id, address, text = ws:message():match "^(%S+) (%S+) (.+)$"
      assert.is_nil(seen[id])
      seen[id] = true
      assert.are.equal("127.0.0.1", address)
      assert.are.equal("luaqueduct.WebSocket (open)", text)
    end
  end)

  it("gives an object that is not changed", function()
    local ws <close> = websocket.open(app, "/frozen")

    ws:text ""

    assert.is_truthy(ws:message():find("a connection cannot be changed (field 'user')", 1, true))
  end)
end)

describe("the address of a WebSocket behind a proxy", function()
  it("is the client's, when the proxy is trusted", function()
    for _, case in ipairs { { "127.0.0.0/8", "192.0.2.7" }, { "10.0.0.0/8", "127.0.0.1" } } do
      local app <close> = server.start { source = APP, args = { "--trust-proxy", case[1] } }
      local ws <close> = websocket.open(app, "/id",
        { headers = { { "X-Forwarded-For", "192.0.2.7" } } })

      ws:text ""

      assert.are.equal(case[2], ws:message():match "^%S+ (%S+)")
    end
  end)
end)

describe("aq.websocket", function()
  for _, case in ipairs {
    { "{ masage = print }", "unknown option 'masage'" },
    { "{ message = 1 }", "the option 'message' must be a function" },
    { "{ max_message = 0 }", "the option 'max_message' is 0" },
    { "{ ping_interval = -1 }", "the option 'ping_interval' is -1" },
    { "{ deflate = { window_bits = 8 } }", "deflate.window_bits are from 9 to 15, not 8" },
    { "{ deflate = { bits = 8 } }", "unknown option 'deflate.bits'" },
    { "{ deflate = 1 }", "the option 'deflate' is true, false or" },
    { "{ protocols = {} }", "the option 'protocols' must be a list of strings" },
    { "{ origins = { 1 } }", "the option 'origins' must be a list of strings" },
    { "nil", "the options must be a table" },
  } do
    it("raises where it was called: " .. case[1], function()
      local source = "local aq = require 'luaqueduct'\nlocal c = aq.websocket(%s)\nreturn c"
      local result = server.fail { source = source:format(case[1]) }

      assert.are.equal(1, result.status)
      assert.is_truthy(result.stderr:find("app.lua:2: " .. case[2], 1, true), result.stderr)
    end)
  end

  it("may be the whole app", function()
    local app <close> = server.start {
      source = [[return require("luaqueduct").websocket {
        message = function(ws, s) ws:send(s) end
      }]] }
    local ws <close> = websocket.open(app, "/any")

    ws:text "x"

    assert.are.equal("x", ws:message())
  end)
end)
