--- Messages of WebSockets as fast as they go: an echo, and messages to all.
--
-- Interleaved as rounds.lua does it, the first round is not kept; a server
-- stays over all rounds, its connections come and go with each. The echo has a
-- CPU for the server and one for the clients; to all, everybody has both.

local config = require "spec.bench.config"
local clients = require "spec.bench.clients"
local instance = require "spec.bench.instance"
local residents = require "spec.bench.residents"
local selftest = require "spec.bench.selftest"

local METRICS = { "rate", "cpu_us", "median", "p99" }
local BOTH = config.server_cpu .. "," .. config.load_cpu

local bursts = { subscribers = 10000, echoing = 64, row = 8 }

local function measure(point)
  local held <close> = clients.open(point.server, point.options)
  local before = point.server:times()
  local got = held:run()
  local after = point.server:times()
  if got.lost > 0 or got.closed > 0 then
    error(("%s: %d messages lost, %d connections closed"):format(point.server.subject.name,
      got.lost, got.closed), 0)
  end
  got.rate = got.got / got.seconds
  got.cpu_us = (after.total - before.total) / got.got * 1e6
  return got
end

local function run(points, title)
  for round = 0, config.rounds do
    for i = 1, #points do
      local point = points[(i + round) % #points + 1]
      local got = measure(point)
      for _, metric in ipairs(round > 0 and METRICS or {}) do
        table.insert(point[metric], got[metric])
      end
    end
    if round > 0 then
      io.stderr:write(("%s: round %d of %d\n"):format(title, round, config.rounds))
    end
  end
end

local function add(points, server, options)
  local point = { server = server, name = server.subject.name, options = options }
  options.seconds = config.seconds
  for _, metric in ipairs(METRICS) do point[metric] = {} end
  points[#points + 1] = point
end

--- What is measured of each by its name, the servers stopped.
local function by_name(points)
  local result = {}
  for _, point in ipairs(points) do result[point.name] = point end
  return result
end

local function open_points()
  return setmetatable({}, {
    __close = function(points)
      for _, point in ipairs(points) do point.server:stop() end
    end,
  })
end

---@return table name -> { rate (messages/s), cpu_us, median, p99 (ms): number[] }
function bursts.echo()
  local points <close> = open_points()
  for _, kind in ipairs { "raw", "ws" } do
    for _, subject in ipairs(residents[kind]) do
      add(points, instance.start(subject),
        { work = "echo", kind = kind, count = bursts.echoing })
      selftest.echo(points[#points].server, kind)
    end
  end
  run(points, "echo")
  return by_name(points)
end

--- `burst` messages in a row, again when all have them.
local function fanout(burst)
  local points <close> = open_points()
  for _, subject in ipairs(residents.room) do
    add(points, instance.start(subject, nil, 2), { work = "fanout", kind = "ws", path = "/room",
      count = bursts.subscribers, burst = burst, cpus = BOTH })
    selftest.echo(points[#points].server, "ws", "/room")
  end
  run(points, ("fanout of %d"):format(burst))
  return by_name(points)
end

---@return table { one, row: name -> { rate (deliveries/s), cpu_us, median, p99 (ms until all have
---  all): number[] } }
function bursts.fanout()
  return { one = fanout(1), row = fanout(bursts.row) }
end

return bursts
