--- aq.db: what comes seldom, and at a bad time.

local database = require "spec.support.database"
local scale = require "spec.support.scale"
local socket = require "socket"
local wait = require "spec.support.wait"

describe("a database", function()
  local site

  setup(function() site = database.start { options = "size = 2" } end)
  teardown(function() site:stop() end)
  before_each(function()
    site.postgres:psql "drop table if exists t cascade; create table t (a int)"
  end)

  local function run(code)
    return site:run(code)
  end

  local function idle()
    wait.till(function() return run "return db:stats().busy" == 0 end, 5,
      "all connections to be idle")
  end

  -- ---- tasks that are left behind by what they are part of ------------------------------------

  -- `kept.begun` is set inside; the outer one ends then, and others use its connection.
  local OUTLIVE = [[
    local err
    kept.begun, kept.done = false, false
    pcall(db.%s, db, function(outer)
      outer:query "select 1"
      aq.spawn(function()
        local ok, result, failure = pcall(function() return %s end)
        err = tostring(ok and failure or result)
        kept.done = true
      end)
      while not kept.begun do aq.sleep(0.001) end
    end)
    for i = 1, 100 do assert(db:value("select $1::int", i) == i) end
    while not kept.done do aq.sleep(0.001) end
    return err]]
  local LINGER = "kept.begun = true aq.sleep(0.1)"

  for what, code in pairs {
    ["a transaction in a session"] = { "session", [[
      outer:transaction(function(tx) LINGER return tx:query "select 1" end)]] },
    ["a transaction in a transaction"] = { "transaction", [[
      outer:transaction(function(tx) LINGER return tx:query "select 1" end)]] },
    ["one in one in a transaction"] = { "transaction", [[
      outer:transaction(function(tx)
        return tx:transaction(function(t) LINGER return t:query "select 1" end)
      end)]] },
    ["a copy in a session"] = { "session", [[
      outer:copy_in("copy t from stdin", function() LINGER return "1\n" end)]] },
    ["a loop in a session"] = { "session", [[
      (function()
        for row in outer:each "select generate_series(1, 100000) a" do
          if row.a == 1 then LINGER end
        end
      end)()]] },
  } do
    it("refuses what outlives its session or transaction: " .. what, function()
      local err = run((OUTLIVE:format(code[1], code[2]:gsub("LINGER", LINGER))))

      assert.truthy(err:find("over", 1, true) or err:find("ended", 1, true), err)
      idle()
      assert.are.equal(0, (run "return db:value 'select count(*) from t'"))
    end)
  end

  -- ---- what somebody has left -----------------------------------------------------------------

  it("cancels what all have left, also where it is more than one", function()
    local seconds = run [[
      local db <close> = open { size = 1 }
      db:query "select 1"
      local first = aq.spawn(function() db:query "select pg_sleep(20), 1" end)
      local second = aq.spawn(function() db:query "select pg_sleep(20), 2" end)
      aq.sleep(0.1)
      first:cancel()
      second:cancel()
      local from = aq.now()
      assert(db:value "select 3" == 3)
      return aq.now() - from]]

    assert.is_true(seconds < 2, seconds .. " s")
  end)

  it("cancels what is left of a transaction with several queries under way", function()
    local seconds = run [[
      local db <close> = open { size = 1 }
      local task = aq.spawn(function()
        db:transaction(function(tx)
          aq.all(function() tx:query "select pg_sleep(20), 1" end,
            function() tx:query "select pg_sleep(20), 2" end)
        end)
      end)
      aq.sleep(0.1)
      task:cancel()
      local from = aq.now()
      assert(db:value "select 3" == 3)
      return aq.now() - from]]

    assert.is_true(seconds < 2, seconds .. " s")
  end)

  -- The server sends a cancel to itself twice: the second may hit one of those behind.
  it("keeps what stands behind a query whose time is up", function()
    local code, results, same = run [[
      local db <close> = open { size = 1, query_timeout = 1 }
      local pid, code = (db:value "select pg_backend_pid()")
      local results = {}
      local function ask(i, sql)
        return function()
          local value, err = db:value(sql)
          results[i] = value or err.code
        end
      end
      aq.all(
        function() code = select(2, db:query "select pg_sleep(20)").code end,
        ask(1, "select 2"), ask(2, "select 3 from pg_sleep(0.2)"), ask(3, "select 4"))
      return code, results, db:value "select pg_backend_pid()" == pid]]

    local hit = 0
    for i, result in ipairs(results) do
      if result == "57014" then hit = hit + 1 else assert.are.equal(i + 1, result) end
    end
    assert.are.same({ "query_timeout", 3, true }, { code, #results, same })
    assert.is_true(hit <= 1, hit .. " were hit")
  end)

  it("ends a copy that begins when it is given up", function()
    local worst = run(([[
      local worst = 0
      for i = 1, %d do
        local other <close> = open { size = 1, query_timeout = 0.03, acquire_timeout = 10 }
        other:query "select 1"
        kept.locked = false
        aq.spawn(function()
          db:transaction(function(tx)
            tx:query "lock table t"
            kept.locked = true
            aq.sleep(0.027 + i %% 10 / 1000)
          end)
          kept.locked = false
        end)
        while not kept.locked do aq.sleep(0.001) end
        other:copy_in("copy t from stdin", function() end)
        local from = aq.now()
        assert(other:value "select 1" == 1)
        worst = math.max(worst, aq.now() - from)
        while kept.locked do aq.sleep(0.001) end
      end
      return worst]]):format(scale(40)))

    assert.is_true(worst < 2, worst .. " s")
  end)

  -- ---- streams --------------------------------------------------------------------------------

  for what, code in pairs {
    rows = "each [[select %s from generate_series(1, 12)]]",
    chunks = "copy_out [[copy (select %s from generate_series(1, 12)) to stdout]]",
  } do
    it("gives whoever reads all the time that he wants: " .. what, function()
      assert.are.equal(12, (run(([[
        local db <close> = open { size = 1, query_timeout = 0.1 }
        local count = 0
        for _ in db:%s do
          count = count + 1
          aq.sleep(0.15)
        end
        return count]]):format(code:format "repeat('x', 300000)"))))
    end)
  end

  -- ---- statements -----------------------------------------------------------------------------

  it("closes statements out of the way of a transaction, a script and a copy", function()
    assert.are.same({ "<nil>", 30 }, { run [[
      local db <close> = open { size = 1, statement_cache = 1 }
      local failed
      for i = 1, 10 do
        db:session(function(s)
          s:query("select 1 + " .. i)
          s:query("select 2 + " .. i)
          local _, err = s:transaction(function(tx) return tx:query "insert into t values (1)" end)
          s:query("select 3 + " .. i)
          local _, err2 = s:script "insert into t values (2)"
          s:query("select 4 + " .. i)
          local chunks = { "3\n" }
          local _, err3 = s:copy_in("copy t from stdin", function() return table.remove(chunks) end)
          failed = failed or err or err2 or err3
        end)
      end
      return failed, db:value "select count(*) from t"]] })
  end)

  it("runs a script behind what is under way on its connection", function()
    assert.are.same({ true, 1 }, { run [[
      local ok
      db:session(function(s)
        aq.all(function() s:query "select pg_sleep(0.1)" end,
          function() ok = s:script "insert into t values (1)" end)
      end)
      return ok, db:value "select count(*) from t"]] })
  end)

  it("prepares statements again whose columns have changed, also in a pipeline", function()
    assert.are.same({ { 5, 5, 5, 5 } }, { run [[
      local db <close> = open { size = 1 }
      db:query "insert into t values (1)"
      db:query "select * from t"
      db:query "alter table t add b int default 5"
      local function read() return assert(db:query "select * from t")[1].b end
      return aq.all { read, read, read, read }]] })
  end)

  it("tells what is wrong with a statement, however many send it at a time", function()
    assert.are.same({}, (run(([[
      local other <close> = open { size = 1 }
      local fns, wrong = {}, aq.array {}
      for i = 1, 20 do
        fns[i] = function()
          for _ = 1, %d do
            local code = select(2, other:query "selec 1").code
            if code ~= "42601" then wrong[#wrong + 1] = code end
            other:query "select 1"
          end
        end
      end
      aq.all(fns)
      return wrong]]):format(scale(50)))))
  end)

  it("keeps no statement that a failed batch has not come to", function()
    assert.are.same({ "22012", 77 }, { run [[
      local other <close> = open { size = 1 }
      local function divide(by)
        return other:batch { { "select 1 / $1::int", by }, { "select 77" } }
      end
      assert(divide(1)) -- from here on it is known what they are
      db:query("select pg_terminate_backend($1)", other:value "select pg_backend_pid()")
      while not other:query "select 1" do aq.sleep(0.01) end
      local err = select(2, divide(0))
      return err.code, other:transaction(function(tx) return tx:value "select 77" end)]] })
  end)

  it("keeps statements of several items in step with what the app has deallocated", function()
    assert.are.same({ 7 }, { run [[
      return db:session(function(s)
        s:value "select 7"
        assert(s:batch { { "select 1" }, { "deallocate all" } })
        return s:transaction(function(tx) return tx:value "select 7" end)
      end)]] })
  end)

  -- ---- transactions ---------------------------------------------------------------------------

  it("tells that a transaction was ended by hand", function()
    local result, err = run [[
      return db:transaction(function(tx)
        tx:query "insert into t values (1)"
        tx:query "rollback"
        return "fine"
      end)]]

    assert.are.equal("<nil>", result)
    assert.are.equal("25P01", err.code)
    idle()
  end)

  -- ---- values ---------------------------------------------------------------------------------

  it("is nil and an error for JSON that is no value of Lua", function()
    for _, value in ipairs { [['1e400'::jsonb]], [['"\ud800"'::json]],
      [[(repeat('[', 300) || repeat(']', 300))::jsonb]], [[array['1e400'::jsonb] ]] } do
      local result, err = run(("return db:query [==[select 1 as a, %s as b]==]"):format(value))

      assert.are.equal("<nil>", result)
      assert.are.equal("invalid", err.code)
      assert.truthy(err.message:find("JSON value of the database cannot be read", 1, true))
    end
    assert.are.equal("invalid", site:raised [==[
      for _ in db:each [[select '1e400'::jsonb from generate_series(1, 3)]] do end]==].code)
    idle()
  end)

  it("gives back the memory of a large parameter #once", function()
    local before, after = run [[
      local function rss()
        collectgarbage()
        collectgarbage()
        return math.tointeger(io.open "/proc/self/status":read "a":match "VmRSS:%s+(%d+)")
      end
      db:value("select length($1)", "x")
      local before = rss()
      local other <close> = open()
      assert(other:value("select length($1)", ("x"):rep(32 << 20)) == 32 << 20)
      other:close()
      return before, rss()]]

    assert.is_true(after - before < 8 << 10, ("%d KiB more"):format(after - before))
  end)

  it("keeps no statement that is long #once", function()
    local before, after, value = run [[
      local function rss()
        collectgarbage()
        collectgarbage()
        return math.tointeger(io.open "/proc/self/status":read "a":match "VmRSS:%s+(%d+)")
      end
      local long = (" "):rep(1 << 20)
      local value = 0
      local function ask(i)
        value = value + db:value("select $1::int -- " .. long .. i, i)
        value = value + db:value("select 1 -- " .. long .. i)
      end
      for i = 1, 10 do ask(i) end
      for row in db:each("select $1::int as a -- " .. long, 1) do value = value + row.a end
      local before = rss()
      for i = 11, 100 do ask(i) end
      return before, rss(), value]]

    assert.is_true(after - before < 32 << 10, ("%d KiB more"):format(after - before))
    assert.are.equal(5050 + 100 + 1, value)
  end)

  it("reads arrays of each of the server's own types", function()
    assert.are.same({}, (run [[
      local wrong = aq.array {}
      local types = [=[select typelem::regtype::text as element from pg_type
        where typoutput = 'array_out'::regproc and oid < 10000 and typname <> '_gtsvector'
          and typelem not in (select oid from pg_type where typtype = 'c')]=]
      for _, row in ipairs(assert(db:query(types))) do
        local value = db:value("select '{}'::" .. row.element .. "[]")
        if type(value) ~= "table" then wrong[#wrong + 1] = row.element end
      end
      return wrong]]))
  end)

  it("writes ISO dates from the first query on, whatever it is for", function()
    site.postgres:psql "alter database spec set datestyle = 'SQL, DMY'"
    assert.are.same({}, (run [[
      local wrong = aq.array {}
      for i = 1, 40 do
        local other <close> = open { size = 1 }
        other:transaction(function(tx)
          local date = tx:value "select '2024-01-31'::date"
          if date ~= "2024-01-31" then wrong[#wrong + 1] = date end
        end)
      end
      return wrong]]))
    site.postgres:psql "alter database spec reset datestyle"
  end)

  -- ---- notifications --------------------------------------------------------------------------

  it("tells who waits for a channel that the database is closed", function()
    run [[
      kept.other = open { size = 1 }
      assert(kept.other:listen("a", function() end))]]
    site.postgres:stop()
    local conn = site:begin [[
      aq.sleep(2) -- by now the pauses between two tries are long
      local done, err
      aq.spawn(function()
        err = select(2, kept.other:listen("b", function() end))
        done = true
      end)
      aq.sleep(0.02)
      kept.other:close()
      local by = aq.now() + 5
      while not done and aq.now() < by do aq.sleep(0.01) end
      return done, err]]
    local done, err = site:answer(conn)
    site.postgres:start()
    wait.till(function() return run "return db:value 'select 1'" == 1 end, 5, "the server")

    assert.is_true(done)
    assert.truthy(({ closed = true, ECONNREFUSED = true, ENOENT = true })[err.code], err.code)
  end)

  it("keeps no notification that nobody takes #once", function() -- sanitizers keep what is freed
    local before, after = run [[
      local function rss()
        return math.tointeger(io.open "/proc/self/status":read "a":match "VmRSS:%s+(%d+)")
      end
      return db:session(function(s)
        s:query "listen x"
        local function send()
          s:query "select pg_notify('x', repeat('x', 7000) || g) from generate_series(1, 1000) g"
        end
        send()
        local before = rss()
        for _ = 1, 10 do send() end
        return before, rss()
      end)]]

    assert.is_true(after - before < 48 << 10, ("%d KiB more"):format(after - before))
  end)

  -- ---- other servers --------------------------------------------------------------------------

  --- The bytes of a message to a client.
  local function message(kind, body)
    return kind .. string.pack(">I4", #body + 4) .. body
  end

  --- Something that takes clients as a server does; its port.
  local function listen()
    local listener = assert(socket.bind("127.0.0.1", 0))
    listener:settimeout(5)
    return listener, (select(2, listener:getsockname()))
  end

  --- A client that takes it for a server, one that takes no writes if `is_read_only`.
  local function welcome(listener, is_read_only)
    local conn = assert(listener:accept())
    conn:settimeout(5)
    assert(conn:receive(string.unpack(">I4", (assert(conn:receive(4)))) - 4))
    assert(conn:send(message("R", string.pack(">I4", 0)) ..
      message("S", "server_version\0" .. "15.0\0") ..
      message("S", "client_encoding\0UTF8\0") ..
      message("S", "default_transaction_read_only\0" .. (is_read_only and "on" or "off") .. "\0") ..
      message("S", "in_hot_standby\0off\0") ..
      message("K", string.pack(">I4I4", 1, 1)) .. message("Z", "I")))
    return conn
  end

  it("loses a server whose answers are none", function()
    local listener, port = listen()
    local request = site:begin(([[
      local db <close> = open { size = 1, url = "postgres://x@127.0.0.1:%d/x?sslmode=disable" }
      return select(2, db:transaction(function() end)) ]]):format(port))
    local conn = welcome(listener)
    while conn:receive(1) do conn:send(message("Z", "I")) end
    conn:close()
    listener:close()

    assert.are.equal("connection_lost", site:answer(request).code)
  end)

  it("tells no query what another one has failed with when the connection is lost", function()
    local listener, port = listen()
    local request = site:begin(([[
      local db <close> = open { size = 1, url = "postgres://x@127.0.0.1:%d/x?sslmode=disable" }
      local first, second
      aq.all(function() first = select(2, db:query "select 1") end,
        function() second = select(2, db:query "select 2") end)
      return first, second]]):format(port))
    local conn = welcome(listener)
    conn:receive(1)
    conn:send(message("E", "SERROR\0VERROR\0C23505\0Mit is somebody's secret\0\0"))
    conn:shutdown "send"
    conn:receive "*a"
    conn:close()
    listener:close()
    local first, second = site:answer(request)

    assert.are.same({ "connection_lost", "connection_lost" }, { first.code, second.code })
    assert.is_nil(second.message:find("secret", 1, true))
  end)

  it("cancels on the host that was taken, of several", function()
    local listener, port = listen()
    local conn = site:begin(([[
      local db <close> = open { size = 1, query_timeout = 0.2, url = "postgres://postgres@" ..
        "127.0.0.1:%d,127.0.0.1:%d/spec?sslmode=disable&target_session_attrs=read-write" }
      local pid = assert(db:value "select pg_backend_pid()")
      local err = select(2, db:query "select pg_sleep(20)")
      local from = aq.now()
      local same = db:value "select pg_backend_pid()" == pid
      return err.code, same, aq.now() - from]]):format(port, site.postgres.port))
    local client = welcome(listener, true)
    client:receive "*a"
    client:close()
    local code, same, seconds = site:answer(conn)
    listener:close()

    assert.are.same({ "query_timeout", true }, { code, same })
    assert.is_true(seconds < 2, seconds .. " s")
  end)

  -- ---- misuse ---------------------------------------------------------------------------------

  it("raises for a script with a NUL, and for statements that leave something behind", function()
    assert.truthy(site:raised "db:session(function(s) s:script 'select 1\\0; select 2' end)"
      :find("NUL", 1, true))
    for _, statement in ipairs { "create or replace temp view v as select 1",
      "create or replace temporary view v as select 1" } do
      assert.truthy(site:raised(("db:query %q"):format(statement)):find("session", 1, true))
    end
  end)

  it("raises for chunks that are none, at the line of the app, and undoes the copy", function()
    assert.are.equal("run:1: what gives the chunks of a copy must give strings, not a number",
      (site:raised "db:copy_in('copy t from stdin', function() return 5 end)"))
    idle()
  end)

  it("teaches what a copy is that takes nothing", function()
    local _, err = run "return db:copy_in('copy t to stdout', function() return '1' end)"

    assert.truthy(err.message:find("copy from stdin", 1, true))
  end)
end)
