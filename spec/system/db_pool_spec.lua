--- aq.db: who gets which connection, and who waits for how long.

local command = require "spec.support.command"
local database = require "spec.support.database"
local pg = require "spec.support.postgres"
local pgbouncer = require "spec.support.pgbouncer"
local proc = require "spec.proc"
local scale = require "spec.support.scale"
local wait = require "spec.support.wait"

local INT, CONT, STOP = 2, 18, 19

describe("a pool", function()
  local site

  setup(function() site = database.start { server = { max_connections = 60 } } end)
  teardown(function() site:stop() end)

  local function run(code)
    return site:run(code)
  end

  --- How many sessions the server has for the app.
  local function sessions()
    return tonumber((site.postgres:psql [[select count(*) from pg_stat_activity
      where application_name = 'luaqueduct']]))
  end

  it("opens connections as they are needed, and no more than its size", function()
    assert.are.same({ 0, 1, 3, 3 }, { run [[
      local db <close> = open { size = 3 }
      local before = db:stats().open
      db:query "select 1"
      local one = db:stats().open
      local function slow() return db:value "select pg_sleep(0.1)" end
      aq.all(slow, slow, slow)
      local three = db:stats().open
      aq.all(slow, slow, slow, slow, slow)
      return before, one, three, db:stats().open]] })
    wait.till(function() return sessions() == 0 end, 5, "the sessions to end")
  end)

  it("opens one more before a query is put behind a busy one", function()
    local quick = run [[
      local db <close> = open { size = 2 }
      db:query "select 1"
      aq.spawn(function() db:query "select pg_sleep(1)" end)
      while db:stats().busy == 0 do aq.sleep(0.001) end
      local from = aq.now()
      db:query "select 2"
      return aq.now() - from]]

    assert.is_true(quick < 0.8, quick .. " s")
  end)

  it("pipelines what stands behind others", function()
    assert.are.same({ 200, 1 }, { run(([[
      local db <close> = open { size = 1 }
      local fns = {}
      for i = 1, %d do fns[i] = function() return db:value("select $1::int", i) end end
      local results = aq.all(fns)
      for i = 1, #results do assert(results[i] == i) end
      return #results, db:stats().open]]):format(200)) })
  end)

  it("waits in line while every connection is held, in order", function()
    assert.are.same({ { 1, 2, 3, 4, 5 }, 5 }, { run [[
      local db <close> = open { size = 1 }
      local order, waiting = {}, nil
      local fns = { function()
        db:transaction(function(tx)
          tx:query "select 1"
          kept.held = true
          aq.sleep(0.1)
          waiting = db:stats().waiting
        end)
      end }
      local others = {}
      for i = 1, 5 do
        others[i] = function()
          local value = db:value("select $1::int", i)
          order[#order + 1] = value
        end
      end
      fns[2] = function()
        while not kept.held do aq.sleep(0.001) end
        aq.all(others)
      end
      aq.all(fns)
      kept.held = nil
      return order, waiting]] })
  end)

  it("gives a connection to a transaction that waits, though queries never pause", function()
    assert.is_true((run [[
      local db <close> = open { size = 2 }
      local over
      for _ = 1, 8 do
        aq.spawn(function()
          while not over do db:query "select pg_sleep(0.002)" end
        end)
      end
      aq.sleep(0.05)
      for _ = 1, 10 do
        assert(db:transaction(function(tx) return tx:value "select 1" end))
      end
      over = true
      aq.sleep(0.05)
      return true]]))
  end)

  it("is pool_timeout when none becomes free in time", function()
    local err, lease, seconds, after = run [[
      local db <close> = open { size = 1, acquire_timeout = 0.15 }
      local err, lease, seconds
      db:transaction(function(tx)
        local from = aq.now()
        err = select(2, db:query "select 1")
        seconds = aq.now() - from
        lease = select(2, db:transaction(function() end))
      end)
      return err, lease, seconds, db:value "select 1"]]

    assert.are.equal("pool_timeout", err.code)
    assert.are.equal("pool_timeout", lease.code)
    assert.is_true(seconds > 0.14 and seconds < 2, seconds .. " s")
    assert.are.equal(1, after)
  end)

  it("is overloaded when the line is full", function()
    local code, after = run [[
      local db <close> = open { size = 1, max_waiting = 2 }
      local err
      db:transaction(function(tx)
        for _ = 1, 2 do aq.spawn(function() db:query "select 1" end) end
        aq.sleep(0.01)
        err = select(2, db:query "select 1")
      end)
      return err.code, db:value "select 1"]]

    assert.are.equal("overloaded", code)
    assert.are.equal(1, after)
  end)

  it("takes a cancelled task out of the line", function()
    assert.are.same({ 1, 0, 1 }, { run [[
      local db <close> = open { size = 1 }
      local waiting, after
      db:transaction(function(tx)
        local task = aq.spawn(function() db:query "select 1" end)
        aq.sleep(0.01)
        waiting = db:stats().waiting
        task:cancel()
        for _ = 1, 1000 do
          if db:stats().waiting == 0 then break end
          aq.sleep(0.001)
        end
        after = db:stats().waiting
        local other = aq.spawn(function() db:transaction(function() end) end)
        aq.sleep(0.01)
        other:cancel()
      end)
      return waiting, after, db:value "select 1"]] })
  end)

  it("keeps no connection for a transaction that waits no longer", function()
    for _, how in ipairs { "local task = aq.spawn(wait) aq.sleep(0.05) task:cancel()", "wait()" } do
      local took, value = run([[
        local db <close> = open { size = 1, acquire_timeout = 0.2 }
        db:query "select 1"
        local function wait() db:transaction(function() return true end) end
        aq.spawn(function() db:query "select pg_sleep(0.5)" end)
        while db:stats().busy == 0 do aq.sleep(0.001) end ]] .. how .. [[

        while db:stats().busy > 0 do aq.sleep(0.001) end
        local from = aq.now()
        local value = db:value "select 2"
        return aq.now() - from, value]])

      assert.are.equal(2, value)
      assert.is_true(took < 0.15, took .. " s")
    end
  end)

  it("gives a transaction whichever connection becomes idle first", function()
    for _, seconds in ipairs { "0.2, 1.5", "1.5, 0.2" } do
      local took = run(([[
        local db <close> = open { size = 2 }
        for _, seconds in ipairs { %s } do
          aq.spawn(function() db:query("select pg_sleep($1)", seconds) end)
          while db:stats().busy == 0 do aq.sleep(0.001) end
        end
        while db:stats().busy < 2 do aq.sleep(0.001) end
        local from = aq.now()
        db:transaction(function() return true end)
        return aq.now() - from]]):format(seconds))

      assert.is_true(took < 1, took .. " s")
    end
  end)

  it("gives a query its time from when the server can begin with it", function()
    local code, first, seconds = run [[
      local db <close> = open { size = 1, query_timeout = 1 }
      local first, second
      aq.all(
        function() first = select(2, db:query "select pg_sleep(0.7)") end,
        function() second = select(2, db:query "select pg_sleep(0.7)") end)
      local from = aq.now()
      local err = select(2, db:query "select pg_sleep(30)")
      return err.code, first or second or "fine", aq.now() - from]]

    assert.are.equal("query_timeout", code)
    assert.are.equal("fine", first)
    assert.is_true(seconds > 0.95 and seconds < 5, seconds .. " s")
  end)

  it("cancels in the server what takes too long, and keeps the connection", function()
    assert.are.same({ "query_timeout", true, 1, 0 }, { run [[
      local db <close> = open { size = 1, query_timeout = 0.2 }
      local pid = db:value "select pg_backend_pid()"
      local err = select(2, db:query "select pg_sleep(31)")
      local same = db:value "select pg_backend_pid()" == pid
      return err.code, same, db:stats().open,
        db:value "select count(*) from pg_stat_activity where query like 'select pg_sleep(31)%'"
    ]] })
  end)

  it("cancels again what the server had not begun with at the first time", function()
    local pid = run [[
      kept.slow = open { size = 1, query_timeout = 0.5, acquire_timeout = 20 }
      return kept.slow:value "select pg_backend_pid()"]]
    proc.kill(pid, STOP)
    local conn = site:begin [[
      local err = select(2, kept.slow:query "select pg_sleep(32)")
      local pid, late = kept.slow:value "select pg_backend_pid()"
      kept.slow:close()
      return err.code, pid or late.code]]
    wait.till(function() -- it is told to interrupt what it does: nothing yet
      local pending = command.read_file(("/proc/%d/status"):format(pid)):match "ShdPnd:%s*(%x+)"
      return tonumber(pending, 16) & 1 << INT - 1 ~= 0
    end)
    proc.kill(pid, CONT)

    assert.are.same({ "query_timeout", pid }, { site:answer(conn) })
  end)

  -- A server that is busy does not read: what is behind the long text stays here.
  local BEHIND = [[
    local pid = other:value "select pg_backend_pid()"
    local long = ("x"):rep(8 << 20)
    local errors, value, seconds = {}
    other:value("select length($1)", "known to the server from now on")
    other:value "select 7"
    local from = aq.now()
    aq.all(
      function() errors[1] = select(2, other:query "select pg_sleep(60)").code end,
      function() errors[2] = select(2, other:value("select length($1)", long)).code end,
      function()
        value, errors[3] = other:value "select 7"
        seconds = aq.now() - from
        %s
      end,
      function() %s end)
    return errors[1], errors[2], value or errors[3].code, seconds]]

  it("sends elsewhere what a lost connection has not sent", function()
    assert.are.same({ "connection_lost", "connection_lost", 7 }, { table.unpack({ run([[
      local other <close> = open { size = 1 }
    ]] .. BEHIND:format("", [[
      aq.sleep(0.05)
      db:query("select pg_terminate_backend($1)", pid)]])) }, 1, 3) })
  end)

  it("is pool_timeout for what a connection that stands still has not sent", function()
    local first, _, last, seconds = run([[
      local other = open { size = 1, query_timeout = 0.2, acquire_timeout = 0.5 }
    ]] .. BEHIND:format("other:close()", ""))

    assert.are.same({ "query_timeout", "pool_timeout" }, { first, last })
    assert.is_true(seconds > 0.4 and seconds < 3, seconds .. " s")
  end)

  it("cancels in the server what a client has left", function()
    local conn = site:begin "return db:query 'select pg_sleep(50)'"
    local sleeping = [[select count(*) from pg_stat_activity
      where state = 'active' and query like 'select pg_sleep(50)%']]
    wait.till(function() return site.postgres:psql(sleeping) == "1" end, 5, "the query to run")

    conn:reset()

    wait.till(function() return site.postgres:psql(sleeping) == "0" end, 5, "the query to end")
    assert.are.equal(1, (run "return db:value 'select 1'"))
  end)

  for what, code in pairs {
    query = "other:query(sleep)",
    transaction = "other:transaction(function(tx) return tx:query(sleep) end)",
    stream = "for row in other:each(sleep) do end",
  } do
    it("cancels in the server what it was at when it is closed: a " .. what, function()
      local sleeping = [[select count(*) from pg_stat_activity
        where state = 'active' and query like 'select pg_sleep(51)%']]
      run("kept.other = open { size = 1 }")
      local conn = site:begin(([[local other, sleep = kept.other, "select pg_sleep(51)"
        pcall(function() %s end)]]):format(code))
      wait.till(function() return site.postgres:psql(sleeping) == "1" end, 5, "it to run")

      run "kept.other:close()"

      site:answer(conn)
      wait.till(function() return site.postgres:psql(sleeping) == "0" end, 5, "it to end")
    end)
  end

  it("never cancels a query beside the one that was left", function()
    assert.are.equal(0, (run(([[
      local db <close> = open { size = 2 }
      local failed, left = 0, 0
      local fns = {}
      for i = 1, 8 do
        fns[i] = function()
          for n = 1, %d do
            if i == 1 then
              local task = aq.spawn(function() db:query "select pg_sleep(0.3)" end)
              aq.sleep(0.04)
              task:cancel()
            else
              local value, err = db:value("select $1::int from pg_sleep(0.001)", n)
              if value ~= n then failed = failed + 1 end
            end
          end
        end
      end
      aq.all(fns)
      return failed]]):format(scale(20)))))
  end)

  it("prepares a statement again that the server has forgotten", function()
    assert.are.same({ 1, 2 }, { run [[
      local db <close> = open { size = 1 }
      local first = db:value("select $1::int", 1)
      db:session(function(s) s:query "deallocate all" end)
      return first, db:value("select $1::int", 2)]] })
  end)

  it("prepares a statement again whose columns have changed", function()
    assert.are.same({ { a = 1 }, { a = 1, b = "x" }, { a = "1", b = "x" } }, { run [[
      local db <close> = open { size = 1 }
      db:query "drop table if exists shape"
      db:query "create table shape (a int)"
      db:query "insert into shape values (1)"
      local function get() return db:one("select * from shape where $1::bool", true) end
      local first = get()
      db:query "alter table shape add b text default 'x'"
      local second = get()
      db:query "alter table shape alter a type text"
      return first, second, (get())]] })
  end)

  it("keeps no more statements than it is told", function()
    assert.are.same({ 40, true }, { run [[
      local db <close> = open { size = 1, statement_cache = 5 }
      local sum = 0
      for i = 1, 20 do
        for _ = 1, 2 do sum = sum + db:value(("select $1::int + %d - %d"):format(i, i), 1) end
      end
      return sum, db:value "select count(*) from pg_prepared_statements" <= 6]] })
  end)

  it("asks for the parameters of a statement only once", function()
    assert.are.equal(11, (run [[
      local db <close> = open { size = 1 }
      for i = 1, 10 do db:value("select $1::int", i) end
      return db:stats().queries]]))
  end)

  it("serves thousands that wait, in bounded memory", function()
    local count = scale(3000, 10000)
    assert.are.equal(count, (run(([[
      local db <close> = open { size = 4, acquire_timeout = 30, max_waiting = 20000 }
      local done, fns = 0, {}
      for i = 1, %d do
        fns[i] = function()
          local ok = i %% 10 > 0 and db:value("select $1::int", i) == i
            or i %% 10 == 0 and db:transaction(function(tx) return tx:value "select 1" end)
          if ok then done = done + 1 end
        end
      end
      aq.all(fns)
      while db:stats().waiting > 0 or db:stats().busy > 0 do aq.sleep(0.002) end
      return done]]):format(count))))
  end)
end)

describe("a pool over TCP", function()
  local postgres, site

  setup(function()
    site = database.start()
    postgres = site.postgres
  end)
  teardown(function() site:stop() end)

  it("connects by address and by name, with a password", function()
    for _, url in ipairs { postgres.tcp_url, (postgres.tcp_url:gsub("127%.0%.0%.1", "localhost")),
      postgres.password_url }
    do
      assert.are.equal(1, (site:run(([[
        local db <close> = open { url = %q }
        return assert(db:value "select 1")]]):format(url))), url)
    end
  end)

  it("tells that the password is wrong, without it", function()
    local err = site:run(([[
      local db <close> = open { url = %q }
      return select(2, db:value "select 1")]]):format(
      (postgres.password_url:gsub(pg.ESCAPED_PASSWORD:gsub("%%", "%%%%"), "s3cr3t"))))

    assert.are.equal("28P01", err.code)
    assert.is_nil(err.message:find("s3cr3t", 1, true))
    assert.is_nil(site.app:log():find("s3cr3t", 1, true))
  end)

  it("tells that the database or the host is not there", function()
    local err = site:run(([[
      local db <close> = open { url = %q }
      return select(2, db:value "select 1")]]):format((postgres.tcp_url:gsub("/spec", "/nowhere"))))
    assert.are.equal("3D000", err.code)

    err = site:run [[
      local db <close> = open { url = "postgres://nobody.invalid/x" }
      return select(2, db:value "select 1")]]
    assert.truthy(err.code:find "^EAI_")
  end)

  it("cancels over TCP", function()
    assert.are.same({ "query_timeout", true }, { site:run(([[
      local db <close> = open { url = %q, size = 1, query_timeout = 0.2 }
      local pid = db:value "select pg_backend_pid()"
      local err = select(2, db:query "select pg_sleep(30)")
      return err.code, db:value "select pg_backend_pid()" == pid]]):format(postgres.tcp_url)) })
  end)
end)

describe("a pool behind pgbouncer in transaction mode", function()
  local site, bouncer

  setup(function()
    site = database.start { server = { max_connections = 40 } }
    bouncer = pgbouncer.start(site.postgres, { pool_mode = "transaction" })
  end)
  teardown(function()
    bouncer:stop()
    site:stop()
  end)

  it("works without prepared statements", function()
    assert.are.same({ 200, { 1, 2 }, 42, "x" }, { site:run(([[
      local db <close> = open { url = %q, prepare = false, size = 4 }
      local fns = {}
      for i = 1, 200 do
        fns[i] = function()
          if i %% 5 == 0 then
            return db:transaction(function(tx)
              return tx:value("select $1::int", tx:value("select $1::int", i))
            end)
          end
          return db:value("select $1::int", i)
        end
      end
      local results = aq.all(fns)
      for i = 1, #results do assert(results[i] == i) end
      local list = db:value("select $1::int[]", { 1, 2 })
      local sum = 0
      for row in db:each("select $1::int + g as v from generate_series(1, 4) g", 8) do
        sum = sum + row.v
      end
      return #results, list, sum, db:batch { { "select $1::text v", "x" } }[1][1].v
    ]]):format(bouncer.url)) })
  end)
end)
