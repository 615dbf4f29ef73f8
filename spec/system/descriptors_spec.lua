--- No descriptor is left: accepting pauses, nothing spins, and it comes back.

local client = require "spec.support.client"
local command = require "spec.support.command"
local load = require "spec.support.load"
local proc = require "spec.proc"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

local APP = [[
local aq = require "luaqueduct"
local router = aq.router()
router:get("/", function() return "hello" end)
router:get("/log", function() print "the log works" return "logged" end)
return router
]]

local LIMIT = 64

--- Seconds of CPU that the process has used.
local function cpu(pid)
  local stat = command.read_file(("/proc/%d/stat"):format(pid)):match "%) (.*)$"
  local user, system = stat:match(("%S+ "):rep(11) .. "(%d+) (%d+)")

  return (user + system) / 100
end

--- Sets the limit, soft and hard or one of them, and becomes the program.
local function limited(limit)
  return { "sh", "-c", ("ulimit %s; exec \"$@\""):format(limit), "sh" }
end

--- Runs `fn` with a server that may have LIMIT descriptors.
local function with_few(workers, fn)
  local app <close> = server.start { launcher = limited("-n " .. LIMIT), source = APP,
    workers = workers }

  fn(app)
  app:stop { status = 0 }
end

--- How many records say that accepting pauses.
local function complaints(app)
  return select(2, app:log():gsub("no connection can be accepted for now: Too many open files", ""))
end

for _, workers in ipairs { 1, 4 } do
  describe(("descriptors that run out, %d workers"):format(workers), function()
    it("pause accepting without spinning, and the next one is served at once", function()
      with_few(workers, function(app)
        local conns, waiting = {}, {}
        local kept, full = app:connect(), proc.now()
        assert.are.equal("hello", kept:request("GET", "/").body)
        for i = 1, LIMIT do conns[i] = app:connect() end
        wait.till(function() return app:fds() >= LIMIT end)
        for i = 1, 5 do
          waiting[i] = app:connect()
          waiting[i]:send(client.format("GET", "/"))
        end

        local begun, used = proc.now(), cpu(app:runtime())
        assert.is_false(waiting[1]:is_closed(1))
        assert.are.equal("", waiting[1].buffer)
        local share = (cpu(app:runtime()) - used) / (proc.now() - begun)
        assert.is_true(share <= load.limit(0.05, 0.2), share)

        -- It is said once a second, not at every try.
        local said, seconds = complaints(app), proc.now() - full
        assert.is_true(said >= 1 and said <= seconds + 1, ("%d in %g s"):format(said, seconds))

        -- Who is in is served, and what is logged is written.
        assert.are.equal("logged", kept:request("GET", "/log").body)
        app:wait_log "the log works"
        for _ = 1, 20 do
          begun = proc.now()
          assert.are.equal("hello", kept:request("GET", "/").body)
          assert.is_true(proc.now() - begun <= load.limit(0.02, 0.5), proc.now() - begun)
        end

        for i = 1, LIMIT do conns[i]:close() end
        begun = proc.now()
        for i = 1, 5 do assert.are.equal("hello", waiting[i]:read_response().body) end
        assert.is_true(proc.now() - begun <= load.limit(0.1, 1), proc.now() - begun)
        for i = 1, 5 do waiting[i]:close() end
        kept:close()
      end)
    end)
  end)
end

describe("the limit of descriptors", function()
  --- The soft and the hard limit of a process.
  local function limits(pid)
    local text = command.read_file(("/proc/%d/limits"):format(pid))
    return text:match "Max open files%s+(%d+)%s+(%d+)"
  end

  it("is raised as far as it may be", function()
    local app <close> = server.start { launcher = limited "-S -n 128", source = APP }

    for _, pid in ipairs { app.pid, app:runtime() } do
      local soft, hard = limits(pid)
      assert.are.equal(hard, soft)
      assert.is_true(tonumber(soft) > 128)
    end
    app:stop { status = 0 }
  end)

  for workers, need in pairs { [1] = 32, [4] = 56 } do
    it(("ends a start of %d workers when it is too low"):format(workers), function()
      for _, limit in ipairs { 8, need - 1 } do
        local res = server.fail { launcher = limited("-n " .. limit), source = APP,
          workers = workers }

        assert.are.equal(1, res.status)
        assert.are.equal("", res.stdout)
        assert.are.equal(("luaqueduct: --workers %d: at least %d open files are needed, with 1 " ..
          "addresses, but the limit is %d (ulimit -n)\n"):format(workers, need, limit), res.stderr)
        assert.is_true(res.seconds <= load.limit(0.2, 2), res.seconds)
      end
      local app <close> = server.start { launcher = limited("-n " .. need), source = APP,
        workers = workers }
      assert.are.equal("hello", app:get("/").body)
      app:stop { status = 0 }
    end)
  end
end)
