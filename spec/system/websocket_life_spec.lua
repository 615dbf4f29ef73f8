--- How WebSockets live and end: one message at a time, `close` once whatever ends them.

local proc = require "spec.proc"
local server = require "spec.support.server"
local websocket = require "spec.support.websocket"
local frames = require "spec.support.ws"

-- Every callback says on standard error what it does.
local APP = [[
local aq = require "luaqueduct"
local function say(...) io.stderr:write(table.concat({ ... }, " ") .. "\n") end
local running = 0
local handlers = {
  echo = function(ws, data) ws:send(data) end,
  error = function() error "of message" end,
  exit = function() os.exit() end,
  stop = function() aq.instance:stop() end,
  shut = function(ws)
    ws:send "last words"
    ws:close(4000, "enough")
    ws:close(4001, "again")
    local ok, err = ws:send "late"
    say("late", tostring(ok), err.code)
    ok, err = ws:subscribe "topic"
    say("late", tostring(ok), err.code)
    ws:unsubscribe "topic"
  end,
  sleep = function(ws, data)
    running = running + 1
    ws:send(data .. " begins " .. running)
    aq.sleep(0.05)
    running = running - 1
    ws:send(data .. " ends")
  end,
  linger = function(ws)
    local kept <close> = setmetatable({}, { __close = function() say "handler left" end })
    ws:send "lingering"
    aq.sleep(0.3)
    ws:send "done"
  end,
  hang = function(ws) ws:send "hanging" aq.sleep(1000) end,
  spin = function() while true do os.time() end end, -- the thread sanitizer keeps signals till then
}
local options = {
  open = function(ws) ws.context.n = 0 end,
  message = function(ws, data)
    ws.context.n = ws.context.n + 1
    handlers[data:match "^%a+"](ws, data)
  end,
  close = function(ws, code, reason)
    local ok, err = ws:send "too late"
    say("closed", code, "'" .. reason .. "'", ws.context.n, tostring(ok), err.code)
    aq.sleep(0.001)
    say("waited", code)
  end,
}
local router = aq.router()
router:get("/", aq.websocket(options))
router:get("/bad-close", aq.websocket { message = handlers.echo, close = function()
  error "of close" end })
return router
]]

local function count(app, text)
  local _, n = app:log():gsub(text:gsub("%p", "%%%0"), "")
  return n
end

--- `close` was called with this, and nothing else; its coroutine waited and went on.
local function assert_closed(app, expected)
  app:wait_log("closed " .. expected)
  app:wait_log "waited"
  assert.are.equal(1, count(app, "closed "), app:log())
  assert.are.equal(1, count(app, "waited "))
end

