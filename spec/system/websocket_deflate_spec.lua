--- permessage-deflate, RFC 7692, through real sockets: what is agreed on, contexts, windows, bombs.

local server = require "spec.support.server"
local websocket = require "spec.support.websocket"
local ws_c = require "spec.ws"

local APP = [[
local aq = require "luaqueduct"
local function echo(ws, data, is_binary) ws:send(data, is_binary) end
local router = aq.router()
router:get("/", aq.websocket { message = echo })
router:get("/takeover", aq.websocket { message = echo, deflate = { context_takeover = true } })
router:get("/narrow", aq.websocket { message = echo,
  deflate = { context_takeover = true, window_bits = 10 } })
router:get("/off", aq.websocket { message = echo, deflate = false })
router:get("/size", aq.websocket { max_message = "1M",
  message = function(ws, data) ws:send(tostring(#data)) end })
router:get("/flood", aq.websocket { deflate = { context_takeover = true }, max_buffered = "1M",
  message = function(ws, data)
    math.randomseed(7)
    for i = 1, tonumber(data) do
      local parts = {}
      for k = 1, 200 do parts[k] = math.random(1 << 40) end
      ws:send(i .. table.concat(parts))
    end
  end })
return router
]]

local TEXT = ("It is said twice, and so it is said twice. "):rep(10)

local function noise(len)
  local bytes = {}
  math.randomseed(len)
  for i = 1, len do bytes[i] = string.char(math.random(0, 127)) end
  return table.concat(bytes)
end

describe("permessage-deflate", function()
  local app

  setup(function() app = server.start { source = APP } end)
  teardown(function() app:stop() end)

  it("is there only when both sides want it", function()
    for path, offer in pairs { ["/"] = false, ["/off"] = "permessage-deflate" } do
      local ws <close> = websocket.open(app, path, { offer = offer or nil })
      assert.is_nil(ws.deflate)
      ws:text(TEXT)
      local frame = assert(ws:frame())
      assert.is_false(frame.is_deflated)
      assert.are.equal(TEXT, frame.payload)
    end
  end)

  for _, case in ipairs {
    -- path, offer, the answer's parameters (false: none)
    { "/", "permessage-deflate",
      { server_no_context_takeover = true, client_no_context_takeover = true } },
    { "/takeover", "permessage-deflate", {} },
    { "/takeover", "permessage-deflate; server_no_context_takeover",
      { server_no_context_takeover = true } },
    { "/takeover", "permessage-deflate; client_no_context_takeover",
      { client_no_context_takeover = true } },
    { "/takeover", "permessage-deflate; server_max_window_bits=9", { server_max_window_bits = 9 } },
    { "/takeover", "permessage-deflate; client_max_window_bits", {} },
    { "/narrow", "permessage-deflate; client_max_window_bits",
      { server_max_window_bits = 10, client_max_window_bits = 10 } },
    { "/narrow", "permessage-deflate; client_max_window_bits=9; server_max_window_bits=15",
      { server_max_window_bits = 10, client_max_window_bits = 9 } },
    { "/takeover", "x-webkit-deflate-frame, permessage-deflate; client_max_window_bits", {} },
    { "/takeover", "permessage-deflate; unknown, permessage-deflate", {} },
    { "/takeover", "permessage-deflate; server_max_window_bits=16", false },
    { "/takeover", "permessage-deflate; unknown", false },
  } do
    it(("is agreed on: %s at %s"):format(case[2], case[1]), function()
      local ws <close> = websocket.open(app, case[1], { offer = case[2] })

      if not case[3] then
        assert.is_nil(ws.deflate)
        ws:text(TEXT)
        assert.are.equal(TEXT, ws:message())
        return
      end
      for name, value in pairs(case[3]) do assert.are.equal(value, ws.deflate[name], name) end
      for _, name in ipairs { "server_no_context_takeover", "client_no_context_takeover" } do
        assert.are.equal(case[3][name], ws.deflate[name], name)
      end
      for i = 1, 5 do
        local data = TEXT .. noise(5000 * i) .. TEXT .. i
        ws:deflated(data)
        assert.are.equal(data, ws:message())
        ws:text(data) -- one that is not deflated may come between
        assert.are.equal(data, ws:message())
      end
    end)
  end

  it("keeps the server's window from message to message, when agreed on", function()
    local sizes = {}

    for _, path in ipairs { "/", "/takeover" } do
      local ws <close> = websocket.open(app, path, { offer = "permessage-deflate" })
      local data = noise(2000)
      for i = 1, 2 do
        ws:text(data)
        local frame = assert(ws:frame())
        assert.is_true(frame.is_deflated)
        assert.are.equal(data, ws.inflater:inflate(frame.payload, 1 << 20))
        sizes[path .. i] = #frame.payload
      end
    end

    assert.are.equal(sizes["/1"], sizes["/2"])
    assert.is_true(sizes["/takeover2"] < sizes["/takeover1"] / 10)
  end)

  it("leaves short messages as they are", function()
    local ws <close> = websocket.open(app, "/", { offer = "permessage-deflate" })

    ws:text(("x"):rep(127))
    assert.is_false(assert(ws:frame()).is_deflated)
    ws:text(("x"):rep(128))
    assert.is_true(assert(ws:frame()).is_deflated)
  end)

  it("takes a message in fragments, of which only the first is marked", function()
    local ws <close> = websocket.open(app, "/takeover", { offer = "permessage-deflate" })
    local bytes = ws_c.deflater(15):deflate(TEXT)

    ws:frames({ "text", bytes:sub(1, 7), more = true, rsv = 0x40 }, { "ping" },
      { "cont", "", more = true }, { "cont", bytes:sub(8) })
    assert.are.equal(10, assert(ws:frame()).opcode)
    assert.are.equal(TEXT, ws:message())

    ws:frames({ "text", "x", more = true }, { "cont", "y", rsv = 0x40 })
    assert.are.equal("close 1002", ws:ending())
  end)

  for name, case in pairs {
    ["bytes that are no deflate"] = { "\xff\xff\xff", 1007 },
    ["text that is not UTF-8"] = { ws_c.deflater(15):deflate(("\xff"):rep(200)), 1007 },
  } do
    it("ends with 1007 for " .. name, function()
      local ws <close> = websocket.open(app, "/", { offer = "permessage-deflate" })

      ws:frames { "text", case[1], rsv = 0x40 }

      assert.are.equal("close " .. case[2], ws:ending())
    end)
  end

  it("ends with 1002 for a control frame that is deflated", function()
    local ws <close> = websocket.open(app, "/", { offer = "permessage-deflate" })

    ws:frames { "ping", "x", rsv = 0x40 }

    assert.are.equal("close 1002", ws:ending())
  end)

  it("bounds a bomb by what it would be", function()
    local bomb = ws_c.deflater(15):deflate(("\0"):rep(64 << 20))
    assert.is_true(#bomb < 100000)
    local before = app:rss()

    for _ = 1, 20 do
      local ws <close> = websocket.open(app, "/size", { offer = "permessage-deflate" })
      ws:frames { "binary", bomb, rsv = 0x40 }
      assert.are.equal("close 1009", ws:ending())
    end

    local grown = app:rss() - before
    assert.is_true(grown < (os.getenv("LQ_BUILD"):find "asan" and 64 or 8) << 20, grown .. " bytes")
  end)

  it("takes one that is just not too large", function()
    local ws <close> = websocket.open(app, "/size", { offer = "permessage-deflate" })

    ws:deflated(("x"):rep(1 << 20))
    assert.are.equal(tostring(1 << 20), ws:message())
    ws:deflated(("x"):rep((1 << 20) + 1))

    assert.are.equal("close 1009", ws:ending())
  end)

  it("keeps its context over a thousand messages of all sizes", function()
    local ws <close> = websocket.open(app, "/narrow",
      { offer = "permessage-deflate; client_max_window_bits" })

    for i = 1, 1000 do
      local data = (TEXT .. i):rep(i % 7):sub(1, i * 3) .. noise(i % 300)
      ws:deflated(data)
      assert.are.equal(data, ws:message())
    end
  end)

  it("counts what is deflated as what stands unsent", function()
    local ws <close> = websocket.open(app, "/flood",
      { offer = "permessage-deflate", receive_buffer = 4096 })

    ws:text "20000"

    local how = ws:ending()
    assert.is_true(how == "eof" or how == "reset" or how == "close 1008", how)
  end)
end)
