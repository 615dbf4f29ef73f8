--- The guard: a runtime that dies is started again on the same sockets.

local client = require "spec.support.client"
local load = require "spec.support.load"
local proc = require "spec.proc"
local process = require "spec.support.process"
local scale = require "spec.support.scale"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

local APP = [[
local aq = require "luaqueduct"
local router = aq.router()
router:get("/", function() return "fine" end)
router:get("/slow", function()
  aq.sleep(0.3)
  return "slow"
end)
return router
]]

local KILL, SEGV, ABRT, TERM = 9, 11, 6, 15

--- Ends the runtime by a signal and waits for the next one; returns the seconds it took.
local function kill_runtime(app, signal)
  local before, began = app:runtime(), proc.now()

  proc.kill(before, signal)
  wait.till(function()
    local runtime = app:runtime()
    return runtime ~= before and runtime ~= app.pid and not process.is_alive(before)
  end)
  assert.are.equal("fine", app:get("/").body)
  return proc.now() - began
end

describe("a runtime that dies", function()
  for name, signal in pairs { KILL = KILL, SEGV = SEGV, ABRT = ABRT } do
    it("is started again after " .. name, function()
      local app <close> = server.start { source = APP, workers = 2 }

      local took = kill_runtime(app, signal)

      assert.is_true(took < 1, ("%g s"):format(took))
      app:wait_log "it is started again in 0 ms"
      app:wait_log "listening again on http://127.0.0.1:"
      app:stop { status = 0 }
    end)
  end

  it("refuses no connection meanwhile", function()
    local app <close> = server.start { source = APP, workers = 2 }
    local conns = {}

    proc.kill(app:runtime(), KILL)
    for i = 1, scale(100) do
      conns[i] = app:connect()
      conns[i]:send(client.format("GET", "/"))
    end

    -- What the dead one had taken is reset; all others wait in the kernel and are answered.
    local answered = 0
    for _, conn in ipairs(conns) do
      local res = conn:read_response()
      if res and res.body == "fine" then answered = answered + 1 end
      conn:close()
    end
    assert.is_true(answered >= scale(100) - 10, answered .. " answered")
    app:stop { status = 0 }
  end)

  it("serves again within 300 ms each time, and refuses nobody", function()
    local app <close> = server.start { source = APP, workers = 2 }
    local steady <close> = load.start(app, "steady")
    local count = scale(3, 50)

    for i = 1, count do
      -- The fifth death within 10 s would be the last.
      if i > 1 and count > 4 then
        local at = proc.now() + 2.5
        wait.till(function() return proc.now() >= at end, 5)
      end
      local took = kill_runtime(app, KILL)
      assert.is_true(took < load.limit(0.3, 1), ("death %d: %g s"):format(i, took))
    end

    local results = steady:stop()
    assert.are.equal(0, results.refused)
    assert.are.equal(0, results.late)
    -- What the dead one had accepted and not answered.
    assert.is_true(results.cut <= 10 * count, results.cut .. " cut")
    assert.is_true(results.answered > 0)
    app:stop { status = 0 }
  end)

  it("comes back over a unix socket, whose file goes at the stop", function()
    local path = os.tmpname()
    os.remove(path)
    local app <close> = server.start { source = APP, listen = { "unix:" .. path } }

    kill_runtime(app, KILL)
    app:stop { status = 0 }

    assert.is_nil((io.open(path)))
  end)

  it("five times within ten seconds is given up", function()
    local app <close> = server.start { source = APP }

    for _ = 1, 4 do kill_runtime(app, KILL) end
    proc.kill(app:runtime(), KILL)

    app:wait_exit(5)
    app:stop { status = 1 }
    assert.is_truthy(app.log_text:find("the fifth death within 10 s, it is given up", 1, true))
  end)

  it("has a successor that signals do not end before it can take them", function()
    local app <close> = server.start { source = APP }

    for _ = 1, 3 do
      local before = app:runtime()
      proc.kill(before, KILL)
      wait.till(function()
        for _ = 1, 20 do app:signal "USR1" end
        local runtime = app:runtime()
        return runtime ~= before and runtime ~= app.pid and not process.is_alive(before)
      end)
      assert.are.equal("fine", app:get("/").body)
    end
    app:stop { status = 0 }

    assert.is_nil(app:log():match "signal %d+ %(User defined signal 1%)")
  end)

  it("takes a fresh process group, and leaves none behind", function()
    local app <close> = server.start { source = APP }
    local function group(pid)
      local file = assert(io.open("/proc/" .. pid .. "/stat"))
      local text = file:read "a"
      file:close()
      return text:match "%) %a %d+ (%d+)"
    end
    local runtime = app:runtime()

    assert.are.equal(tostring(runtime), group(runtime))
    app:stop { status = 0 }
    assert.is_true(not process.is_alive(runtime))
  end)

  it("leaves its exit status to the guard when it was told to stop", function()
    local app <close> = server.start { source = APP }

    proc.kill(app:runtime(), TERM)

    app:wait_exit(5)
    app:stop { status = 0 }
  end)
end)

describe("a guard that dies", function()
  it("takes the runtime along, always", function()
    for _ = 1, scale(2, 50) do
      local app <close> = server.start { source = APP, workers = 2 }
      local runtime = app:runtime()

      proc.kill(app.pid, KILL)

      wait.till(function() return not process.is_alive(runtime) end)
      app:wait_exit(5)
      app:stop { status = false }
    end
  end)

  it("takes it along after the answers under way", function()
    local app <close> = server.start { source = APP }
    local runtime, conn = app:runtime(), app:connect()
    conn:send(client.format("GET", "/slow"))
    wait.till(function() return app:get("/").body == "fine" end)

    proc.kill(app.pid, KILL)

    assert.are.equal("slow", conn:read_response().body)
    wait.till(function() return not process.is_alive(runtime) end)
    app:wait_exit(5)
    app:stop { status = false }
    assert.is_truthy(app.log_text:find("the guard has died", 1, true))
  end)
end)

describe("--no-respawn", function()
  it("has no guard: a dead runtime is the end", function()
    local app <close> = server.start { source = APP, args = { "--no-respawn" } }

    assert.are.equal(app.pid, app:runtime())
    proc.kill(app.pid, KILL)

    app:wait_exit(5)
    app:stop { status = false }
  end)
end)
