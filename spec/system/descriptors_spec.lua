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

--- Runs `fn` with a server that may have LIMIT descriptors.
local function with_few(workers, fn)
  local folder <close> = setmetatable({ path = command.folder() }, { __close = function(self)
    command.remove(self.path)
  end })
  local path = folder.path .. "/few"
  local file = assert(io.open(path, "w"))
  assert(file:write(("#!/bin/sh\nulimit -n %d\nexec %s \"$@\"\n"):format(LIMIT, server.binary())))
  assert(file:close())
  command.run { "chmod", "+x", path }
  local app <close> = server.start { binary = path, source = APP, workers = workers }

  fn(app)
  app:stop { status = 0 }
end

for _, workers in ipairs { 1, 4 } do
  describe(("descriptors that run out, %d workers"):format(workers), function()
    it("pause accepting without spinning, and the next one is served at once", function()
      with_few(workers, function(app)
        local conns, waiting = {}, {}
        local kept = app:connect()
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

        -- Who is in is served, and what is logged is written.
        assert.are.equal("logged", kept:request("GET", "/log").body)
        app:wait_log "the log works"

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
