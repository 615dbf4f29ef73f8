--- Queries all the time while the database is killed, cut off or held still again and again: the
--- pools of workers and the one for all, side by side, on one server.
--
-- LQ_SOAK_DB_SECONDS=60: that long, at any scale. In a short run there is a fault every 5 s.

local command = require "spec.support.command"
local json = require "luaqueduct.core.json"
local load = require "spec.support.load"
local pg = require "spec.support.postgres"
local proc = require "spec.proc"
local scale = require "spec.support.scale"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

local SECONDS = tonumber(os.getenv "LQ_SOAK_DB_SECONDS") or scale(22, 600)
local PERIOD = SECONDS >= 120 and 20 or 5
local WORKERS, CLIENTS, SIZE = 2, 16, 4
-- The pool waits 2 s at most from one try to the next one, which may take 1 s.
local RECOVERY_SECONDS = load.is_plain and 4 or 10
local GROWTH = 1.2

-- What the 503 may say: the database is away, or was too slow.
local CODES = { connection_lost = true, query_timeout = true, pool_timeout = true,
  ECONNREFUSED = true, ENOENT = true, timeout = true,
  ["57P01"] = true, -- ended by an administrator
  ["57P03"] = true, -- it is starting up
}

-- ---- one app and those who ask it -----------------------------------------------------------

local function activity(postgres, app, condition)
  return tonumber((postgres:psql(([[select count(*) from pg_stat_activity
    where application_name = 'soak_%s' and %s]]):format(app.name, condition or "true"))))
end

