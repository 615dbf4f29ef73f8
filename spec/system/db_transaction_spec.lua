--- aq.db: transactions, sessions and the connections that they hold.

local database = require "spec.support.database"
local wait = require "spec.support.wait"

describe("db:transaction()", function()
  local site

  setup(function() site = database.start { options = "size = 2" } end)
  teardown(function() site:stop() end)
  before_each(function()
    site.postgres:psql "drop table if exists t; create table t (a int primary key)"
  end)

  local function run(code)
    return site:run(code)
  end

  --- What is committed.
  local function rows()
    return (site:run "return db:value [[select coalesce(array_agg(a order by a), '{}') from t]]")
  end

  --- Waits until no transaction is open and nothing is held.
  local function settled()
    wait.till(function()
      return site:run "return db:stats().busy" == 0 and site:run [[
        return db:value("select count(*) from pg_stat_activity where state like 'idle in%'")]] == 0
    end, 5, "all connections to be idle")
  end

  it("commits and returns what the function returns", function()
    assert.are.same({ 1, "two", "<nil>", 4 }, { run [[
      return db:transaction(function(tx)
        assert(tx:query("insert into t values ($1)", 1))
        return 1, "two", nil, 4
      end)]] })
    assert.are.same({ 1 }, rows())
  end)

  it("rolls back and returns nil and the error that the function returns", function()
    local result, err = run [[
      return db:transaction(function(tx)
        assert(tx:query "insert into t values (1)")
        return tx:query "insert into t values (1)"
      end)]]

    assert.are.equal("<nil>", result)
    assert.are.equal("23505", err.code)
    assert.are.same({}, rows())
    settled()
  end)

  it("rolls back and raises what the function raises", function()
    assert.are.equal("run:3: boom", (site:raised [[db:transaction(function(tx)
        assert(tx:query "insert into t values (1)")
        error "boom"
      end)]]))
    assert.are.same({}, rows())
    settled()
  end)

  it("is nil and an error when the server turns the commit into a rollback", function()
    local result, err = run [[
      return db:transaction(function(tx)
        tx:query "insert into t values (1)"
        tx:query "select 1 / 0"
        return "fine"
      end)]]

    assert.are.equal("<nil>", result)
    assert.are.equal("25P02", err.code)
    assert.are.same({}, rows())
  end)

  it("is nil and an error when the commit fails", function()
    local result, err = run [[
      db:query "alter table t add b int references t (a) deferrable initially deferred"
      return db:transaction(function(tx)
        assert(tx:query "insert into t values (1, 99)")
        return "fine"
      end)]]

    assert.are.equal("<nil>", result)
    assert.are.equal("23503", err.code)
    assert.are.same({}, rows())
    settled()
  end)

  it("has a connection of its own: the outer handle sees nothing of it", function()
    assert.are.same({ 0, 1 }, { run [[
      return db:transaction(function(tx)
        tx:query "insert into t values (1)"
        return db:value "select count(*) from t", tx:value "select count(*) from t"
      end)]] })
  end)

  it("runs queries side by side in order", function()
    assert.are.same({ 1, 2, 3, 4, 5 }, (run [[
      return db:transaction(function(tx)
        local fns = {}
        for i = 1, 5 do
          fns[i] = function()
            tx:query("insert into t values ($1)", i)
            return i
          end
        end
        return aq.all(fns)
      end)]]))
    assert.are.same({ 1, 2, 3, 4, 5 }, rows())
  end)

  it("refuses its handle afterwards", function()
    assert.truthy(site:raised [[
      local kept_tx
      db:transaction(function(tx) kept_tx = tx end)
      kept_tx:query "select 1"]]:find("is over", 1, true))
  end)

  it("has the isolation that is asked for", function()
    assert.are.same({ "serializable", "read committed" }, { run [[
      local function level(tx) return tx:value "show transaction_isolation" end
      return db:transaction(level, { isolation = "serializable" }), db:transaction(level)]] })
  end)

  it("raises for options that are unknown or wrong", function()
    for options, part in pairs { ["{ no = 1 }"] = "unknown option no",
      ["{ isolation = 'chaos' }"] = "isolation", ["{ retry = -1 }"] = "retry", ["1"] = "table" }
    do
      assert.truthy(site:raised("db:transaction(function() end, " .. options .. ")")
        :find(part, 1, true))
    end
  end)

  it("is run again as often as retry says when it could not be serialized", function()
    for name, fail in pairs {
      returned = "return nil, failure", raised = "error(failure)",
    } do
      local count, result, err = run(([[
        db:query "delete from t"
        local failure, count = { code = "40001", message = "again" }, 0
        local function fn(tx)
          count = count + 1
          if count < 3 then %s end
          tx:query("insert into t values ($1)", count)
          return "done"
        end
        local result, err = db:transaction(fn, { retry = 5 })
        return count, result, err]]):format(fail))

      assert.are.same({ 3, "done", "<nil>" }, { count, result, err }, name)
    end
    assert.are.equal(3, (run [[
      local count = 0
      db:transaction(function()
        count = count + 1
        return nil, { code = "40P01", message = "again" }
      end, { retry = 2 })
      return count]]))
  end)

  it("is not run again for other errors", function()
    assert.are.equal(1, (run [[
      local count = 0
      db:transaction(function() count = count + 1 return nil, { code = "23505" } end, { retry = 3 })
      return count]]))
  end)

  it("succeeds in the end when two serializable ones are in each other's way", function()
    run "db:query 'insert into t values (0)'"
    assert.are.equal(2, (run [[
      local function add(tx)
        local a = tx:value "select max(a) from t"
        aq.sleep(0.05)
        assert(tx:query("insert into t values ($1)", a + 1))
        return true
      end
      local options = { retry = 20, isolation = "serializable" }
      local function run() return db:transaction(add, options) end
      assert(aq.all(run, run))
      return db:value "select max(a) from t"]]))
  end)

  it("is rolled back when its task is cancelled", function()
    run [[
      local task = aq.spawn(function()
        db:transaction(function(tx)
          tx:query "insert into t values (1)"
          kept.ready = true
          tx:query "select pg_sleep(60)"
        end)
      end)
      while not kept.ready do aq.sleep(0.005) end
      aq.sleep(0.02)
      task:cancel()]]
    settled()
    assert.are.same({}, rows())
  end)

  it("is rolled back when a query takes too long, and goes on when it did not matter", function()
    local code, value, seconds = run [[
      local db <close> = open { size = 1, query_timeout = 0.2 }
      local from = aq.now()
      local err = select(2, db:transaction(function(tx)
        return tx:query "select pg_sleep(20)"
      end))
      local value = db:session(function(session)
        session:query "select pg_sleep(20)"
        return session:value "select 7"
      end)
      return err.code, value, aq.now() - from]]

    assert.are.same({ "query_timeout", 7 }, { code, value })
    assert.is_true(seconds < 5, seconds .. " s")
  end)

  it("is rolled back when the client leaves", function()
    local conn = site:begin [[
      db:transaction(function(tx)
        tx:query "insert into t values (1)"
        tx:query "select pg_sleep(60)"
      end)]]

    wait.till(function()
      return tonumber((site.postgres:psql(
        "select count(*) from pg_stat_activity where query like 'select pg_sleep(60)%'"))) == 1
    end, 5, "the query to run")
    conn:reset()
    settled()
    assert.are.same({}, rows())
  end)

  it("tells other tasks that still use it", function()
    local told, err = run [[
      local result, err, told
      pcall(db.transaction, db, function(tx)
        aq.spawn(function()
          result, err = tx:query "select pg_sleep(60)"
          told = true
        end)
        aq.sleep(0.05)
        error "over"
      end)
      while not told do aq.sleep(0.005) end
      return result == nil, err]]

    assert.is_true(told)
    assert.are.equal("closed", err.code)
    settled()
  end)
end)

