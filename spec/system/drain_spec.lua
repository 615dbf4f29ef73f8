--- The stop under load: what has been accepted is answered, and it takes no longer than it must.

local client = require "spec.support.client"
local command = require "spec.support.command"
local load = require "spec.support.load"
local proc = require "spec.proc"
local scale = require "spec.support.scale"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

local APP = [[
local aq = require "luaqueduct"
local router = aq.router()
router:get("/", function() return "hello" end)
router:get("/wait", function()
  print "waiting"
  aq.sleep(100)
end)
router:get("/busy", function()
  print "busy"
  repeat until io.open "FREE"
  local till = aq.now() + 0.2
  repeat until aq.now() > till
  return "done"
end)
router:get("/loop", function()
  print "looping"
  while true do end
end)
return router
]]

--- Tells it to stop; the seconds until it has.
local function stop(app, signal, status)
  local from = proc.now()

  app:signal(signal)
  assert.are.equal(status or 0, app:wait_exit(10))
  app:stop { status = status or 0 }
  return proc.now() - from
end

for _, workers in ipairs { 1, 4 } do
  describe(("a stop of %d workers"):format(workers), function()
    local function start(options)
      options = options or {}
      options.source, options.workers = options.source or APP, workers
      return server.start(options)
    end

    it("under load fails no request that was accepted", function()
      for i = 1, scale(5, 100) do
        local app <close> = start()
        local peers <close> = load.start(app, "till-stop", 32)
        peers:wait_held()

        stop(app, i % 2 == 0 and "INT" or "TERM")

        local results = peers:results()
        assert.are.equal(0, results.failed)
        assert.is_true(results.answered >= 1000, results.answered)
      end
    end)

    it("answers all that waits to be accepted", function()
      for _, listen in ipairs { "http://127.0.0.1:0", "unix" } do
        local folder = command.folder()
        local free = folder .. "/free"
        local app <close> = start {
          source = APP:gsub("FREE", free),
          listen = { listen == "unix" and "unix:" .. folder .. "/socket" or listen },
        }
        local busy, conns = {}, {}
        for i = 1, workers do
          busy[i] = app:connect()
          busy[i]:send(client.format("GET", "/busy"))
          wait.till(function() return select(2, app:log():gsub("busy", "")) == i end)
        end
        for i = 1, 150 do
          conns[i] = app:connect()
          conns[i]:send(client.format("GET", "/"))
        end

        app:signal "TERM"
        assert(io.open(free, "w")):close() -- the stop is quicker than the 0.2 s

        for i = 1, 150 do
          local res = assert(conns[i]:read_response())
          assert.are.equal("hello", res.body)
          assert.are.equal("close", res:header "connection")
          conns[i]:close()
        end
        for i = 1, workers do
          assert.are.equal("done", busy[i]:read_response().body)
          busy[i]:close()
        end
        assert.are.equal(0, app:wait_exit(10))
        app:stop()
        command.remove(folder)
      end
    end)

    it("waits a moment for the first request of a new connection", function()
      local app <close> = start()
      local kept = app:connect()
      assert.are.equal("hello", kept:get("/").body)
      local conn = app:connect()

      app:signal "TERM"
      assert.is_true(kept:is_closed(2)) -- it drains
      conn:send(client.format("GET", "/"))

      local res = assert(conn:read_response())
      assert.are.equal("hello", res.body)
      assert.are.equal("close", res:header "connection")
      conn:close()
      assert.are.equal(0, app:wait_exit(5))
      app:stop()
    end)

    it("does not wait longer for one that sends none", function()
      local app <close> = start()
      local conn = app:connect()

      local seconds = stop(app, "TERM")

      assert.is_true(seconds < load.limit(0.3, 2), seconds)
      assert.is_true(conn:is_closed(1))
    end)

    for _, signal in ipairs { "TERM", "INT" } do
      it("takes no time when nothing is under way: " .. signal, function()
        local best = math.huge
        for _ = 1, 3 do
          local app <close> = start()
          local idle = {}
          for i = 1, 20 do
            idle[i] = app:connect()
            assert.are.equal("hello", idle[i]:get("/").body)
          end

          best = math.min(best, stop(app, signal))

          for i = 1, 20 do assert.is_true(idle[i]:is_closed(1)) end
        end
        assert.is_true(best <= load.limit(0.05, 1), best)
      end)
    end

    for what, said in pairs { wait = "waiting", loop = "looping" } do
      it("is over at once at a second signal: /" .. what, function()
        for _, signals in ipairs { { "TERM", "INT" }, { "INT", "TERM" }, { "TERM", "TERM" } } do
          local app <close> = start()
          local idle, conn = app:connect(), app:connect()
          assert.are.equal("hello", idle:get("/").body)
          conn:send(client.format("GET", "/" .. what))
          app:wait_log(said)

          app:signal(signals[1])
          wait.till(function() return not pcall(app.connect, app, { timeout = 0.1 }) end)
          local seconds = stop(app, signals[2], 1)

          assert.is_true(seconds <= load.limit(0.05, 1), seconds)
          conn:close()
        end
      end)
    end
  end)
end
