--- One burst of requests by wrk, on the load's CPU.

local proc = require "spec.proc"
local config = require "spec.bench.config"

local load = {}

local function read_all(fd, seconds)
  local deadline, text = proc.now() + seconds, ""
  while true do
    local piece, err = proc.read(fd, math.max(0, deadline - proc.now()))
    if not piece then return text, err end
    text = text .. piece
  end
end

local function run_wrk(argv, seconds)
  local pid, output = assert(proc.spawn(argv, { stderr = "/dev/null" }))
  local text = read_all(output, seconds + 20)
  proc.close(output)
  if not proc.wait(pid, 1) then
    proc.kill(pid, 9)
    proc.wait(pid, 5)
  end
  return text
end

--- One burst, whatever comes of it.
---@param seconds integer
---@return table? { requests, seconds, p50_ms, p99_ms, errors } nil: wrk has not finished
---@return string text what wrk has written
function load.try(server, scenario, seconds)
  local text = run_wrk({
    "taskset", "-c", config.load_cpu,
    "wrk", "-t1", "-c" .. scenario.connections, ("-d%ds"):format(seconds), "--timeout", "10s",
    "-s", "spec/bench/wrk.lua", server:url(scenario.path), "--", tostring(scenario.depth),
  }, seconds)
  local requests, us, p50, p99, errors = text:match "figures (%d+) (%d+) (%d+) (%d+) (%d+)"
  if not requests then return nil, text end
  return {
    requests = tonumber(requests),
    seconds = tonumber(us) / 1e6,
    p50_ms = tonumber(p50) / 1e3,
    p99_ms = tonumber(p99) / 1e3,
    errors = tonumber(errors),
  }, text
end

--- One burst without a failure; raises otherwise.
---@param seconds integer
---@return table { requests, seconds, p50_ms, p99_ms }
function load.run(server, scenario, seconds)
  local figures, text = load.try(server, scenario, seconds)
  if not figures or figures.errors > 0 or figures.requests == 0 then
    error(("%s: %s: wrk had errors or no answers:\n%s"):format(server.subject.name,
      scenario.name, text), 0)
  end
  return figures
end

return load
