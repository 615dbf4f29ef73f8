--- Frames, fragments and what may not be: RFC 6455, sections 5 to 8, through real sockets.

local server = require "spec.support.server"
local wait = require "spec.support.wait"
local websocket = require "spec.support.websocket"
local frames = require "spec.support.ws"

local APP = [[
local aq = require "luaqueduct"
local closes, last = 0, ""
local socket = aq.websocket {
  max_message = 100000,
  open = function(ws) ws:subscribe "all" end,
  message = function(ws, data, is_binary) ws:send(data, is_binary) end,
  close = function(ws, code, reason)
    closes = closes + 1
    last = code .. " " .. reason
  end,
}
local router = aq.router()
router:get("/", socket)
router:get("/large", aq.websocket { max_message = "8M",
  message = function(ws, data) ws:send(tostring(#data)) end })
router:get("/text", aq.websocket { message = function(ws)
  local ok, err = pcall(ws.send, ws, "\xff")
  ws:send(tostring(err))
  ws:send("\xff", true)
end })
router:get("/bad/:what", aq.websocket { message = function(ws, data)
  ws:send(tostring(select(2, pcall(load("return " .. data), ws))))
end })
router:get("/last", function()
  return closes .. " " .. last .. " " .. socket:stats().open
end)
return router
]]

describe("the frames of a WebSocket", function()
  local app, ws, closes

  setup(function() app = server.start { source = APP } end)
  teardown(function() app:stop() end)
  before_each(function()
    closes = tonumber(app:get("/last").body:match "^%d+")
    ws = websocket.open(app, "/")
  end)
  after_each(function() ws:close() end)

  --- It was told so to `close`, once, and nothing is left.
  local function assert_told(expected)
    local told
    wait.till(function()
      told = app:get("/last").body
      return told:match " (%d+)$" == "0"
    end)
    assert.are.equal(("%d %s 0"):format(closes + 1, expected), told)
  end

  it("carry messages of every length", function()
    for _, len in ipairs { 0, 1, 125, 126, 127, 65535, 65536, 100000 } do
      local data = ("x"):rep(len)
      ws:text(data)
      assert.are.same({ data, false }, { ws:message() })
      ws:binary(data)
      assert.are.same({ data, true }, { ws:message() })
    end
  end)

  it("carry any bytes as binary, and text that is UTF-8", function()
    local bytes = {}
    for i = 0, 255 do bytes[#bytes + 1] = string.char(i) end

    ws:binary(table.concat(bytes))
    ws:text "κόσμε \u{10ffff}\0"

    assert.are.equal(table.concat(bytes), ws:message())
    assert.are.equal("κόσμε \u{10ffff}\0", ws:message())
  end)

  it("may be fragments, with pings between them", function()
    ws:frames({ "text", "Hel", more = true }, { "ping", "between" }, { "cont", "", more = true },
      { "pong", "unasked" }, { "cont", "lo" })

    local pong = assert(ws:frame())
    assert.are.same({ opcode = 10, payload = "between", is_last = true, is_deflated = false }, pong)
    assert.are.same({ "Hello", false }, { ws:message() })
  end)

  it("may be cut at every byte", function()
    local bytes = frames.frames { { "text", "Hé", more = true }, { "ping", "p" }, { "cont", "llo" },
      { "binary", ("y"):rep(200) } }

    for i = 1, #bytes - 1 do
      ws.conn:send_pieces { bytes:sub(1, i), bytes:sub(i + 1) }
      assert.are.equal("p", assert(ws:frame()).payload)
      assert.are.equal("Héllo", ws:message())
      assert.are.equal(("y"):rep(200), ws:message())
    end
  end)

  it("may come byte by byte, and many at once", function()
    local bytes = frames.frames { { "text", "one" }, { "ping" }, { "text", "two" } }

    for i = 1, #bytes do ws.conn:send_pieces { bytes:sub(i, i) } end
    assert.are.same({ "one", "two" }, ws:messages "two")
    ws:raw(bytes:rep(200))
    for _ = 1, 200 do assert.are.same({ "one", "two" }, ws:messages "two") end
  end)

  it("are checked across fragments and bytes: UTF-8", function()
    ws:frames({ "text", "\xf0\x9f", more = true }, { "cont", "\x98\x80" })
    assert.are.equal("\u{1f600}", ws:message())

    ws:frames({ "text", "ab\xf0", more = true })
    ws:frames({ "cont", "\x28", more = true }) -- more would follow: it is known by now

    assert.are.equal("close 1007", ws:ending())
    assert_told "1007 "
  end)

  it("may not end within a character", function()
    ws:frames { "text", "\xe2\x82" }

    assert.are.equal("close 1007", ws:ending())
    assert_told "1007 "
  end)

  for name, list in pairs {
    ["an unmasked frame"] = { { "text", "x", unmasked = true } },
    ["a reserved bit"] = { { "text", "x", rsv = 0x20 } },
    ["RSV1 without deflate"] = { { "text", "x", rsv = 0x40 } },
    ["a reserved opcode"] = { { 3, "x" } },
    ["a reserved control opcode"] = { { 11, "x" } },
    ["a continuation of nothing"] = { { "cont", "x" } },
    ["a message within a message"] = { { "text", "x", more = true }, { "text", "y" } },
    ["a control frame in fragments"] = { { "ping", "x", more = true } },
    ["a control frame that is too long"] = { { "ping", ("x"):rep(126) } },
    ["a length that is longer than it need be"] = { { "text", "x", size = 2 } },
    ["a length with its first bit"] = { { "text", "", size = 8, len = 1 << 63 } },
    ["a close frame with half a code"] = { { "close", "\3" } },
    ["a close code that is never sent"] = { { "close", "\x03\xee" } },
    ["a close code that is reserved"] = { { "close", "\x03\xec" } },
    ["a close code that is out of range"] = { { "close", string.pack(">I2", 5000) } },
  } do
    it("end with 1002 for " .. name, function()
      ws:frames(table.unpack(list))

      assert.are.equal("close 1002", ws:ending())
      assert_told "1002 "
    end)
  end

  it("end with 1007 for a reason that is not UTF-8", function()
    ws:say_close(1000, "\xff")

    assert.are.equal("close 1007", ws:ending())
    assert_told "1007 "
  end)

  it("end with 1009 for a message that is too large, by its head alone", function()
    ws:raw(frames.frame({ "binary", "", len = 100001, size = 8 }):sub(1, 14))

    assert.are.equal("close 1009", ws:ending())
    assert_told "1009 "
  end)

  it("end with 1009 for fragments that are too large together", function()
    ws:frames({ "text", ("x"):rep(60000), more = true }, { "cont", ("x"):rep(40001) })

    assert.are.equal("close 1009", ws:ending())
    assert_told "1009 "
  end)

  it("end with 1008 for tiny fragments without end", function()
    ws:frames { "text", "", more = true }
    ws:raw(frames.frame({ "cont", "", more = true }):rep(3000))

    assert.are.equal("close 1008", ws:ending())
    assert_told "1008 "
  end)

  for _, opcode in ipairs { "ping", "pong" } do
    it(("end with 1008 for a flood of %ss"):format(opcode), function()
      ws:raw(frames.frame({ opcode, "x" }):rep(3000))

      assert.are.equal("close 1008", ws:ending())
      assert_told "1008 "
    end)
  end

  for _, code in ipairs { 1000, 1001, 1003, 1007, 1008, 1010, 1011, 1012, 3000, 4999 } do
    it(("answer a close of %d with it"):format(code), function()
      assert.are.equal("close " .. code, ws:bye(code, "so it is"))
      assert_told(code .. " so it is")
    end)
  end

  it("answer a close without a code", function()
    assert.are.equal("close", ws:bye())
    assert_told "1005 "
  end)

  it("are not looked at behind a close", function()
    ws:frames({ "text", "first" }, { "close", "\3\232" }, { "text", "late" }, { 3, "nonsense" })

    assert.are.equal("first", ws:message())
    assert.are.equal("close 1000", ws:ending())
    assert_told "1000 "
  end)

  it("come back in the order of what was sent, large and small", function()
    local large <close> = websocket.open(app, "/large")
    local data = ("0123456789"):rep(800000)

    large:frames({ "binary", data }, { "ping", "p" }, { "text", "x" })

    assert.are.equal("8000000", large:message())
    assert.are.equal("p", assert(large:frame()).payload)
    assert.are.equal("1", large:message())
  end)

  it("are text only when they are UTF-8", function()
    local text <close> = websocket.open(app, "/text")

    text:text "go"

    assert.is_truthy(text:message():find("text must be UTF-8", 1, true))
    assert.are.same({ "\xff", true }, { text:message() })
  end)

  for code, expected in pairs {
    ["(...):close(1005)"] = "a close code is 1000 or from 3000 to 4999",
    ["(...):close(2999)"] = "a close code is 1000 or from 3000 to 4999",
    ["(...):close(1 << 16 | 1000)"] = "a close code is 1000 or from 3000 to 4999",
    ["(...):close(1000, ('x'):rep(124))"] = "a reason has at most 123 bytes",
    ["(...):close(1000, '\\xff')"] = "a reason must be UTF-8",
    ["(...):send {}"] = "string expected, got table",
    ["(...):subscribe ''"] = "a topic must not be empty",
    ["(...):subscribe(('x'):rep(256))"] = "a topic has at most 255 bytes",
    ["(...):subscribe(7)"] = "string expected, got number",
    ["(...):publish('a', {})"] = "string expected, got table",
    ["getmetatable(...).__index({}, 'id')"] = "expected, got table",
  } do
    it("are spared by an error of the app: " .. code, function()
      local bad <close> = websocket.open(app, "/bad/x")

      bad:text(code)

      assert.is_truthy(bad:message():find(expected, 1, true))
    end)
  end
end)
