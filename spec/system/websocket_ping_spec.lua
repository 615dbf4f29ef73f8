--- WebSockets that stay: pings, peers that are dead, and what an idle one costs.

local proc = require "spec.proc"
local scale = require "spec.support.scale"
local server = require "spec.support.server"
local wait = require "spec.support.wait"
local websocket = require "spec.support.websocket"

local APP = [[
local aq = require "luaqueduct"
local function echo(ws, data) ws:send(data) end
local router = aq.router()
router:get("/ping", aq.websocket { ping_interval = 0.3, message = echo,
  close = function(_, code) io.stderr:write("closed " .. code .. "\n") end })
router:get("/ping/busy", aq.websocket { ping_interval = 0.3,
  message = function(ws) aq.sleep(3) ws:send "done" end })
router:get("/bare", aq.websocket { ping_interval = 0, deflate = false, message = echo })
router:get("/memory", function()
  collectgarbage()
  return tostring(collectgarbage "count" * 1024 // 1)
end)
return router
]]

describe("a WebSocket that stays", function()
  local app

  before_each(function() app = server.start { source = APP } end)
  after_each(function() app:stop() end)

  it("is pinged, and dead when it does not answer", function()
    local deaf <close> = websocket.open(app, "/ping")
    local began = proc.now()
    local ping = assert(deaf:frame())

    assert.are.same({ 9, "" }, { ping.opcode, ping.payload })
    assert.is_true(proc.now() - began > 0.2)
    local frame, err = deaf:frame()
    assert.is_nil(frame)
    assert.is_true(err == "eof" or err == "reset", err)
    assert.is_true(proc.now() - began < 4) -- it is looked at once a second
    app:wait_log "closed 1006"
  end)

  it("is pinged, and lives as long as it answers", function()
    local alive <close> = websocket.open(app, "/ping")

    for _ = 1, 4 do
      assert.are.equal(9, assert(alive:frame()).opcode)
      alive:frames { "pong" }
    end
    alive:text "here"
    assert.are.equal("here", alive:message())
  end)

  it("is not dead while its handler waits and it is not read", function()
    local busy <close> = websocket.open(app, "/ping/busy")

    busy:text "go"

    assert.are.equal("done", busy:message())
    busy:text "again"
    assert.are.equal("done", busy:message())
  end)

  it("costs no coroutine and little memory while it is idle", function()
    local many, amount = {}, scale(200, 2000)
    local before = tonumber(app:get("/memory").body)

    for i = 1, amount do
      many[i] = websocket.open(app, "/bare")
      many[i]:text "hello"
      assert.are.equal("hello", many[i]:message())
    end

    local each = (tonumber(app:get("/memory").body) - before) / amount
    assert.is_true(each < 600, each .. " bytes of Lua each") -- a coroutine has a thousand
    for _, one in ipairs(many) do one:close() end
    wait.till(function() return tonumber(app:get("/memory").body) - before < amount * 100 end)
  end)
end)
