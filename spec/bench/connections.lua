--- Connections that stay: what an idle one takes, and how soon a message is back.
--
-- Memory is the growth of the proportional size of the server and of what it
-- started (the guard, the runtime), after a hundred connections that came and
-- went: with some, with all, and after all have sent their messages. Each
-- sends one every ten seconds, one connection after the other. At last more
-- than one process may hold, over three runtimes that share the port.

local config = require "spec.bench.config"
local clients = require "spec.bench.clients"
local instance = require "spec.bench.instance"
local residents = require "spec.bench.residents"
local selftest = require "spec.bench.selftest"

local RUNTIMES = 3
local EVERY, SECONDS = 10, 20
local SOURCES = 8 -- that a process of clients uses

local connections = {
  few = math.min(5000, config.idle // 2),
  all = config.idle,
  most = config.idle // 19 * 40,
}

--- Of several servers, closed together.
local function bundle()
  return setmetatable({}, {
    __close = function(list)
      for _, each in ipairs(list) do each:stop() end
    end,
  })
end

--- KiB of all servers, when they have come to rest.
local function size(servers)
  local sum = 0
  for _, server in ipairs(servers) do sum = sum + server:settled_pss() end
  return sum
end

local function demand_open(servers, count)
  local fds = 0
  for _, server in ipairs(servers) do fds = fds + server:fds() end
  if fds < count then
    error(("%s holds %d of %d connections"):format(servers[1].subject.name, fds, count), 0)
  end
end

--- Has all send their messages; the figures of the slowest program of clients.
local function talk(held)
  local result = { sent = 0, lost = 0, closed = 0, median = 0, p99 = 0, max = 0 }
  for _, each in ipairs(held) do each:start() end
  for _, each in ipairs(held) do
    local figures = each:figures()
    for _, name in ipairs { "sent", "lost", "closed" } do
      result[name] = result[name] + figures[name]
    end
    for _, name in ipairs { "median", "p99", "max" } do
      result[name] = math.max(result[name], figures[name])
    end
  end
  return result
end

--- `steps`: how many connections each program of clients opens, one after the other.
local function measure(servers, kind, steps)
  local options = { work = "talk", kind = kind, seconds = SECONDS, every = EVERY }
  local function open(count, source)
    options.count, options.source = count, source
    return clients.open(servers[1], options)
  end

  selftest.echo(servers[1], kind)
  open(100, 2):stop()
  local held <close>, base, count, bytes = bundle(), size(servers), 0, {}
  for i, step in ipairs(steps) do
    held[i], count = open(step, 2 + (i - 1) * SOURCES), count + step
    bytes[i] = (size(servers) - base) * 1024 / count
    demand_open(servers, count)
  end
  local result = talk(held)
  demand_open(servers, count)
  result.count, result.base, result.bytes = count, base, bytes[#bytes]
  if #steps == 2 then
    result.few = bytes[1]
    result.further = (bytes[2] * count - bytes[1] * steps[1]) / steps[2]
  end
  result.after = (size(servers) - base) * 1024 / count
  io.stderr:write(("connections: %d of %s to %d × %s: %.0f bytes, %d lost, p99 %.2f ms\n"):format(
    count, kind, #servers, servers[1].subject.label, result.bytes, result.lost, result.p99))
  return result
end

local function measure_one(subject, kind)
  local servers <close> = bundle()
  servers[1] = instance.start(subject)
  return measure(servers, kind, { connections.few, connections.all - connections.few })
end

local function measure_shared(kind)
  local servers <close> = bundle()
  for i = 1, RUNTIMES do
    servers[i] = instance.start(residents.shared[kind], nil, 1, i > 1 and servers[1].port or nil)
  end
  local quarter = connections.most // 4
  return measure(servers, kind, { quarter, quarter, quarter, connections.most - 3 * quarter })
end

---@return table { tcp, ws: { luaqueduct, node, erlang, shared: { count, sent, lost, closed, median,
---  p99, max (ms), base (KiB), few, bytes, further, after (bytes a connection) } } }
function connections.run()
  local result = {}
  for _, kind in ipairs { "tcp", "ws" } do
    result[kind] = {}
    for _, subject in ipairs(residents[kind]) do
      result[kind][subject.name] = measure_one(subject, kind)
    end
    if result[kind].luaqueduct then result[kind].shared = measure_shared(kind) end
  end
  return result
end

return connections
