--- A subject that runs: started on a free port, pinned to a CPU, stopped by its process id.
--
--   local server <close> = instance.start(subject, scenario)
--
-- It dies with the driver, however that ends. Failure: a start that brings
-- no listening port raises with what the program wrote.

local socket = require "socket"
local proc = require "spec.proc"
local config = require "spec.bench.config"
local cpu = require "spec.bench.cpu"
local files = require "spec.bench.files"

local START_SECONDS, STOP_SECONDS = 20, 10
local TERM, KILL = 15, 9

local instance = {}
local methods = {}

local function free_port()
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  listener:close()
  return math.floor(tonumber(port))
end

--- The path of a file that is not there yet: several servers may share a port.
local function new_log(name, port)
  local number, path = 0
  repeat
    number = number + 1
    path = ("%s/%s-%d-%d.log"):format(config.scratch, name, port, number)
  until not files.read(path)
  return path
end

--- Waits until the size has not changed for two seconds, ten at most.
local function settled(size)
  local deadline = proc.now() + 10
  local last, since = size(), proc.now()
  while proc.now() < deadline and proc.now() - since < 2 do
    socket.sleep(0.1)
    local now = size()
    if now ~= last then last, since = now, proc.now() end
  end
  return last
end

local function answers(port)
  local client = socket.tcp()
  client:settimeout(1)
  local connected = client:connect("127.0.0.1", port)
  client:close()
  return connected ~= nil
end

local function is_ready(self)
  local line = self.subject.ready
  if line and not (files.read(self.log) or ""):find(line, 1, true) then return false end
  return answers(self.port)
end

local function wait_ready(self)
  local deadline = proc.now() + START_SECONDS
  while not is_ready(self) do
    local status = proc.wait(self.pid, 0.05)
    if status then self.ended = true end
    if status or proc.now() > deadline then
      self:stop()
      error(("%s does not listen%s; it wrote:\n%s"):format(self.subject.name,
        status and ", it ended with status " .. status or "", files.read(self.log) or ""), 0)
    end
  end
end

--- CPU seconds used up to now; see cpu.lua.
function methods:times() return cpu.times(self.pid) end

--- KiB resident, when that has come to rest.
function methods:settled_rss()
  return settled(function() return cpu.rss(self.pid) end)
end

--- KiB, of what is shared with others its part, when that has come to rest.
function methods:settled_pss()
  return settled(function() return cpu.pss(self.pid) end)
end

--- Descriptors open.
function methods:fds() return cpu.fds(self.pid) end

function methods:url(path) return ("http://127.0.0.1:%d%s"):format(self.port, path) end

function methods:stop()
  if self.ended then return end
  self.ended = true
  proc.kill(self.pid, TERM)
  if not proc.wait(self.pid, STOP_SECONDS) then
    proc.kill(self.pid, KILL)
    proc.wait(self.pid, STOP_SECONDS)
  end
end

local Instance = { __index = methods, __close = methods.stop, __gc = methods.stop }

---@param subject table of subjects.lua
---@param scenario? table of scenarios.lua, where the subject wants one
---@param workers? integer threads, where the subject has them; 1 unless given
---@param port? integer a free one unless given
function instance.start(subject, scenario, workers, port)
  port = port or free_port()
  local argv = { "taskset", "-c", subject.cpus or config.server_cpu }
  for _, argument in ipairs(subject.argv(port, scenario, workers)) do
    argv[#argv + 1] = tostring(argument)
  end
  local log = new_log(subject.name, port)
  local pid = assert(proc.spawn(argv, { stdout = log, stderr = log }))
  local self = setmetatable({ pid = pid, port = port, subject = subject, log = log }, Instance)
  wait_ready(self)
  return self
end

return instance
