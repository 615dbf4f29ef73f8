--- Interleaved rounds: in each, every server is loaded once in every scenario.
--
-- So what the machine does meanwhile falls on all alike, and a ratio is taken
-- inside one round. The order turns by one from round to round.

local config = require "spec.bench.config"
local instance = require "spec.bench.instance"
local load = require "spec.bench.load"
local selftest = require "spec.bench.selftest"
local subjects = require "spec.bench.subjects"

local METRICS = { "requests", "seconds", "rps", "p50_ms", "p99_ms", "cpu_us", "user", "kernel" }

local rounds = {}

local function takes_part(scenario, name)
  if not scenario.servers then return true end
  for _, each in ipairs(scenario.servers) do
    if each == name then return true end
  end
  return false
end

--- The figures of a server in a scenario: none yet.
function rounds.point(server, scenario)
  local point = { server = server, scenario = scenario }
  for _, metric in ipairs(METRICS) do point[metric] = {} end
  return point
end

--- Starts what is needed; a server that answers every path is started once.
local function start(list, names, running)
  local points = {}
  for _, scenario in ipairs(list) do
    for _, name in ipairs(names) do
      if takes_part(scenario, name) then
        local subject = (scenario.subjects or subjects)[name]
        local key = subject.fixed and name .. scenario.path or name
        running[key] = running[key] or instance.start(subject, scenario)
        local point = rounds.point(running[key], scenario)
        point.name = name
        point.bytes = selftest.run(point.server, scenario)
        points[#points + 1] = point
      end
    end
  end
  return points
end

--- One burst; nothing of it is kept when it only warms up.
function rounds.measure(point, seconds)
  local before = point.server:times()
  local got = load.run(point.server, point.scenario, seconds)
  local after = point.server:times()
  got.rps = got.requests / got.seconds
  got.cpu_us = (after.total - before.total) / got.requests * 1e6
  got.user = after.user - before.user
  got.kernel = after.kernel - before.kernel
  return got
end

function rounds.keep(point, got)
  for _, metric in ipairs(METRICS) do table.insert(point[metric], got[metric]) end
end

local function run_rounds(points)
  if #points == 0 then return end
  for round = 1, config.rounds do
    for i = 1, #points do
      local point = points[(i + round - 2) % #points + 1]
      rounds.keep(point, rounds.measure(point, config.seconds))
    end
    io.stderr:write(("round %d of %d\n"):format(round, config.rounds))
  end
end

--- Measures; the servers are stopped when it ends, also by an error.
---@param list table[] scenarios
---@param names string[] subjects, of subjects.lua or of the scenario's own list
---@return table points by scenario and subject: result.plain.nginx.rps[round]
function rounds.run(list, names)
  local running <close> = setmetatable({}, {
    __close = function(servers)
      for _, server in pairs(servers) do server:stop() end
    end,
  })
  local points = start(list, names, running)
  for _, point in ipairs(points) do rounds.measure(point, 1) end
  run_rounds(points)

  local result = {}
  for _, point in ipairs(points) do
    local scenario = point.scenario.name
    result[scenario] = result[scenario] or {}
    result[scenario][point.name] = point
  end
  return result
end

return rounds
