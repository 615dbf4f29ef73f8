--- What luaqueduct is to reach, and whether it does.
--
-- A target holds when the median is within it plus half the interquartile
-- range. Fewer than 15 rounds, or less than 60 s of user CPU a server, are
-- said: that is a look, not a judgement.

local measures = require "spec.bench.measures"
local stats = require "spec.bench.stats"

local MIN_ROUNDS, MIN_USER_SECONDS = 15, 60

local targets = { list = {} }

--- Adds "luaqueduct's figure is `sense` `limit`"; `measure` gets the result.
local function add(id, text, sense, limit, measure)
  table.insert(targets.list, { id = id, text = text, sense = sense, limit = limit,
    measure = measure })
end

--- `metric` of luaqueduct in `scenario` against a peer in the same one.
local function add_ratio(id, text, sense, limit, metric, scenario, peer)
  add(id, text, sense, limit, function(result)
    local points = result[scenario] or {}
    local compare = metric == "user" and measures.user_ratio
      or function(...) return measures.ratio(metric, ...) end
    return compare(points.luaqueduct, points[peer])
  end)
end

--- The same against luaqueduct's own plain text.
local function add_own(id, text, sense, limit, metric, scenario)
  add(id, text, sense, limit, function(result)
    local own = (result[scenario] or {}).luaqueduct
    return measures.ratio(metric, own, (result.plain or {}).luaqueduct)
  end)
end

for _, each in ipairs { { "plain", "plain text" }, { "json", "JSON" }, { "route", "route" } } do
  local name, title = each[1], each[2]
  add_ratio(name .. "-cpu-raw", title .. ": CPU a request × raw loop", "≤", 1.15, "cpu_us",
    name, "raw")
  add_ratio(name .. "-user-nginx", title .. ": user CPU × nginx+Lua", "≤", 0.45, "user",
    name, "nginx")
  add_ratio(name .. "-user-prototype", title .. ": user CPU × prototype", "≤", 1.6, "user",
    name, "prototype")
  add_ratio(name .. "-rps-node", title .. ": requests/s × Node", "≥", 2, "rps", name, "node")
  add_ratio(name .. "-rps-fastify", title .. ": requests/s × Fastify", "≥", 3, "rps",
    name, "fastify")
end
add_own("route-cpu-plain", "route: CPU a request × own plain text", "≤", 1.05, "cpu_us", "route")
add_own("route-rps-plain", "route: requests/s × own plain text", "≥", 0.95, "rps", "route")
add_ratio("pipelined-cpu-raw", "16 pipelined: CPU a request × raw loop", "≤", 1.8, "cpu_us",
  "pipelined", "raw")
add_own("many-rps-own", "256 connections: requests/s × own at 64", "≥", 0.95, "rps", "many")
add_ratio("many-p99-nginx", "256 connections: p99 × nginx+Lua", "≤", 1, "p99_ms", "many", "nginx")


add("memory-worker", "a further worker, KiB resident", "≤", 4096, function(result)
  local workers = result.memory and result.memory.workers
  return workers and { median = workers.each, iqr = 0 }
end)
add("memory-idle", "an idle connection, bytes resident", "≤", 640, function(result)
  local idle = result.memory and result.memory.idle.luaqueduct
  return idle and { median = idle.bytes.median, iqr = idle.bytes.iqr }
end)

--- One figure of the log's measurements against another.
local function add_log(id, text, sense, limit, metric, upper, lower)
  add(id, text, sense, limit, function(result)
    local log = result.log
    return log and measures.ratio(metric, log[upper], log[lower])
  end)
end

add_log("log-rps", "a record a request to a file: requests/s × none", "≥", 0.95, "rps", "file",
  "without")
add_log("log-p99-stalled", "a record a request, unread for 2 s: p99 × to a file", "≤", 1, "p99_ms",
  "stalled", "file")
add("log-queue", "records/s through the log's queue, 4 threads", "≥", 1e6, function(result)
  return result.log and stats.summary(result.log.queue)
end)

--- A figure of a round, the median over the rounds.
local function add_median(id, text, sense, limit, part, name)
  add(id, text, sense, limit, function(result)
    return result[part] and stats.summary(result[part][name])
  end)
end

--- One figure of the messages' measurements against another.
local function add_messages(id, text, sense, limit, pick)
  add(id, text, sense, limit, function(result)
    if result.messages then return stats.ratio(pick(result.messages)) end
  end)
end

add("messages-rate", "messages/s from one worker to another", "≥", 3e6, function(result)
  return result.messages and stats.summary(result.messages.rates.luaqueduct)
end)
add_messages("messages-node", "messages/s × Node's worker_threads", "≥", 3, function(messages)
  return messages.rates.luaqueduct, messages.rates.node
end)
add_messages("messages-broadcast", "a broadcast to 8: the sender's CPU × to one", "≤", 1.5,
  function(messages) return messages.all, messages.one end)
add("call-sleeping", "service:call when both sleep: × a bare uv_async round trip", "≤", 1.2,
  function(result)
    return result.calls and stats.ratio(result.calls.sleeping, result.calls.limit)
  end)
add_median("call-spinning", "service:call while messages keep coming (--spin), µs", "≤", 4,
  "calls", "spinning")
add_median("stay-exit", "os.exit: ms until the next worker has answered", "≤", 100, "staying",
  "exit")
add_median("stay-broken", "a panic: ms until the next worker has answered", "≤", 100, "staying",
  "broken")
add_median("stay-killed", "kill -9: ms until the next runtime has answered", "≤", 300, "staying",
  "killed")
--- A figure of the whole run.
local function add_once(id, text, sense, limit, measure)
  add(id, text, sense, limit, function(result)
    local value = result.staying and measure(result.staying)
    return value and { median = value, iqr = 0 }
  end)
