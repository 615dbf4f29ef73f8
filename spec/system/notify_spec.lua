--- What systemd is told: ready, reloading, stopping, and that all is well.

local client = require "spec.support.client"
local proc = require "spec.proc"
local server = require "spec.support.server"
local systemd = require "spec.support.systemd"
local wait = require "spec.support.wait"

local KILL, STOP, CONT, TERM = 9, 19, 18, 15

local APP = [[
local aq = require "luaqueduct"
local router = aq.router()
router:get("/", function() return "fine" end)
router:get("/env", function()
  local names = { "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID" }
  for i, name in ipairs(names) do names[i] = tostring(os.getenv(name)) end
  return table.concat(names, " ")
end)
router:get("/slow", function()
  print "slow begun"
  aq.sleep(0.3)
  return "slow"
end)
return router
]]

--- A server that tells `manager`; `env` has further variables.
local function start(manager, env, ...)
  local all = { NOTIFY_SOCKET = manager.address }

  for name, value in pairs(env or {}) do all[name] = value end
  return server.start { source = APP, workers = 2, env = all, args = { ... } }
end

for _, respawn in ipairs { "with a guard", "with --no-respawn" } do
  local args = respawn == "with --no-respawn" and { "--no-respawn" } or {}

  describe("systemd, " .. respawn .. ",", function()
    for _, abstract in ipairs { false, true } do
      it("hears of the start and the stop by " .. (abstract and "a name" or "a path"), function()
        local manager <close> = systemd.start { abstract = abstract }
        local app <close> = start(manager, nil, table.unpack(args))

        local ready = manager:wait "READY=1"
        assert.are.equal("luaqueduct: " .. ready.STATUS, app.ready_line)
        assert.are.equal(1, #manager.messages)
        local conn = app:connect()
        conn:send(client.format("GET", "/slow"))
        app:wait_log "slow begun"
        app:signal "TERM"
        manager:wait "STOPPING=1"
        assert.are.equal(2, #manager.messages)
        assert.are.equal("slow", conn:read_response().body)
        conn:close()
        assert.are.equal(0, app:wait_exit(5))
        app:stop()
        assert.are.same({ nil, "timeout" }, { manager:next(0) })
      end)
    end

    it("hears that all is well every half of the time, and only then", function()
      local manager <close> = systemd.start()
      local app <close> = start(manager, { WATCHDOG_USEC = "600000" }, table.unpack(args))

      manager:wait "READY=1"
      local last = manager:wait("WATCHDOG=1").at
      for _ = 1, 5 do
        local at = manager:wait("WATCHDOG=1").at
        assert.is_true(at - last < 0.6, at - last)
        last = at
      end
      assert.is_true(last - manager.messages[1].at > 1)
      app:stop { status = 0 }
    end)

    it("does not hear it from a main thread that hangs", function()
      local manager <close> = systemd.start()
      local app <close> = start(manager, { WATCHDOG_USEC = "300000" }, table.unpack(args))
      manager:wait "WATCHDOG=1"
      local runtime = app:runtime()

      proc.kill(runtime, STOP)
      while manager:next(0) do end -- what was under way
      manager:next(0.2)
      assert.are.same({ nil, "timeout" }, { manager:next(0.5) })

      proc.kill(runtime, CONT)
      manager:wait "WATCHDOG=1"
      app:stop { status = 0 }
    end)

    it("does not hold up a stop when it does not listen", function()
      local manager <close> = systemd.start()
      local app <close> = start(manager, { WATCHDOG_USEC = "2000" }, table.unpack(args))
      app:wait_log("systemd cannot be told", 60) -- its queue is full

      local from = proc.now()
      app:stop { status = 0 }

      assert.is_true(proc.now() - from < 4, proc.now() - from)
    end)

    it("hears nothing of it unless it asks this process", function()
      local manager <close> = systemd.start()
      for _, env in ipairs { { WATCHDOG_USEC = "20000", WATCHDOG_PID = "1" },
        { WATCHDOG_USEC = "x" }, { WATCHDOG_USEC = "0" }, {} } do
        local app <close> = start(manager, env, table.unpack(args))

        manager:wait "READY=1"
        assert.are.same({ nil, "timeout" }, { manager:next(0.15) })
        assert.are.equal("nil nil nil", app:get("/env").body)
        app:stop { status = 0 }
        manager:wait "STOPPING=1"
      end
    end)

    it("hears of a HUP, and of the end of the reload", function()
      local manager <close> = systemd.start()
      local app <close> = start(manager, nil, table.unpack(args))
      manager:wait "READY=1"

      for _ = 1, 3 do
        local from = proc.now()
        app:signal "HUP"
        local reloading = manager:wait "RELOADING=1"
        local at = tonumber(reloading.MONOTONIC_USEC) / 1e6
        assert.is_true(at >= from and at <= proc.now(), at .. " from " .. from)
        manager:wait "READY=1"
      end
      assert.are.equal("fine", app:get("/").body)
      app:stop { status = 0 }
    end)
  end)
end

describe("systemd", function()
  it("is told why a reload has failed, and when one succeeds again", function()
    local manager <close> = systemd.start()
    local app <close> = start(manager)
    local path = app.folder .. "/app.lua"
    local status = manager:wait("READY=1").STATUS
    local function put(text)
      local file <close> = assert(io.open(path, "w"))
      assert(file:write(text))
    end

    put "\nerror 'not today'"
    app:signal "HUP"
    manager:wait "RELOADING=1"
    assert.matches("^the reload has failed: .*app%.lua:2: not today$",
      manager:wait("READY=1").STATUS)
    put(APP)
    app:signal "HUP"
    manager:wait "RELOADING=1"
    assert.are.equal(status, manager:wait("READY=1").STATUS)
    app:stop { status = 0 }
  end)

  it("sees a reload that --watch begins", function()
    local manager <close> = systemd.start()
    local app <close> = start(manager, nil, "--watch")
    manager:wait "READY=1"
    local file <close> = assert(io.open(app.folder .. "/app.lua", "w"))
    assert(file:write("-- new\n" .. APP))
    file:close()

    manager:wait "RELOADING=1"
    manager:wait "READY=1"
    app:stop { status = 0 }
  end)

  it("hears of a runtime that dies, and of the next one", function()
    local manager <close> = systemd.start()
    local app <close> = start(manager, { WATCHDOG_USEC = "1000000" })
    manager:wait "READY=1"

    proc.kill(app:runtime(), KILL)

    manager:wait("STATUS=the runtime was ended by signal 9 (Killed): it is started again in 0 ms")
    manager:wait "READY=1"
    manager:wait "WATCHDOG=1"
    app:stop { status = 0 }
    manager:wait "STOPPING=1"
  end)

  it("is told that all is well while there is no runtime", function()
    local manager <close> = systemd.start()
    local app <close> = start(manager, { WATCHDOG_USEC = "200000" })

    for _ = 1, 3 do -- the third comes back after 200 ms
      manager:wait "READY=1"
      local runtime = app:runtime()
      proc.kill(runtime, KILL)
      wait.till(function() return app:runtime() ~= runtime end)
    end
    manager:wait "READY=1"
    app:stop { status = 0 }

    local last
    for _, message in ipairs(manager.messages) do
      if message.WATCHDOG then
        assert.is_true(not last or message.at - last < 0.2, last and message.at - last)
        last = message.at
      end
    end
  end)

  it("hears that a runtime stops that was told so itself", function()
    local manager <close> = systemd.start()
    local app <close> = start(manager)
    manager:wait "READY=1"

    proc.kill(app:runtime(), TERM)

    manager:wait "STOPPING=1"
    app:wait_exit(5)
    app:stop { status = 0 }
  end)

  it("hears nothing of a start that fails", function()
    local manager <close> = systemd.start()
    local res = server.fail { source = "error 'no'", env = { NOTIFY_SOCKET = manager.address } }

    assert.are.equal(1, res.status)
    assert.are.same({ nil, "timeout" }, { manager:next(0) })
  end)

  it("need not be there", function()
    for address, why in pairs { ["/nowhere/notify"] = "no such file or directory",
      ["@nobody-listens-here"] = "connection refused", ["relative"] = "not supported",
      ["vsock:2:1"] = "not supported", [("/x"):rep(60)] = "too long" } do
      local app <close> = server.start { source = APP, env = { NOTIFY_SOCKET = address } }

      assert.are.equal("fine", app:get("/").body)
      app:stop { status = 0 }
      local log = app:log():lower()
      assert.matches("systemd cannot be told", log)
      assert.matches(why, log, 1, true)
      assert.are.equal(1, select(2, log:gsub("cannot be told", "")))
    end
  end)
end)
