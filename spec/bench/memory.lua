--- Memory: what a further worker takes, and what an idle connection takes.
--
-- Resident sizes as the kernel shows them. Each idle connection has had one
-- answer; a hundred come and go first, so that what happens once is not
-- counted; each run has a fresh server.

local proc = require "spec.proc"
local config = require "spec.bench.config"
local instance = require "spec.bench.instance"
local load = require "spec.bench.load"
local scenarios = require "spec.bench.scenarios"
local stats = require "spec.bench.stats"
local subjects = require "spec.bench.subjects"

local WORKERS = { 1, 2, 4, 8 }
local HOLDERS = { "luaqueduct", "nginx", "prototype", "node" }
local RUNS = 3
local TERM = 15

local memory = {}

local function release(holder)
  proc.kill(holder.pid, TERM)
  proc.wait(holder.pid, 30)
  proc.close(holder.output)
end

local Holder = { __close = release }

--- Opens `count` connections; they end when the result is closed.
local function hold(server, count)
  local log = ("%s/hold-%d.log"):format(config.scratch, server.port)
  local pid, output = assert(proc.spawn({ "taskset", "-c", config.load_cpu,
    config.folder .. "/hold", tostring(server.port), "/plain", tostring(count) },
    { stderr = log }))
  local holder = setmetatable({ pid = pid, output = output }, Holder)
  if proc.read(output, 120) ~= ("held %d\n"):format(count) then
    release(holder)
    error(("%s: %d connections could not be held, see %s (ulimit -n?)"):format(
      server.subject.name, count, log), 0)
  end
  return holder
end

local function rss_while_held(server, count)
  local _ <close> = hold(server, count)
  local rss = server:settled_rss()
  if server:fds() < count then error(server.subject.name .. " closed idle connections", 0) end
  return rss
end

local function measure_idle(name)
  local server <close> = instance.start(subjects[name], scenarios.plain)
  release(hold(server, 100))
  local before = server:settled_rss()
  local after = rss_while_held(server, config.idle)
  return before, (after - before) * 1024 / config.idle
end

--- KiB with `count` workers, after all of them have answered.
local function measure_workers(count)
  local server <close> = instance.start(subjects.luaqueduct, scenarios.plain, count)
  load.run(server, scenarios.plain, 1)
  return server:settled_rss()
end

--- The slope of the straight line that fits the points best.
local function slope(xs, ys)
  local mean_x, mean_y = stats.sum(xs) / #xs, stats.sum(ys) / #ys
  local upper, lower = 0, 0
  for i, x in ipairs(xs) do
    upper = upper + (x - mean_x) * (ys[i] - mean_y)
    lower = lower + (x - mean_x) ^ 2
  end
  return upper / lower
end

local function run_workers()
  local rss = {}
  for i, count in ipairs(WORKERS) do rss[i] = measure_workers(count) end
  return { counts = WORKERS, rss = rss, each = slope(WORKERS, rss) }
end

local function run_idle(name)
  local bytes, base = {}, nil
  for i = 1, RUNS do base, bytes[i] = measure_idle(name) end
  io.stderr:write(("idle connections: %s\n"):format(name))
  return { base = base, bytes = stats.summary(bytes) }
end

---@param wanted? table set of subjects, nil: all
---@return table { workers = { counts, rss, each (KiB) }?, idle = name -> { base (KiB), bytes } }
function memory.run(wanted)
  local result = { idle = {} }
  if not wanted or wanted.luaqueduct then result.workers = run_workers() end
  for _, name in ipairs(HOLDERS) do
    if not wanted or wanted[name] then result.idle[name] = run_idle(name) end
  end
  return result
end

memory.holders = HOLDERS

return memory
