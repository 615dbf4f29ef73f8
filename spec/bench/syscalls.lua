--- How many system calls a request takes, by strace.
--
-- It slows the server down, so that more requests come at once than usual: a lower limit.

local command = require "spec.support.command"
local config = require "spec.bench.config"
local cpu = require "spec.bench.cpu"
local files = require "spec.bench.files"
local load = require "spec.bench.load"
local proc = require "spec.proc"
local wait = require "spec.support.wait"

local INT, KILL = 2, 9

local syscalls = {}

local function attach(server, record, log)
  local argv = { "strace", "-f", "-c", "-o", record }
  for _, pid in ipairs(cpu.family(server.pid)) do
    argv[#argv + 1] = "-p"
    argv[#argv + 1] = tostring(pid)
  end
  local tracer = assert(proc.spawn(argv, { env = command.environment(), stdout = log,
    stderr = log }))
  wait.till(function() return (files.read(log) or ""):find "attached" end, 10, "strace")
  return tracer
end

--- Loads the server while its calls are counted.
---@return number calls a request
function syscalls.per_request(server, scenario)
  local record = ("%s/%s.calls"):format(config.scratch, server.subject.name)
  local log = record .. ".log"
  os.remove(log)
  load.run(server, scenario, 1)
  local tracer = attach(server, record, log)
  local figures = load.run(server, scenario, 2)
  proc.kill(tracer, INT)
  if not proc.wait(tracer, 10) then
    proc.kill(tracer, KILL)
    proc.wait(tracer, 5)
  end
  local calls = (files.read(record) or ""):match "[%d.]+%s+[%d.]+%s+%d+%s+(%d+)[%s%d]*total"
  return assert(tonumber(calls), "strace has counted nothing") / figures.requests
end

return syscalls