describe("a transaction inside another", function()
  local site

  setup(function() site = database.start { options = "size = 1" } end)
  teardown(function() site:stop() end)
  before_each(function()
    site.postgres:psql "drop table if exists t; create table t (a int primary key)"
  end)

  local function rows()
    return (site:run "return db:value [[select coalesce(array_agg(a order by a), '{}') from t]]")
  end

  it("is a savepoint: it alone is undone", function()
    local result, err, third = site:run [[
      return db:transaction(function(tx)
        tx:query "insert into t values (1)"
        local result, err = tx:transaction(function(inner)
          inner:query "insert into t values (2)"
          return inner:query "insert into t values (1)"
        end)
        local third = tx:transaction(function(inner)
          inner:query "insert into t values (3)"
          return inner:transaction(function(innermost)
            innermost:query "insert into t values (4)"
            return "kept"
          end)
        end)
        return result == nil, err, third
      end)]]

    assert.is_true(result)
    assert.are.equal("23505", err.code)
    assert.are.equal("kept", third)
    assert.are.same({ 1, 3, 4 }, rows())
  end)

  it("is undone when it raises, and the outer one goes on", function()
    site:run [[
      db:transaction(function(tx)
        tx:query "insert into t values (1)"
        for i = 2, 4 do
          pcall(tx.transaction, tx, function(inner)
            inner:query("insert into t values ($1)", i)
            if i ~= 3 then error "no" end
          end)
        end
        pcall(tx.transaction, tx, function(inner)
          inner:transaction(function(innermost)
            innermost:query "insert into t values (9)"
            error "no"
          end)
        end)
        tx:query "insert into t values (5)"
      end)]]

    assert.are.same({ 1, 3, 5 }, rows())
  end)

  it("refuses the outer handle while it lives, and has no options", function()
    assert.truthy(site:raised [[
      db:transaction(function(tx)
        tx:transaction(function() tx:query "select 1" end)
      end)]]:find("inside this one is under way", 1, true))
    assert.truthy(site:raised [[
      db:transaction(function(tx)
        tx:transaction(function() end, { retry = 1 })
      end)]]:find("savepoint", 1, true))
    assert.are.equal(1, (site:run "return db:value 'select 1'"))
  end)
end)