--- What each worker says of its database, by worker.
local function stats_of(app)
  local all, count, conns = {}, 0, {}

  wait.till(function()
    local conn = app.server:connect()
    conns[#conns + 1] = conn
    local stats = json.decode(assert(conn:get "/stats").body)
    if not all[stats.worker] then count = count + 1 end
    all[stats.worker] = stats
    return count == WORKERS
  end, 10, "an answer of each worker")
  for _, conn in ipairs(conns) do conn:close() end
  return all
end

--- Of all pools that the app has: one for each worker, or one.
local function total(app, field)
  local sum = 0

  for _, stats in pairs(stats_of(app)) do
    if app.is_shared then return stats[field] end
    sum = sum + stats[field]
  end
  return sum
end

--- Descriptors that are not the clients' and not the database's, at a moment when none of these
--- comes or goes.
local function own_descriptors(app)
  local open, count, same

  wait.till(function()
    open, same = total(app, "open"), 0
    wait.till(function() -- our own connections go a moment later
      local now = app.server:fds()
      same = now == count and same + 1 or 0
      count = now
      return same == 5
    end)
    return total(app, "open") == open
  end, 10, "as many connections as before, " .. app.name)
  return count - open
end

local function start_app(postgres, is_shared)
  local app = { is_shared = is_shared, name = is_shared and "shared" or "worker", rss = {},
    slowest = 0, first = is_shared and 1 << 40 or 1 }

  app.server = server.start { app = "spec/soak/db_app.lua", workers = WORKERS, env = {
    SOAK_URL = postgres.url .. "&application_name=soak_" .. app.name,
    SOAK_SHARED = tostring(is_shared),
  } }
  app.limit = SIZE * (is_shared and 1 or WORKERS)
  return app
end

local function start_clients(app)
  app.folder = command.folder()
  app.clients = assert(proc.spawn({ "lua5.4", "spec/soak/db_clients.lua",
    tostring(app.server.port), tostring(SECONDS), tostring(CLIENTS), tostring(app.first),
    app.folder .. "/committed" }, {
    env = command.environment { LD_PRELOAD = os.getenv "LD_PRELOAD" or false },
    stdout = app.folder .. "/stdout",
    stderr = app.folder .. "/stderr",
  }))
end

local function read_results(app)
  local text = command.read_file(app.folder .. "/stdout")

  app.counts, app.codes = {}, {}
  app.errors = command.read_file(app.folder .. "/stderr")
  for name, value in text:gmatch "(%S+)\t(%S+)\n" do
    local code = name:match "^code%.(.*)"
    local list = code and app.codes or app.counts
    list[code or name] = tonumber(value)
  end
end

--- Whether every worker gets an answer from the database.
local function works(app)
  local answers = 0

  for _ = 1, WORKERS * 2 do
    local res = app.server:get "/value/7"
    if res and res.status == 200 then answers = answers + 1 end
  end
  return answers == WORKERS * 2
end

--- Waits until it works again; keeps how long that took at most.
local function recover(app)
  local from = proc.now()

  wait.till(function() return works(app) end, 10, "queries to work again, " .. app.name)
  app.slowest = math.max(app.slowest, proc.now() - from)
end

-- ---- the course -----------------------------------------------------------------------------

local faults = {
  function(postgres) -- the power fails
    postgres:kill()
    postgres:start()
  end,
  function(postgres) -- connections are ended
    postgres:psql [[select pg_terminate_backend(pid) from pg_stat_activity
      where application_name like 'soak_%']]
  end,
  function(postgres) -- it stands still, for longer than queries may take
    local ends = proc.now() + 2
    postgres:pause()
    wait.till(function() return proc.now() >= ends end)
    postgres:resume()
  end,
}

--- Looks at memory until then, or until the clients are done.
local function watch(apps, deadline)
  local at = 0

  wait.till(function()
    if proc.now() >= at then
      at = proc.now() + 0.5
      for _, app in ipairs(apps) do
        table.insert(app.rss, { at = proc.now(), kib = app.server:rss() })
      end
    end
    return proc.now() >= deadline
  end, wait.left(deadline) + 5)
end

local function soak(postgres, apps)
  local from, count = proc.now(), 0

  for _, app in ipairs(apps) do start_clients(app) end
  while proc.now() + PERIOD < from + SECONDS do
    watch(apps, from + (count + 1) * PERIOD)
    faults[count % #faults + 1](postgres)
    count = count + 1
    for _, app in ipairs(apps) do recover(app) end
  end
  watch(apps, from + SECONDS)
  for _, app in ipairs(apps) do
    local status = proc.wait(app.clients, 60)
    read_results(app)
    assert.are.equal(0, status, app.errors)
    app.clients = nil
  end
  return count
end

--- The largest of the second half by the largest of the first.
local function growth(app)
  local first, last = app.rss[1].at, app.rss[#app.rss].at
  local most = { 0, 0 }

  for _, sample in ipairs(app.rss) do
    local half = sample.at < (first + last) / 2 and 1 or 2
    most[half] = math.max(most[half], sample.kib)
  end
  return most[2] / most[1], most[2]
end

local function report(app, count)
  local parts = {}
  for name, value in pairs(app.counts) do parts[#parts + 1] = ("%s %g"):format(name, value) end
  for name, value in pairs(app.codes) do parts[#parts + 1] = ("%s %d"):format(name, value) end
  table.sort(parts)
  local by, kib = growth(app)
  return ("%s: %d faults in %d s, %s; recovered within %.2f s, memory %.1f MiB, x %.3f\n%s"):format(
    app.name, count, SECONDS, table.concat(parts, ", "), app.slowest, kib / 1024, by,
    app.errors)
end

-- ---- what must hold -------------------------------------------------------------------------

local function check_answers(app, text)
  assert.are.equal(0, app.counts.unanswered, text)
  assert.are.equal(0, app.counts.wrong, text)
  assert.are.equal(0, app.counts.late, text)
  assert.is_true(app.counts.answered > SECONDS * 20, text)
  assert.is_true(app.counts.unavailable > 0, text)
  for code in pairs(app.codes) do assert.is_truthy(CODES[code], code .. "\n" .. text) end
end

--- Each transaction whole or not at all, and those that were said to be committed are there.
local function check_transactions(postgres, app, text)
  postgres:psql "drop table if exists said; create table said (n bigint)"
  postgres:psql(("\\copy said from '%s/committed'"):format(app.folder))

  assert.are.equal("0", postgres:psql(
    "select count(*) from (select from pairs group by n having sum(half) <> 3) broken"), text)
  assert.are.equal("0", postgres:psql(
    "select count(*) from said where not exists (select from pairs where pairs.n = said.n)"), text)
  assert.is_true(tonumber((postgres:psql "select count(*) from said")) > SECONDS, text)
end

local function check_connections(postgres, app)
  wait.till(function() return activity(postgres, app) == total(app, "open") end, 5,
    "as many connections as the app says, " .. app.name)
  assert.is_true(total(app, "open") <= app.limit)
  assert.are.equal(0, activity(postgres, app, "state like 'idle in transaction%'"))
  assert.are.equal(0, total(app, "waiting"))
  assert.are.equal(0, total(app, "busy"))
  local open = total(app, "open")
  local are_closed, err = pcall(wait.till, function()
    return app.server:fds() - open <= app.descriptors
  end, 5, "descriptors to be closed, " .. app.name)
  if not are_closed then
    local folder = ("/proc/%d/fd"):format(app.server:runtime())
    error(("%s: %d and %d open, in\n%s"):format(err, app.descriptors, open,
      command.run({ "ls", "-l", folder }).stdout), 0)
  end
end

local function clean_up(apps)
  for _, app in ipairs(apps) do
    if app.clients then
      proc.kill(app.clients, 9)
      proc.wait(app.clients, 5)
    end
    if app.folder then command.remove(app.folder) end
    app.server:kill()
  end
end

describe("aq.db while the database comes and goes", function()
  local postgres
  local apps = {}

  setup(function()
    postgres = pg.start { settings = { max_wal_size = "256MB" } }
    postgres:psql "create table pairs (n bigint, half int)"
  end)
  teardown(function()
    clean_up(apps)
    postgres:close()
  end)

  it("answers every request and leaves no connection behind", function()
    for i, is_shared in ipairs { false, true } do
      apps[i] = start_app(postgres, is_shared)
      recover(apps[i])
      apps[i].descriptors = own_descriptors(apps[i])
    end
    local count = soak(postgres, apps)

    for _, app in ipairs(apps) do
      wait.till(function() return works(app) end, 2, "queries after the end")
      app.text = report(app, count)
      if os.getenv "LQ_VERBOSE" then io.stderr:write(app.text) end
    end
    for _, app in ipairs(apps) do
      check_answers(app, app.text)
      check_transactions(postgres, app, app.text)
      check_connections(postgres, app)
      assert.is_true(app.slowest <= RECOVERY_SECONDS, app.text)
      assert.is_true(not load.is_plain or growth(app) <= GROWTH, app.text)
    end
    for _, app in ipairs(apps) do
      app.server:stop()
      wait.till(function() return activity(postgres, app) == 0 end, 5, "the last connection's end")
    end
  end)
end)
