--- Handlers that do not wait: Lua is interrupted, a thread stuck in C replaced.

local client = require "spec.support.client"
local core = require "spec.support.core"
local load = require "spec.support.load"
local proc = require "spec.proc"
local scale = require "spec.support.scale"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

local APP = [[
local aq = require "luaqueduct"
local App = aq.channel()
local router = aq.router()

local function spin() while true do BODY end end
local pulses = 0
router:get("/", function(req)
  if req.host == "pulse" then pulses = pulses + 1 end
  return aq.instance.id .. " " .. aq.instance.restarts
end)
router:get("/pulses", function() return tostring(pulses) end)
router:get("/loop", spin)
router:get("/calls", function()
  local function f(n)
    BODY
    return n == 0 and 0 or f(n - 1)
  end
  while true do f(10) end
end)
router:get("/pcall", function()
  while true do pcall(spin) end
end)
router:get("/xpcall", function()
  while true do xpcall(spin, function(e) return e end) end
end)
router:get("/nested", function()
  local function try(n)
    local ok
    repeat ok = pcall(n == 0 and spin or try, n - 1) until ok
  end
  try(6)
end)
router:get("/recursive", function()
  local function f() pcall(f) end
  while true do f() end
end)
router:get("/coroutine", function()
  local co = coroutine.wrap(spin)
  while true do pcall(co) co = coroutine.wrap(spin) end
end)
router:get("/sort", function()
  table.sort({ 3, 2, 1 }, spin)
end)
router:get("/tostring", function()
  error(setmetatable({}, { __tostring = spin }))
end)
router:get("/close", function()
  local x <close> = setmetatable({}, { __close = spin })
  error "then it hangs"
end)
router:get("/swallow", function()
  pcall(spin)
  aq.sleep(0.01)
  return "went on to wait"
end)
router:get("/hooked", function(req)
  req:on_error(function() return "the hook answered" end)
  spin()
end)
router:get("/c", function()
  return tostring(("a"):rep(60000):find((".-"):rep(20) .. "b"))
end)
router:get("/busy", function()
  local till = aq.now() + 0.15
  while aq.now() < till do end
  return "done"
end)
router:get("/spawn", function()
  aq.spawn(spin)
  return "spawned"
end)
router:get("/left", function()
  local x <close> = setmetatable({}, { __close = spin })
  aq.sleep(60)
end)
router:get("/stop", function()
  aq.instance:stop()
  return "stopping"
end)
function App:prepare()
  if self.options.context.hang and aq.instance.restarts == 1 then spin() end
end
function App:entry_point() return router end
return App
]]

-- The thread sanitizer keeps a signal back until the thread calls the C library.
APP = APP:gsub("BODY", core.build:find "tsan" and "os.time()" or "")

local LIMIT = 0.3

local function start(workers, ...)
  return server.start {
    source = APP,
    workers = workers,
    args = { "--busy-timeout", tostring(LIMIT), ... },
  }
end

--- Whether the runtime has used a tick of its processor since the start.
local function wait_for_cpu(app)
  local file = assert(io.open(("/proc/%d/stat"):format(app:runtime())))
  local text = file:read "a"
  file:close()
  return tonumber(text:match "%) %a" and text:match("%) " .. ("%S+ "):rep(11) .. "(%d+)")) > 5
end

local LOOPS = {
  "/loop", "/calls", "/pcall", "/xpcall", "/coroutine", "/sort", "/tostring", "/swallow", "/hooked",
  "/nested", "/recursive",
}

describe("Lua code that does not wait", function()
  for _, workers in ipairs { 1, 4 } do
    describe(("with %d workers"):format(workers), function()
      local app

      setup(function() app = start(workers) end)
      teardown(function() app:stop { status = 0 } end)

      for _, path in ipairs(LOOPS) do
        it(path .. " is interrupted: 503, and the worker goes on", function()
          local began = proc.now()

          local res = app:get(path)

          local took = proc.now() - began
          assert.are.equal(503, res.status)
          assert.is_true(took >= LIMIT - 0.01 and took < 2 * LIMIT + 0.5, ("%g s"):format(took))
          assert.matches("^%d 0$", app:get("/").body)
        end)
      end
    end)
  end

  it("ends in a <close> variable of a handler that has failed", function()
    local app <close> = start(1)

    assert.are.equal(500, app:get("/close").status)
    app:wait_log "then it hangs"
    app:wait_log "interrupted: it ran"
    assert.are.equal("1 0", app:get("/").body)
    app:stop { status = 0 }
  end)

  it("leaves the other connections of its worker alone", function()
    local app <close> = start(1)
    local kept = app:connect()
    kept:send(client.format("GET", "/"))
    assert.are.equal("1 0", kept:read_response().body)

    assert.are.equal(503, app:get("/loop").status)
    kept:send(client.format("GET", "/"))

    assert.are.equal("1 0", kept:read_response().body)
    kept:close()
    app:stop { status = 0 }
  end)

  it("is told with the place where it was", function()
    local app <close> = start(1)

    app:get "/loop"

    app:wait_log "GET /loop: "
    app:wait_log "app.lua:5: interrupted: it ran for 0.3 s without waiting (--busy-timeout)"
    app:stop { status = 0 }
  end)

  it("ends in a spawned task, too", function()
    local app <close> = start(1)

    assert.are.equal("spawned", app:get("/spawn").body)

    app:wait_log "error in a task: "
    assert.are.equal("1 0", app:get("/").body)
    app:stop { status = 0 }
  end)

  it("may take its time below the limit, request after request", function()
    local app <close> = start(1)
    local conns = {}

    for i = 1, 4 do
      conns[i] = app:connect()
      conns[i]:send(client.format("GET", "/busy"))
    end

    for _, conn in ipairs(conns) do
      assert.are.equal("done", conn:read_response().body)
      conn:close()
    end
    app:stop { status = 0 }
  end)

  it("may run as long as it likes without a limit", function()
    local app <close> = server.start { source = APP, args = { "--busy-timeout", "0" } }

    assert.are.equal("done", app:get("/busy").body)
    app:stop { status = 0 }
  end)
end)