describe("db:session()", function()
  local site

  setup(function() site = database.start { options = "size = 1" } end)
  teardown(function() site:stop() end)

  it("has a connection of its own that is made as new afterwards", function()
    assert.are.same({ "pg_catalog", 1, "\"$user\", public", "<nil>" }, { site:run [[
      local path, count = db:session(function(s)
        assert(s:query "set search_path = pg_catalog")
        assert(s:query "create temp table mine (a int)")
        assert(s:query "insert into mine values (1)")
        return s:value "show search_path", s:value "select count(*) from mine"
      end)
      return path, count, db:value "show search_path", (db:value "select to_regclass('mine')::text")
    ]] })
  end)

  it("forgets what a transaction has set for the session", function()
    assert.are.same({ "1s", "0" }, { site:run [[
      local inside = db:transaction(function(tx)
        assert(tx:query "set statement_timeout = '1s'")
        return tx:value "show statement_timeout"
      end)
      return inside, db:value "show statement_timeout"]] })
  end)

  it("runs transactions on its connection", function()
    assert.are.same({ true, 1 }, { site:run [[
      return db:session(function(s)
        local pid = s:value "select pg_backend_pid()"
        local same = s:transaction(function(tx)
          assert(tx:query "create temp table kept (a int)")
          assert(tx:query "insert into kept values (1)")
          return tx:value "select pg_backend_pid()" == pid
        end)
        pcall(s.transaction, s, function(tx)
          tx:query "insert into kept values (2)"
          error "no"
        end)
        return same, s:value "select count(*) from kept"
      end)]] })
  end)

  it("returns and raises what the function does", function()
    assert.are.same({ "<nil>", "no" },
      { site:run "return db:session(function() return nil, 'no' end)" })
    assert.are.equal("run:1: boom", site:raised "db:session(function() error 'boom' end)")
  end)

  it("runs a transaction right behind one that has raised", function()
    assert.are.same({ false, 1, "<nil>", 2 }, { site:run [[
      return db:session(function(s)
        local raised = pcall(function()
          s:transaction(function(tx)
            tx:query "select 1"
            error "left"
          end)
        end)
        local value, err = s:transaction(function(tx) return tx:value "select 1" end)
        s:query "begin"
        local nested = s:transaction(function(inner) return inner:value "select 2" end)
        s:query "rollback"
        return raised, value, err, nested
      end)]] })
  end)

  it("may begin and end transactions by hand", function()
    assert.are.equal(0, (site:run [[
      db:query "drop table if exists byhand"
      db:query "create table byhand (a int)"
      db:session(function(s)
        assert(s:query "begin")
        assert(s:query "insert into byhand values (1)")
        assert(s:query "rollback")
        assert(s:query "begin")
        assert(s:query "insert into byhand values (1)")
      end)
      return db:value "select count(*) from byhand"]]))
  end)
end)
