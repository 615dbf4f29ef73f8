--- A peer that takes less than it is sent: send says so, `drain` follows, and at last it is over.

local server = require "spec.support.server"
local wait = require "spec.support.wait"
local websocket = require "spec.support.websocket"

local APP = [[
local aq = require "luaqueduct"
local function say(...) io.stderr:write(table.concat({ ... }, " ") .. "\n") end
local BLOCK = ("x"):rep(16384)

-- Sends until it is told to wait.
local function fill(ws)
  local n = 0
  repeat n = n + 1 until ws:send(BLOCK) ~= true
  ws.context.n = (ws.context.n or 0) + n
  return n
end

local handlers = {
  fill = function(ws) say("filled", fill(ws)) end,
  more = function(ws)
    fill(ws)
    local ok, err
    for _ = 1, 40 do
      ok, err = ws:send(BLOCK)
      if ok ~= false then break end
    end
    say("more", tostring(ok))
  end,
  over = function(ws)
    local ok, err, n = true, nil, 0
    repeat
      ok, err = ws:send(BLOCK)
      n = n + 1
    until ok == nil
    say("over", err.code, err.message)
    ok, err = ws:send "x"
    say("after", tostring(ok), err.code)
  end,
  one = function(ws) say("one", tostring(ws:send(("x"):rep(2 << 20)))) end,
  hear = function(ws) ws:subscribe "loud" end,
  shout = function(ws)
    for i = 1, 2000 do
      aq.hub.publish("loud", BLOCK)
      if i % 10 == 0 then aq.sleep(0.001) end
    end
    ws:send "shouted"
  end,
  count = function(ws) ws:send(tostring(ws.context.n)) end,
  close = function(ws) fill(ws) ws:close(4000, "enough") end,
}
local options = {
  deflate = false,
  message = function(ws, data) handlers[data](ws) end,
  drain = function(ws)
    say "drain"
    aq.sleep(0.001)
    ws:send "drained"
  end,
  close = function(_, code) say("closed", code) end,
}
local socket = aq.websocket(options)
local router = aq.router()
router:get("/", socket)
router:get("/error", aq.websocket { deflate = false, message = options.message,
  close = options.close, drain = function() error "of drain" end })
router:get("/large", aq.websocket { deflate = false, max_buffered = "64M",
  message = options.message })
router:get("/bare", aq.websocket { deflate = false, message = options.message,
  close = options.close })
router:get("/hang", aq.websocket { deflate = false, message = options.message,
  close = options.close, drain = function(ws) say "drain hangs" aq.sleep(0.3) say "hung" end })
router:get("/stuck", aq.websocket { deflate = false, message = options.message,
  close = options.close, drain = function() say "drain hangs" aq.sleep(1000) end })
local tight = aq.websocket { deflate = false, max_buffered = "96K", message = options.message,
  close = options.close }
router:get("/tight", tight)
router:get("/tight/stats", function() return tight:stats() end)
router:get("/stats", function() return socket:stats() end)
return router
]]

local json = require "luaqueduct.core.json"

