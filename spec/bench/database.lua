--- PostgreSQL behind each server: luaqueduct, Node with pg, Go with pgx, and the limit.
--
-- A cluster of its own runs on the load's CPU, so that the servers have theirs to themselves.
-- One query a request goes over one deep pipeline where a server pipelines, everything else over
-- eight connections.

local client = require "spec.support.client"
local config = require "spec.bench.config"
local cpu = require "spec.bench.cpu"
local files = require "spec.bench.files"
local instance = require "spec.bench.instance"
local json = require "luaqueduct.core.json"
local load = require "spec.bench.load"
local pg = require "spec.support.postgres"
local proc = require "spec.proc"
local rounds = require "spec.bench.rounds"
local syscalls = require "spec.bench.syscalls"
local wait = require "spec.support.wait"

local POOL, SHORT_POOL = 8, 4
local LONG_ROWS, CROWD, CROWDS = 1000000, 10000, 12
local HERE = "spec/bench/subjects/database."

local database = { subjects = {}, scenarios = {} }

-- ---- who is compared ----

local function add_subject(name, label, is_fixed, argv)
  local subject = { name = name, label = label, fixed = is_fixed, argv = argv }
  table.insert(database.subjects, subject)
  database.subjects[name] = subject
end

add_subject("bare", "bare loop over libpq", true, function(port, scenario)
  return { config.folder .. "/database", port, scenario.pool, scenario.url }
end)
add_subject("luaqueduct", "luaqueduct", true, function(port, scenario)
  return { config.build .. "/luaqueduct", "serve", HERE .. "lua", "-p", port, "-j", 1,
    "--idle-timeout", 600, "--log-level", "warn", "--option", "url=" .. scenario.url,
    "--option", "size=" .. scenario.pool }
end)
add_subject("pgx", "Go, pgx", false, function(port, scenario)
  return { config.folder .. "/database_pgx", port, POOL, scenario.url }
end)
add_subject("node", "Node, pg", false, function(port, scenario)
  return { "env", "NODE_PATH=" .. config.folder .. "/node_modules", "node", HERE .. "js", port,
    POOL, scenario.url }
end)

-- ---- what is asked ----

local function is_world(row)
  return type(row) == "table" and math.type(row.id) == "integer" and row.id >= 1
    and row.id <= 10000 and math.type(row.randomNumber) == "integer"
end

local function is_one(body) return is_world(json.decode(body)) end

local function are_twenty(body)
  local rows = json.decode(body)
  if type(rows) ~= "table" or #rows ~= 20 then return false end
  for _, row in ipairs(rows) do
    if not is_world(row) then return false end
  end
  return true
end

--- Twelve rows and the one of the server, sorted and escaped.
local function are_fortunes(body)
  local count = select(2, body:gsub("<tr><td>", ""))
  return count == 13 and body:find("<tr><td>11</td><td>&lt;script&gt;alert(&quot;This", 1, true)
    and body:find("don&#39;t", 1, true) and body:find("待てば海路の日和あり", 1, true)
    and body:find "<tr><td>3</td>.*<tr><td>11</td>.*<tr><td>2</td>.*<tr><td>0</td>"
end

local function add_scenario(name, title, path, pool, check, type)
  table.insert(database.scenarios, {
    name = name, title = title, path = path, pool = pool, check = check,
    type = type or "application/json", connections = 64, depth = 1, subjects = database.subjects,
  })
end

add_scenario("db-one", "PostgreSQL: one query a request", "/one", 1, is_one)
add_scenario("db-queries", "PostgreSQL: 20 queries a request", "/queries", POOL, are_twenty)
add_scenario("db-updates", "PostgreSQL: 20 rows read and updated a request", "/updates", POOL,
  are_twenty)
add_scenario("db-fortunes", "PostgreSQL: Fortunes", "/fortunes", POOL, are_fortunes,
  "text/html; charset=utf-8")

