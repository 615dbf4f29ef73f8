--- Threads that nobody can end: at three of them the runtime is started again.

local client = require "spec.support.client"
local load = require "spec.support.load"
local proc = require "spec.proc"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

local APP = [[
local aq = require "luaqueduct"
local router = aq.router()
router:get("/", function() return aq.instance.id .. " " .. aq.instance.restarts end)
router:get("/c", function()
  return tostring(("a"):rep(60000):find((".-"):rep(20) .. "b"))
end)
router:get("/slow", function()
  aq.sleep(1.5)
  return "slow"
end)
return router
]]

local function start(workers, ...)
  return server.start { source = APP, workers = workers, args = { "--busy-timeout", "0.2", ... } }
end

local function ask(conn, path)
  conn:send(client.format("GET", path))
  return (conn:read_response())
end

--- Gets one worker stuck, not the one of number `spared`, and waits until it has been given up.
local function lose_one(app, spared)
  local conn

  wait.till(function()
    if conn then conn:close() end
    conn = app:connect()
    local res = ask(conn, "/")
    return res and res.body:match "^%d+" ~= spared
  end)
  assert.is_nil(ask(conn, "/c"))
  conn:close()
end

describe("threads that are stuck", function()
  it("are ended with their runtime when they are three, and nobody is refused", function()
    local app <close> = start(2)
    local runtime = app:runtime()
    local steady <close> = load.start(app, "steady")

    for _ = 1, 3 do lose_one(app) end
    app:wait_log "3 workers are lost: the runtime drains and is started again"
    app:wait_log "listening again on http://127.0.0.1:"

    local results = steady:stop()
    assert.are.equal(0, results.refused)
    assert.are.equal(0, results.late)
    -- What a stuck worker has begun with ends; what only waits for it goes to another one.
    assert.is_true(results.cut <= load.limit(10, 30), results.cut .. " cut")
    assert.matches("^%d 0$", app:get("/").body)
    wait.till(function() return app:runtime() ~= runtime end)
    app:stop { status = 0 }
  end)

  it("do not cut what others have under way", function()
    local app <close> = start(3)
    local conn <close> = app:connect()
    local id = ask(conn, "/").body:match "^%d+"

    lose_one(app, id)
    lose_one(app, id)
    local sent = proc.now()
    conn:send(client.format("GET", "/slow"))
    lose_one(app, id)
    app:wait_log "listening again on"

    -- The next runtime serves beside it.
    assert.matches("^%d 0$", app:get("/").body)
    assert.is_true(proc.now() - sent < 1.5)
    assert.are.equal("slow", assert(conn:read_response()).body)
    app:stop { status = 0 }
  end)

  it("may be any number where there is no respawning", function()
    local app <close> = start(4, "--no-respawn")

    for _ = 1, 3 do lose_one(app) end

    assert.matches("^%d 0$", app:get("/").body)
    assert.is_nil(app:log():find("is started again", 1, true))
    app:stop { status = 0 }
  end)

  it("do not hold up a stop while it drains", function()
    local app <close> = start(3)
    local conn <close> = app:connect()
    local id = ask(conn, "/").body:match "^%d+"

    lose_one(app, id)
    lose_one(app, id)
    conn:send(client.format("GET", "/slow"))
    lose_one(app, id)
    app:wait_log "3 workers are lost"

    app:stop { status = 0 }
    assert.are.equal("slow", assert(conn:read_response()).body)
  end)
end)