end

add_once("stay-refused", "... refused of 200 connections a second meanwhile", "≤", 0,
  function(stay) return stay.refused end)
add_once("stay-reload", "100 reloads, 64 busy connections: requests that failed", "≤", 0,
  function(stay) return stay.reload.failed end)
add_once("stay-pause", "... p99 of all requests, ms", "≤", 20,
  function(stay) return stay.reload.p99 end)

--- A figure of the connections that stay.
local function add_connections(id, text, sense, limit, kind, measure)
  add(id, text, sense, limit, function(result)
    local of_kind = result.connections and result.connections[kind]
    if not of_kind or not of_kind.luaqueduct then return nil end
    return { median = measure(of_kind), iqr = 0 }
  end)
end

for _, each in ipairs { { "tcp", "TCP", 640 }, { "ws", "WebSocket", 800 } } do
  local kind, title, bytes = each[1], each[2], each[3]
  add_connections(kind .. "-bytes", title .. ": bytes an idle connection", "≤", bytes, kind,
    function(of) return of.luaqueduct.bytes end)
  add_connections(kind .. "-flat", "... of a further one, from 5,000 on × that", "≤", 1.1, kind,
    function(of) return of.luaqueduct.further / of.luaqueduct.bytes end)
  add_connections(kind .. "-shared", "... over three runtimes", "≤", bytes, kind,
    function(of) return of.shared.bytes end)
  add_connections(kind .. "-lost", title .. ": messages lost, connections closed", "≤", 0, kind,
    function(of)
      return of.luaqueduct.lost + of.luaqueduct.closed + of.shared.lost + of.shared.closed
    end)
  add_connections(kind .. "-p99", title .. ": p99 of the echo, ms", "≤", 20, kind,
    function(of) return of.luaqueduct.p99 end)
  add_connections(kind .. "-shared-p99", "... over three runtimes", "≤", 20, kind,
    function(of) return of.shared.p99 end)
end

--- Deliveries against Node's: of one message at a time, or of some in a row.
local function add_fanout(id, text, how)
  add(id, text, "≥", 2, function(result)
    local points = result.fanout and result.fanout[how] or {}
    return measures.ratio("rate", points.luaqueduct, points.node)
  end)
end

add_fanout("fanout-one", "one message to 10,000 WebSockets: deliveries/s × Node ws", "one")
add_fanout("fanout-row", "... and eight in a row", "row")
add("echo-cpu-raw", "WebSocket echo: CPU a message × raw loop", "≤", 1.5, function(result)
  local echo = result.echo or {}
  return measures.ratio("cpu_us", echo.luaqueduct, echo.raw)
end)

--- luaqueduct's figure of the part `db` against a peer's in the same scenario.
local function add_db(scenario, title, peer, label, limit)
  add(("%s-%s"):format(scenario, peer), ("%s: requests/s × %s"):format(title, label), "≥", limit,
    function(result)
      local points = result.db and result.db[scenario] or {}
      return measures.ratio("rps", points.luaqueduct, points[peer])
    end)
end

--- A figure that is measured once.
local function add_db_once(id, text, limit, measure)
  add(id, text, "≤", limit, function(result)
    local value = result.db and measure(result.db)
    return value and { median = value, iqr = 0 }
  end)
end

add_db("db-one", "PostgreSQL, one query", "bare", "bare loop, one deep pipeline", 0.85)
add_db("db-one", "PostgreSQL, one query", "pgx", "Go's pgx", 1.5)
add_db("db-one", "PostgreSQL, one query", "node", "Node's pg", 2.5)
add_db("db-queries", "PostgreSQL, 20 queries", "bare", "bare loop, 8 pipelines", 0.8)
add_db("db-queries", "PostgreSQL, 20 queries", "pgx", "Go's pgx", 3.5)
add_db("db-queries", "PostgreSQL, 20 queries", "node", "Node's pg", 4.5)
add_db_once("db-calls", "... system calls a request", 5, function(db)
  return db.calls.luaqueduct
end)
add("db-long-growth", "PostgreSQL, each over 1,000,000 rows: KiB more", "≤", 8192,
  function(result)
    local own = result.db and result.db.long.luaqueduct
    return own and stats.summary(own.growth)
  end)
add("db-long-node", "... rows/s × Node's pg-cursor", "≥", 2, function(result)
  local long = result.db and result.db.long
  if long and long.luaqueduct and long.node then
    return stats.ratio(long.luaqueduct.rate, long.node.rate)
  end
end)
add_db_once("db-crowd-failed", "10,000 clients wait for 4 connections: requests that failed", 0,
  function(db) return db.crowd and db.crowd.failed end)
add_db_once("db-crowd-memory", "... memory after 12 such crowds × after 6", 1.1, function(db)
  return db.crowd and db.crowd.last / db.crowd.first
end)

local function too_little(got)
  if got.seconds and got.seconds < MIN_USER_SECONDS - 0.5 then
    return ("over %.0f s of %d"):format(got.seconds, MIN_USER_SECONDS)
  elseif got.count and got.count < MIN_ROUNDS then
    return ("rounds: %d of %d"):format(got.count, MIN_ROUNDS)
  end
end

--- Looks at one target.
---@return table? { median, iqr, holds, caution } nil: not measured
function targets.judge(target, result)
  local got = target.measure(result)
  if not got then return nil end
  local slack = got.iqr / 2
  local holds
  if target.sense == "≤" then
    holds = got.median <= target.limit + slack
  else
    holds = got.median >= target.limit - slack
  end
  return { median = got.median, iqr = got.iqr, holds = holds, caution = too_little(got) }
end

return targets
