--- The result as Markdown: the machine, a table for each scenario, the targets.

local bursts = require "spec.bench.bursts"
local config = require "spec.bench.config"
local connections = require "spec.bench.connections"
local database = require "spec.bench.database"
local machine = require "spec.bench.machine"
local measures = require "spec.bench.measures"
local messaging = require "spec.bench.messaging"
local notes = require "spec.bench.notes"
local residents = require "spec.bench.residents"
local scenarios = require "spec.bench.scenarios"
local stats = require "spec.bench.stats"
local subjects = require "spec.bench.subjects"
local targets = require "spec.bench.targets"

local report = {}

local function row(lines, cells) lines[#lines + 1] = "| " .. table.concat(cells, " | ") .. " |" end

--- Words stand left: the first column, and those from `from` on.
local function head(lines, cells, from)
  local rules = {}
  for i = 1, #cells do rules[i] = (i == 1 or i >= (from or #cells + 1)) and "---" or "---:" end
  row(lines, cells)
  row(lines, rules)
end

--- "1.07 ± 0.02": the median, and half the interquartile range.
local function spread(summary, format)
  if not summary then return "–" end
  local median, half = format:format(summary.median), format:format(summary.iqr / 2)
  return tonumber(half) == 0 and median or median .. " ± " .. half
end

local function server_row(label, point)
  return {
    label,
    spread(stats.summary(point.rps), "%.0f"),
    ("%.2f"):format(stats.summary(point.p50_ms).median),
    ("%.2f"):format(stats.summary(point.p99_ms).median),
    spread(stats.summary(point.cpu_us), "%.2f"),
    ("%.2f"):format(measures.split(point, "user")),
    ("%.2f"):format(measures.split(point, "kernel")),
    point.bytes and tostring(point.bytes),
  }
end

local function add_servers(lines, points, list)
  head(lines, { "server", "requests/s", "p50 ms", "p99 ms", "CPU µs a request", "user µs",
    "kernel µs", "answer bytes" })
  for _, subject in ipairs(list) do
    local point = points[subject.name]
    if point then row(lines, server_row(subject.label, point)) end
  end
end

local function add_ratios(lines, points, list)
  local own = points.luaqueduct
  if not own then return end
  lines[#lines + 1] = ""
  head(lines, { "luaqueduct ÷", "requests/s", "CPU a request", "user CPU", "p99" })
  for _, subject in ipairs(list) do
    local peer = points[subject.name]
    if peer and peer ~= own then
      row(lines, {
        subject.label,
        spread(measures.ratio("rps", own, peer), "%.2f"),
        spread(measures.ratio("cpu_us", own, peer), "%.3f"),
        spread(measures.user_ratio(own, peer), "%.2f"),
        spread(measures.ratio("p99_ms", own, peer), "%.2f"),
      })
    end
  end
end

local function add_scenario(lines, scenario, points)
  lines[#lines + 1] = ("\n## %s\n"):format(scenario.title)
  lines[#lines + 1] = ("`GET %s`, %d connections, pipeline depth %d.\n"):format(scenario.path,
    scenario.connections, scenario.depth)
  add_servers(lines, points, scenario.subjects or subjects.list)
  add_ratios(lines, points, scenario.subjects or subjects.list)
end

local function add_workers(lines, workers)
  local labels, sizes = { "workers" }, { "KiB resident" }
  for i, count in ipairs(workers.counts) do
    labels[i + 1], sizes[i + 1] = tostring(count), ("%d"):format(workers.rss[i])
  end
  lines[#lines + 1] = "luaqueduct with `app.lua`, after all its workers have answered.\n"
  head(lines, labels)
  row(lines, sizes)
  lines[#lines + 1] = ("\nA further worker: %.0f KiB.\n"):format(workers.each)
end

local function add_memory(lines, memory)
  lines[#lines + 1] = "\n## Memory\n"
  if memory.workers then add_workers(lines, memory.workers) end
  lines[#lines + 1] = ("%d idle connections, one answer each; growth of resident memory.\n")
    :format(config.idle)
  head(lines, { "server", "KiB before", "bytes a connection" })
  for _, subject in ipairs(subjects.list) do
    local idle = memory.idle[subject.name]
    if idle then
      row(lines, { subject.label, ("%d"):format(idle.base), spread(idle.bytes, "%.0f") })
    end
  end
end

local function add_log(lines, log)
  lines[#lines + 1] = "\n## Logging\n"
  lines[#lines + 1] = "luaqueduct with `app.lua`: `GET /plain`, and `GET /logged`, the same "
    .. "handler with one `aq.log.info` of two fields. The thread of the log runs on the "
    .. "server's CPU, too.\n"
  head(lines, { "what", "requests/s", "p50 ms", "p99 ms", "CPU µs a request", "user µs",
    "kernel µs" })
  row(lines, server_row("no record", log.without))
  row(lines, server_row("to a file", log.file))
  row(lines, server_row("to a FIFO, unread for 2 s", log.stalled))
  lines[#lines + 1] = ("\nThe queue alone: %s records/s from 4 threads, none lost."):format(
    spread(stats.summary(log.queue), "%.0f"))
end

local function add_messages(lines, messages)
  lines[#lines + 1] = "\n## Messages\n"
  lines[#lines + 1] = "100-byte strings from one thread to another (Erlang: binaries, between two "
    .. "schedulers), on both CPUs.\n"
  head(lines, { "what", "messages/s", "luaqueduct ÷" })
  for _, name in ipairs(messaging.names) do
    local rates = messages.rates[name]
    row(lines, {
      messaging.labels[name],
      spread(stats.summary(rates), "%.0f"),
      spread(stats.ratio(messages.rates.luaqueduct, rates), "%.2f"),
    })
  end
  lines[#lines + 1] = ("\nCPU of luaqueduct's sender: %s ns a message to one worker, %s ns "
    .. "to eight."):format(spread(stats.summary(messages.one), "%.0f"),
    spread(stats.summary(messages.all), "%.0f"))
end

local function add_calls(lines, calls)
  lines[#lines + 1] = "\n## Services\n"
  lines[#lines + 1] = "One call at a time of a service that gives back its argument; the limit is "
    .. "`subjects/async.c`, two libuv loops that wake each other.\n"
  head(lines, { "what", "µs a round trip" })
  row(lines, { "uv_async, both sleep", spread(stats.summary(calls.limit), "%.1f") })
  row(lines, { "service:call, both sleep", spread(stats.summary(calls.sleeping), "%.1f") })
  row(lines, { "service:call, `--spin 50`", spread(stats.summary(calls.spinning), "%.1f") })
end

local function add_staying(lines, stay)
  local reload = stay.reload
  lines[#lines + 1] = "\n## Deaths and reloads\n"
  head(lines, { "what", "ms until the next one has answered" })
  row(lines, { "a worker: os.exit", spread(stats.summary(stay.exit), "%.1f") })
  row(lines, { "a worker: a panic of Lua", spread(stats.summary(stay.broken), "%.1f") })
  row(lines, { "the runtime: kill -9", spread(stats.summary(stay.killed), "%.1f") })
  lines[#lines + 1] = ("\n100 reloads of the hello app, 2 workers, 64 busy connections: %d "
    .. "requests answered, %d failed; p50 %.1f ms, p99 %.1f ms, longest %.1f ms."):format(
    reload.answered, reload.failed, reload.p50, reload.p99, reload.max)
end

local function connection_row(label, got)
  return {
    label,
    ("%d"):format(got.count),
    got.few and ("%.0f"):format(got.few) or "–",
    ("%.0f"):format(got.bytes),
    ("%.0f"):format(got.after),
    ("%d"):format(got.lost),
    ("%d"):format(got.closed),
    ("%.2f"):format(got.median),
    ("%.2f"):format(got.p99),
    ("%.1f"):format(got.max),
  }
end

local function add_connections(lines, stays)
  lines[#lines + 1] = "\n## Connections that stay\n"
  lines[#lines + 1] = ("User memory an idle connection (growth of the proportional size, the "
    .. "guard's with it): with %d, with all, and with all after 20 s in which each has sent 64 "
    .. "bytes every 10 s. Lost messages, closed connections and the time to the echo are of "
    .. "those."):format(connections.few)
  for _, each in ipairs { { "tcp", "TCP, two bytes of length in front (Node: none)" },
    { "ws", "WebSocket, without deflate" } } do
    local of_kind = stays[each[1]]
    lines[#lines + 1] = "\n" .. each[2] .. ":\n"
    head(lines, { "server", "connections", "bytes, with few", "with all", "after messages",
      "lost", "closed", "p50 ms", "p99 ms", "max ms" })
    for _, subject in ipairs(residents[each[1]]) do
      row(lines, connection_row(subject.label, of_kind[subject.name]))
    end
    if of_kind.shared then
      row(lines, connection_row("luaqueduct, 3 runtimes", of_kind.shared))
    end
  end
end

--- The servers of bursts.lua, and luaqueduct against each.
local function add_bursts(lines, points, lists)
  local own = points.luaqueduct
  head(lines, { "server", "messages/s", "p50 ms", "p99 ms", "CPU µs a message",
    "luaqueduct ÷: messages/s", "CPU" })
  for _, list in ipairs(lists) do
    for _, subject in ipairs(list) do
      local point = points[subject.name]
      row(lines, {
        subject.label,
        spread(stats.summary(point.rate), "%.0f"),
        ("%.2f"):format(stats.summary(point.median).median),
        ("%.2f"):format(stats.summary(point.p99).median),
        spread(stats.summary(point.cpu_us), "%.2f"),
        point ~= own and spread(measures.ratio("rate", own, point), "%.2f") or "",
        point ~= own and spread(measures.ratio("cpu_us", own, point), "%.3f") or "",
      })
    end
  end
end

local function add_fanout(lines, fanout)
  lines[#lines + 1] = "\n## One message to many\n"
  lines[#lines + 1] = ("64 bytes to %d WebSockets, and again when all have them; luaqueduct with "
    .. "2 workers. Servers and clients share both CPUs; a message is one delivery, and the times "
    .. "are those until all have all.\n"):format(bursts.subscribers)
  add_bursts(lines, fanout.one, { residents.room })
  lines[#lines + 1] = ("\nThe same, %d published in a row:\n"):format(bursts.row)
  add_bursts(lines, fanout.row, { residents.room })
end

local function add_echo(lines, points)
  lines[#lines + 1] = "\n## WebSocket echo\n"
  lines[#lines + 1] = ("64 bytes, masked, %d connections, each with one message under way. The "
    .. "raw loop (`subjects/echo.c`) gives the bytes back unread.\n"):format(bursts.echoing)
  add_bursts(lines, points, { residents.raw, residents.ws })
end

local function add_long(lines, long)
  lines[#lines + 1] = "\n## PostgreSQL: a million rows, one by one\n"
  lines[#lines + 1] = "luaqueduct's `db:each`, Node's pg-cursor with 1,000 rows a batch: an "
    .. "integer, a float, a text and a timestamp, one in ten of them NULL.\n"
  head(lines, { "server", "rows/s", "KiB that it grew by at most" })
  for _, subject in ipairs(database.subjects) do
    local point = long[subject.name]
    if point then
      row(lines, { subject.label, spread(stats.summary(point.rate), "%.0f"),
        spread(stats.summary(point.growth), "%.0f") })
    end
  end
end

local function add_database(lines, db)
  for _, scenario in ipairs(database.scenarios) do
    if db[scenario.name] then add_scenario(lines, scenario, db[scenario.name]) end
  end
  lines[#lines + 1] = "\nSystem calls a request with 20 queries, counted by strace, which slows "
    .. "the server:\n"
  head(lines, { "server", "calls" })
  for _, subject in ipairs(database.subjects) do
    local calls = db.calls[subject.name]
    if calls then row(lines, { subject.label, ("%.2f"):format(calls) }) end
  end
  if next(db.long) then add_long(lines, db.long) end
  if db.crowd then
    lines[#lines + 1] = ("\n%d clients of luaqueduct, each in a transaction, %d connections, %d "
      .. "times: %d requests failed; %d KiB resident after half of the crowds, %d after all.")
      :format(db.crowd.clients, db.crowd.pool, db.crowd.crowds, db.crowd.failed, db.crowd.first,
      db.crowd.last)
  end
end

local function target_row(target, verdict)
  local word = verdict.holds and "holds" or "**missed**"
  if verdict.caution then word = word .. " (" .. verdict.caution .. ")" end
  return {
    target.text,
    ("%s %.10g"):format(target.sense, target.limit),
    spread(verdict, target.limit >= 100 and "%.0f" or "%.3f"),
    word,
    not verdict.holds and notes[target.id] or "",
  }
end

local function add_targets(lines, result)
  local held, judged = 0, 0
  lines[#lines + 1] = "\n## Targets\n"
  head(lines, { "what", "target", "measured", "verdict", "what stands in the way" }, 4)
  for _, target in ipairs(targets.list) do
    local verdict = targets.judge(target, result)
    if verdict then
      row(lines, target_row(target, verdict))
      judged, held = judged + 1, held + (verdict.holds and 1 or 0)
    end
  end
  lines[#lines + 1] = ("\n%d of %d targets hold."):format(held, judged)
end

local function add_machine(lines)
  head(lines, { "", "" }, 2)
  for _, pair in ipairs(machine.describe()) do row(lines, pair) end
  lines[#lines + 1] = ("\nServers on CPU %s, one worker, wrk on CPU %s; rounds: %d, of %d s for "
    .. "each server in each scenario. Figures are medians ± half the interquartile range; "
    .. "README.md says how to read them."):format(config.server_cpu, config.load_cpu, config.rounds,
    config.seconds)
end

---@param result table points by scenario and subject, as rounds.run gives them; and `memory`
---@return string Markdown
function report.text(result)
  local lines = { "# Results of `make bench`\n" }
  add_machine(lines)
  for _, scenario in ipairs(scenarios) do
    if result[scenario.name] then add_scenario(lines, scenario, result[scenario.name]) end
  end
  if result.memory then add_memory(lines, result.memory) end
  if result.log then add_log(lines, result.log) end
  if result.messages then add_messages(lines, result.messages) end
  if result.calls then add_calls(lines, result.calls) end
  if result.staying then add_staying(lines, result.staying) end
  if result.connections then add_connections(lines, result.connections) end
  if result.fanout then add_fanout(lines, result.fanout) end
  if result.echo then add_echo(lines, result.echo) end
  if result.db then add_database(lines, result.db) end
  add_targets(lines, result)
  return table.concat(lines, "\n") .. "\n"
end

return report