describe("a WebSocket whose peer is slow", function()
  local app, ws

  before_each(function() app = server.start { source = APP } end)
  after_each(function()
    ws:close()
    app:stop()
  end)

  local function open(path)
    ws = websocket.open(app, path or "/", { receive_buffer = 4096 })
  end

  local function count(text) return select(2, app:log():gsub(text, "")) end
  local function stats(path) return json.decode(app:get((path or "") .. "/stats").body) end

  --- Reads what `fill` has sent.
  local function read_blocks()
    local n = 0
    while true do
      local data = assert(ws:message())
      if #data ~= 16384 then return n, data end
      n = n + 1
    end
  end

  it("makes send return false, and drain follows when it has taken that", function()
    open()
    ws:text "fill"
    app:wait_log "filled"
    assert.are.equal(0, count "drain")

    local n, last = read_blocks()

    assert.are.equal("drained", last)
    assert.are.equal(n, tonumber(app:log():match "filled (%d+)"))
    assert.are.equal(1, count "drain")
  end)

  it("is told so again and again", function()
    open()

    for i = 1, 5 do
      ws:text "fill"
      local _, last = read_blocks()
      assert.are.equal("drained", last)
      assert.are.equal(i, count "drain")
    end
    local got = stats()
    assert.are.equal(0, got.slow)
    assert.are.equal(1, got.open)
    assert.are.equal(5, got.received)
  end)

  it("may be sent more nevertheless", function()
    open()
    ws:text "more"
    app:wait_log "more false"

    local n = read_blocks()

    assert.is_true(n > 40)
  end)

  it("is over beyond max_buffered, and counted", function()
    open()
    ws:text "over"

    app:wait_log "over closed"
    app:wait_log "after nil closed"
    app:wait_log "closed 1008"
    assert.are.same({ 1, 0, 1 }, { stats().slow, stats().open, stats().opened })
    local how = ws:ending()
    assert.is_true(how == "eof" or how == "reset" or how == "close 1008", how)
    assert.are.equal(1, count "closed 1008")
    assert.are.equal(0, count "drain")
  end)

  it("is over by a single message that does not fit", function()
    open()
    ws:text "one"

    app:wait_log "one nil"
    app:wait_log "closed 1008"
  end)

  it("is over by what is published, and others get all of it", function()
    open()
    ws:text "hear"
    local from <close> = websocket.open(app, "/bare")
    local other <close> = websocket.open(app, "/large")
    other:text "hear"

    from:text "shout"

    for _ = 1, 2000 do assert.are.equal(16384, #assert(other:message())) end
    assert.are.equal("shouted", from:message())
    app:wait_log "closed 1008"
    assert.are.equal(1, stats().slow)
  end)

  it("needs no drain", function()
    open "/bare"
    ws:text "fill"
    app:wait_log "filled"
    local n = tonumber(app:log():match "filled (%d+)")

    for _ = 1, n do assert.are.equal(16384, #assert(ws:message())) end
    ws:text "count"
    assert.are.equal(tostring(n), ws:message())
  end)

  it("ends with 1011 when drain fails", function()
    open "/error"
    ws:text "fill"

    assert.are.equal("close 1011", ws:ending())

    app:wait_log "error in drain of a WebSocket"
    app:wait_log "of drain"
    app:wait_log "closed 1011"
    assert.are.equal(1, count "closed 1011")
  end)

  it("is closed behind a drain that waits", function()
    open "/hang"
    ws:text "fill"
    app:wait_log "filled"
    for _ = 1, tonumber(app:log():match "filled (%d+)") do assert(ws:message()) end
    app:wait_log "drain hangs"

    ws:reset()

    app:wait_log "closed 1006"
    assert.is_true(app:log():find("hung", 1, true) < app:log():find("closed 1006", 1, true))
  end)

  it("does not hold up a stop by a drain that waits for ever", function()
    app:stop()
    app = server.start { source = APP, args = { "--drain-timeout", "0.5" } }
    open "/stuck"
    ws:text "fill"
    app:wait_log "filled"
    for _ = 1, tonumber(app:log():match "filled (%d+)") do assert(ws:message()) end
    app:wait_log "drain hangs"

    app:signal "TERM"

    assert.are.equal("close 1001", ws:ending())
    assert.are.equal(0, app:wait_exit(8))
    assert.are.equal(1, count "closed 1001")
    assert.is_nil(app:log():find("stuck (in", 1, true))
  end)

  it("gets what was sent before the close, however slowly", function()
    open()
    ws:text "close"
    local n = 0

    local data, err
    repeat
      data, err = ws:message()
      if data then n = n + 1 end
    until not data

    assert.are.equal("close 4000 enough", err)
    assert.is_true(n > 4)
    ws:frames { "close", ws.close_payload }
    app:wait_log "closed 4000"
    wait.till(function() return stats().open == 0 end)
  end)

  it("that sends pings and takes no pongs is over", function()
    open "/tight"
    ws:text "fill"
    app:wait_log "filled"

    -- Fewer than are a flood; their pongs do not fit below max_buffered.
    for _ = 1, 900 do ws:frames { "ping", ("x"):rep(125) } end

    app:wait_log "closed 1008"
    assert.are.equal(1, stats("/tight").slow)
  end)
end)