describe("a WebSocket", function()
  local app, ws

  local function start(options)
    options.source = APP
    app = server.start(options)
    ws = websocket.open(app, "/")
  end
  local function stop()
    ws:close()
    app:stop()
  end
  before_each(function() start {} end)
  after_each(stop)

  it("handles its messages one at a time, and those of others meanwhile", function()
    local other <close> = websocket.open(app, "/")

    ws:frames({ "text", "sleep a" }, { "text", "sleep b" }, { "text", "echo c" })
    assert.are.equal("sleep a begins 1", ws:message())
    other:text "sleep d"

    assert.are.equal("sleep d begins 2", other:message())
    assert.are.same({ "sleep a ends", "sleep b begins 1", "sleep b ends", "echo c" },
      (function()
        local list = ws:messages "echo c"
        list[2] = list[2]:gsub("%d", "1") -- the other may still be there
        return list
      end)())
  end)

  it("is not read while a handler waits", function()
    local narrow <close> = websocket.open(app, "/", { timeout = 0.2 })
    narrow:text "hang"
    assert.are.equal("hanging", narrow:message())
    local before = app:rss()

    local ok, err = narrow:binary(("x"):rep(64 << 20))

    assert.are.same({ nil, "timeout" }, { ok, err })
    assert.is_true(app:rss() - before < 4 << 20, (app:rss() - before) .. " bytes")
  end)

  it("ends as the client says", function()
    ws:text "echo"
    assert.are.equal("echo", ws:message())

    assert.are.equal("close 4321", ws:bye(4321, "I go"))

    assert_closed(app, "4321 'I go' 1 nil closed")
  end)

  it("ends without a word", function()
    ws:close()

    assert_closed(app, "1006 '' 0 nil closed")
  end)

  it("ends by a reset", function()
    ws:reset()

    assert_closed(app, "1006 '' 0 nil closed")
  end)

  it("is handled up to the end of what the client has sent", function()
    ws:frames({ "text", "sleep a" }, { "text", "echo b" })
    ws:half_close()

    assert.are.same({ "sleep a begins 1", "sleep a ends", "echo b" }, ws:messages "echo b")
    assert.are.equal("eof", ws:ending())
    assert_closed(app, "1006 '' 2 nil closed")
  end)

  it("ends in the middle of a message", function()
    ws:raw(frames.frame({ "text", "echo me" }):sub(1, 9))
    ws:close()

    assert_closed(app, "1006 '' 0 nil closed")
  end)

  it("is closed by the app: what was sent goes out first, what is sent then does not", function()
    ws:text "shut"

    assert.are.equal("last words", ws:message())
    assert.are.equal("close 4000 enough", ws:ending())
    assert_closed(app, "4000 'enough' 1 nil closed")
    assert.are.equal(2, count(app, "late nil closed"))
  end)

  it("is closed by the app, whatever the client says then", function()
    ws:frames({ "text", "shut" }, { "text", "echo" }, { "close", "\x0f\xa9" })

    assert.are.equal("last words", ws:message())
    assert.are.equal("close 4000 enough", ws:ending())
    assert_closed(app, "4000 'enough' 1 nil closed")
  end)

  it("does not wait for ever for the client's good-bye", function()
    ws:text "shut"
    assert.are.equal("last words", ws:message())
    assert.are.same({ 8, "\x0f\xa0enough" }, (function()
      local frame = assert(ws:frame())
      return { frame.opcode, frame.payload }
    end)())

    local began = proc.now()
    assert.are.same({ nil, "eof" }, { ws:frame { timeout = 8 } })

    assert.is_true(proc.now() - began < 7)
    assert_closed(app, "4000 'enough' 1 nil closed")
  end)

  it("ends with 1011 after an error", function()
    ws:text "error"

    assert.are.equal("close 1011", ws:ending())
    assert_closed(app, "1011 '' 1 nil closed")
    app:wait_log "error in message of a WebSocket"
    app:wait_log ": of message"
  end)

  it("ends with 1011 by the watchdog, and others go on", function()
    stop()
    start { args = { "--busy-timeout", "1" } }
    local other <close> = websocket.open(app, "/")

    ws:text "spin"

    assert.are.equal("close 1011", ws:ending())
    assert_closed(app, "1011 '' 1 nil closed")
    other:text "echo"
    assert.are.equal("echo", other:message())
  end)

  it("ends when the client leaves a handler that waits, behind it", function()
    ws:text "linger"
    assert.are.equal("lingering", ws:message())
    ws:reset()

    assert_closed(app, "1006 '' 1 nil closed")
    assert.is_true(app:log():find("handler left", 1, true) < app:log():find("closed 1006", 1, true))
  end)

  it("may fail in close, and that is that", function()
    local bad <close> = websocket.open(app, "/bad-close")
    bad:text "x"
    assert.are.equal("x", bad:message())

    assert.are.equal("close 1000", bad:bye(1000))

    app:wait_log "error in close of a WebSocket"
    app:wait_log "of close"
  end)

  it("is told 1001 by a stop, at once", function()
    local began = proc.now()

    app:signal "TERM"

    assert.are.equal("close 1001", ws:ending())
    assert.are.equal(0, app:wait_exit())
    assert.is_true(proc.now() - began < 2)
    assert_closed(app, "1001 '' 0 nil closed")
  end)

  it("is told 1001 behind the messages that have come before a stop", function()
    ws:frames({ "text", "linger" }, { "text", "echo" })
    assert.are.equal("lingering", ws:message())

    app:signal "TERM"

    assert.are.equal("done", ws:message())
    assert.are.equal("echo", ws:message())
    assert.are.equal("close 1001", ws:ending())
    assert.are.equal(0, app:wait_exit())
    assert_closed(app, "1001 '' 2 nil closed")
  end)

  it("ends with 1001 when its worker goes by itself, and the next one serves", function()
    ws:text "stop"

    assert.are.equal("close 1001", ws:ending { timeout = 15 })
    assert_closed(app, "1001 '' 1 nil closed")
    local after <close> = websocket.open(app, "/")
    after:text "echo"
    assert.are.equal("echo", after:message())
  end)

  it("ends with 1011 in what calls os.exit, with 1001 elsewhere in the worker", function()
    local other <close> = websocket.open(app, "/")

    ws:text "exit"

    assert.are.equal("close 1011", ws:ending())
    assert.are.equal("close 1001", other:ending())
    local after <close> = websocket.open(app, "/")
    after:text "echo"
    assert.are.equal("echo", after:message())
  end)
end)