-- ---- the long table ----

--- Reads all rows in a process that has read few: seconds, and KiB that it grew by.
local function read_long(subject, scenario)
  local server <close> = instance.start(subject, scenario)
  local conn = client.connect { host = "127.0.0.1", port = server.port, timeout = 120 }
  local function read(count)
    local res = assert(conn:request("GET", "/long/" .. count))
    local got = json.decode(res.body)
    assert(got.rows == count and got.sum == count * (count + 1) // 2, res.body)
  end
  read(1000)
  local before = cpu.rss(server.pid)
  cpu.forget_peak(server.pid)
  local began = proc.now()
  read(LONG_ROWS)
  local seconds = proc.now() - began
  conn:close()
  return seconds, cpu.peak(server.pid) - before
end

local function measure_long(names, url)
  local result = {}
  for round = 1, config.rounds do
    for _, name in ipairs(names) do
      if name == "luaqueduct" or name == "node" then
        local point = result[name] or { rate = {}, growth = {} }
        local seconds, growth = read_long(database.subjects[name], { pool = 1, url = url })
        point.rate[round], point.growth[round] = LONG_ROWS / seconds, growth
        result[name] = point
      end
    end
    io.stderr:write(("db: long rows, round %d of %d\n"):format(round, config.rounds))
  end
  return result
end

-- ---- calls and crowds ----

local function count_calls(names, scenario)
  local result = {}
  for _, name in ipairs(names) do
    local server <close> = instance.start(database.subjects[name], scenario)
    result[name] = syscalls.per_request(server, scenario)
  end
  return result
end

--- KiB resident after a crowd, when all of it has gone.
local function serve_crowd(server, scenario, before)
  local figures = load.try(server, scenario, math.max(config.seconds, 3))
  wait.till(function() return server:fds() < before + 64 end, 30, "the end of the crowd")
  return figures and figures.errors or scenario.connections, cpu.rss(server.pid)
end

--- Ten thousand clients, four connections, again and again: how many failed, and the memory after
--- half of the crowds and after all.
local function measure_crowd(url)
  local scenario = { name = "db-crowd", path = "/held", pool = SHORT_POOL, url = url, depth = 1,
    connections = CROWD }
  local server <close> = instance.start(database.subjects.luaqueduct, scenario)
  local before = server:fds()
  local failed, sizes = 0, {}
  for i = 1, CROWDS do
    local errors
    errors, sizes[i] = serve_crowd(server, scenario, before)
    failed = failed + errors
  end
  return { failed = failed, first = sizes[CROWDS // 2], last = sizes[CROWDS], clients = CROWD,
    pool = SHORT_POOL, crowds = CROWDS }
end

-- ---- all of it ----

local function start()
  local postgres = pg.start {
    database = "bench",
    launcher = { "taskset", "-c", config.load_cpu },
    max_connections = 200,
    settings = { jit = "off", max_parallel_workers_per_gather = 0, shared_buffers = "256MB",
      synchronize_seqscans = "off" }, -- the long table is read in its order
  }
  postgres:psql(files.read(HERE .. "sql"), { timeout = 120 })
  postgres:psql("vacuum analyze", { timeout = 120 })
  return postgres
end

local function chosen()
  local names = {}
  for _, subject in ipairs(database.subjects) do
    local name = subject.name
    if not config.subjects or config.subjects[name] then names[#names + 1] = name end
  end
  return names
end

---@return table points by scenario and subject; long, calls, crowd
function database.run()
  local names = chosen()
  local postgres <close> = start()
  for _, scenario in ipairs(database.scenarios) do scenario.url = postgres.url end
  local result = rounds.run(database.scenarios, names)

  result.long = measure_long(names, postgres.url)
  result.calls = count_calls(names, database.scenarios[2])
  if result.long.luaqueduct then result.crowd = measure_crowd(postgres.url) end
  return result
end

return database