--- One request; returns how long it took to its end, and the answer if there was one.
local function time(conn, path)
  local began = proc.now()

  conn:send(client.format("GET", path))
  local res = conn:read_response()
  return proc.now() - began, res
end

--- A connection to the worker that the pulse is not on.
local function beside(app)
  local conn, pulses

  wait.till(function()
    if conn then conn:close() end
    conn = app:connect()
    conn:send(client.format("GET", "/pulses"))
    pulses = conn:read_response().body
    return pulses == "0"
  end)
  return conn
end

--- Calls `fault` while a steady client is served by the other worker.
local function beside_a_pulse(limit, fault)
  local app <close> = start(2, "--busy-timeout", tostring(limit))
  local pulse <close> = load.start(app, "pulse")
  wait.till(function() return tonumber(app:get("/pulses").body) > 0 end)

  fault(app)

  local results = pulse:stop()
  app:stop { status = 0 }
  assert.are.equal(0, results.failed)
  -- Of less than a hundred the 99th percentile is the slowest one.
  assert.is_true(results.p99 < load.limit(10, 100), ("p99 %g ms"):format(results.p99))
end

describe("the pulse on the other worker", function()
  it("goes on while Lua code is interrupted at the limit", function()
    beside_a_pulse(LIMIT, function(app)
      local conn <close> = beside(app)

      for _ = 1, scale(3, 40) do
        local took, res = time(conn, "/loop")
        assert.are.equal(503, res.status)
        assert.is_true(took <= LIMIT + load.limit(0.1, 1), ("%g s"):format(took))
      end
    end)
  end)

  it("goes on while a thread in C is given up at three times the limit", function()
    local limit = load.is_soak and 2 or LIMIT

    beside_a_pulse(limit, function(app)
      local conn <close> = beside(app)
      local took, res = time(conn, "/c")

      assert.is_nil(res)
      assert.is_true(took <= 3.1 * limit + load.limit(0, 1), ("%g s"):format(took))
    end)
  end)
end)

describe("a worker that is stuck in a C function", function()
  it("is replaced, and its clients are cut", function()
    local app <close> = start(2)
    local conn = app:connect()
    local began = proc.now()

    conn:send(client.format("GET", "/c"))

    assert.is_nil((conn:read_response()))
    assert.is_true(proc.now() - began < 3.1 * LIMIT + 0.2, ("%g s"):format(proc.now() - began))
    app:wait_log " is stuck (in a C function"
    wait.till(function() return app:get("/").body:match " 1$" end)
    app:stop { status = 0 }
    assert.is_truthy(app:log():find("1 threads are lost", 1, true))
  end)

  it("is replaced when it is the only one", function()
    local app <close> = start(1)
    local conn = app:connect()

    conn:send(client.format("GET", "/c"))

    assert.is_nil((conn:read_response()))
    assert.are.equal("1 1", app:get("/").body)
    app:stop { status = 0 }
  end)
end)

describe("a thread that hangs", function()
  it("in a <close> of a cancelled task is interrupted, too", function()
    local app <close> = start(1)
    local conn = app:connect()

    conn:send(client.format("GET", "/left"))
    wait.till(function() return app:get("/").body end)
    conn:reset()

    app:wait_log "interrupted: it ran"
    assert.are.equal("1 0", app:get("/").body)
    app:stop { status = 0 }
  end)

  it("while its successor prepares is given up", function()
    local app <close> = start(1, "--start-timeout", load.START_SECONDS, "--option", "hang=1")

    app:get "/stop"

    app:wait_log "has not prepared within --start-timeout"
    wait.till(function() return app:get("/").body == "1 2" end)
    app:stop { status = 0 }
  end)

  it("does not hold up a stop beyond its deadline", function()
    local app <close> = server.start {
      source = APP,
      args = { "--busy-timeout", "0", "--drain-timeout", "0.5" },
    }
    local conn = app:connect()
    conn:send(client.format("GET", "/c"))
    wait.till(function() return wait_for_cpu(app) end)
    local began = proc.now()

    app:stop { status = 0 }

    assert.is_true(proc.now() - began < 4, ("%g s"):format(proc.now() - began))
    conn:close()
  end)

  it("in initialize ends the start, and obeys TERM", function()
    local source = [[
      local App = require("luaqueduct").channel()
      function App.initialize() while true do end end
      function App:entry_point() return function() return "" end end
      return App
    ]]
    local result = server.fail { source = source, args = { "--start-timeout", "0.5" } }

    assert.are.equal(1, result.status)
    assert.is_truthy(result.stderr:find("has not loaded within --start-timeout", 1, true))
  end)

  it("ends the runtime when nobody is left and there is no respawning", function()
    local app <close> = start(1, "--no-respawn")
    local conn = app:connect()

    conn:send(client.format("GET", "/c"))

    app:wait_exit(5)
    app:stop { status = 1 }
  end)
end)
