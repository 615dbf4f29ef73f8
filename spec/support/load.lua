--- Clients by the thousand: runs the program of spec/c/load.c against a server.
--
--   local peers <close> = load.start(app, "half", 1000)
--   peers:wait_held()                  -- all have sent what they send
--   local results = peers:results()    -- waits for the end; raises when a peer failed
--
-- Figures are asserted exactly in a soak only: there the machine is meant to
-- be quiet, and the build to have no sanitizer.

local command = require "spec.support.command"
local core = require "spec.support.core"
local proc = require "spec.proc"
local wait = require "spec.support.wait"

local TERM, KILL = 15, 9

local load = { app = "spec/support/load_app.lua" }
local methods = {}

--- Without a sanitizer, resident memory and times are the server's own.
load.is_plain = not core.build:find "san$"
-- For --start-timeout: what works has started by then.
load.START_SECONDS = load.is_plain and "0.7" or "2.5"
load.is_soak = load.is_plain and (tonumber(os.getenv "LQ_SCALE" or "1") or 1) >= 10

--- `exact` in a soak, else `generous`; without bound under a sanitizer.
function load.limit(exact, generous)
  if not load.is_plain then return math.huge end
  return load.is_soak and exact or generous
end

--- How many descriptors a process may have here.
function load.descriptors()
  return tonumber(command.read_file("/proc/self/limits"):match "Max open files%s+%d+%s+(%d+)")
end

--- Waits for a line of standard output that begins with `word`.
local function wait_line(self, word, seconds)
  return wait.till(function()
    return command.read_file(self.folder .. "/stdout"):match("^" .. word .. " [^\n]*\n")
  end, seconds, ("the peers of %q"):format(self.name))
end

--- Waits until every peer has sent all that it sends, or all that is taken.
function methods:wait_held(seconds)
  wait_line(self, "held", seconds or 60)
end

local function clean_up(self)
  if self.pid and not self.status then
    proc.kill(self.pid, KILL)
    self.status = proc.wait(self.pid, 5)
  end
  if self.folder then command.remove(self.folder) end
  self.folder = nil
end

--- Waits for the end; name -> number. Raises when a peer failed.
function methods:results(seconds)
  self.status = assert(proc.wait(self.pid, seconds or 120), "the peers still run")
  local results, text = {}, command.read_file(self.folder .. "/stdout")
  local errors = command.read_file(self.folder .. "/stderr")

  for name, value in text:gmatch "(%S+) (%S+)\n" do results[name] = tonumber(value) end
  clean_up(self)
  if self.status ~= 0 then error(("load %s: %s%s"):format(self.name, text, errors), 2) end
  return results
end

--- For what has no end of its own (pulse, steady, busy): ends it; results as above.
function methods:stop()
  proc.kill(self.pid, TERM)
  return self:results(20)
end

local Load = { __name = "spec.load", __index = methods, __close = clean_up, __gc = clean_up }

--- Starts it; `count` peers, `at_once` (64) at a time.
function load.start(app, name, count, at_once)
  local folder = command.folder()
  local argv = { core.object:match "^(.*)/" .. "/load", name, tostring(app.port) }

  if count then
    for _, n in ipairs { count, at_once or 64, os.getenv "LQ_SEED" or os.time() } do
      argv[#argv + 1] = tostring(n)
    end
  end
  local pid, err = proc.spawn(argv, {
    env = command.environment(),
    stdout = folder .. "/stdout",
    stderr = folder .. "/stderr",
  })
  if not pid then
    command.remove(folder)
    error(("%s: %s"):format(argv[1], err), 2)
  end
  return setmetatable({ pid = pid, name = name, folder = folder }, Load)
end

--- Starts them, waits for the end.
function load.run(app, name, count, at_once)
  local peers <close> = load.start(app, name, count, at_once)
  return peers:results(600)
end

return load
