--- aq.db with `shared = true`: one pool for workers, services and generations.

local client = require "spec.support.client"
local command = require "spec.support.command"
local core = require "spec.support.core"
local json = require "luaqueduct.core.json"
local pg = require "spec.support.postgres"
local scale = require "spec.support.scale"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

-- What runs code that is sent: a part of the app's and of the service's file.
local COMMON = [[
local aq = require "luaqueduct"
local kept = {}

local function open(options)
  local all = { url = URL, shared = true, size = SIZE, acquire_timeout = 20, statement_cache = 9 }
  for name, value in pairs(options or {}) do all[name] = value end
  return aq.db.open(all)
end

local function run(code)
  if not kept.db then kept.db = open() end
  local env = setmetatable({ aq = aq, db = kept.db, kept = kept, open = open, folder = FOLDER,
    panic = function() assert(package.loadlib(BREAKER, "luaopen_breaker"))().panic() end },
    { __index = _G })
  local results = table.pack(assert(load(code, "=run", "t", env))())
  for i = 1, results.n do
    local value = results[i]
    if type(value) == "table" and value.code then value = value.code end
    results[i] = value == nil and "<nil>" or value
  end
  return aq.array(table.move(results, 1, results.n, 1, {}))
end
]]

local APP = COMMON .. [[
local App = aq.channel()
function App.initialize(options) options:service("clerk", "clerk.lua") end
function App:entry_point()
  local router = aq.router()
  router:get("/id", function() return tostring(aq.instance.id) end)
  router:get("/generation", function() return tostring(aq.instance.generation) end)
  router:post("/run", function(req) return run(req:body()) end)
  router:post("/clerk", function(req)
    return assert(aq.service("clerk", { timeout = 30 }):call("run", req:body()))
  end)
  return router
end
return App
]]

local CLERK = COMMON .. [[
local Clerk = aq.service {}
function Clerk:run(code) return run(code) end
return Clerk
]]

local STUCK = [[
  db:transaction(function(tx)
    tx:query "insert into marks values ('stuck')"
    io.open(folder .. "/fifo"):read "a"
    return true
  end)]]

describe("aq.db with one pool for all", function()
  local postgres, app

  local function fill(text, size, folder)
    local breaker = core.absolute(core.build .. "/spec/breaker.so")
    local values = { URL = ("%q"):format(postgres.url), SIZE = tostring(size),
      FOLDER = ("%q"):format(folder), BREAKER = ("%q"):format(breaker) }

    return (text:gsub("%f[%u_]%u+%f[^%u_]", values))
  end

  --- Writes the app's files for a pool of `size`.
  local function write(folder, size)
    for name, text in pairs { ["app.lua"] = APP, ["clerk.lua"] = CLERK } do
      local file = assert(io.open(folder .. "/" .. name, "w"))
      assert(file:write(fill(text, size, folder)))
      file:close()
    end
  end

  --- The app reads its folder when it is there; `fifo` is something to be stuck at.
  local function start(workers, size, ...)
    local folder = command.folder()
    write(folder, size)
    assert(command.run({ "mkfifo", folder .. "/fifo" }).status == 0)
    app = server.start { source = "", app = folder .. "/app.lua", workers = workers,
      args = { ... } }
    app.shared_folder = folder
    return app
  end

  local function sessions()
    return tonumber((postgres:psql [[select count(*) from pg_stat_activity
      where application_name = 'luaqueduct']]))
  end

  local function begin(conn, code, path)
    assert(conn:send(client.format("POST", path or "/run", { body = code })))
    return conn
  end

  local function answer(conn)
    local res, err = conn:read_response()

    if not res or res.status ~= 200 then
      error((res and res.body or tostring(err)) .. "\n" .. app:log(), 2)
    end
    return table.unpack(json.decode(res.body))
  end

  local function ask(conn, code, path)
    return answer(begin(conn, code, path))
  end

  --- A connection to each worker: id -> connection.
  local function connect_to(workers)
    local conns, count = {}, 0

    wait.till(function()
      local conn = app:connect { timeout = 30 }
      conn:send(client.format("GET", "/id"))
      local id = tonumber(conn:read_response().body)
      if conns[id] then
        conn:close()
      else
        conns[id], count = conn, count + 1
      end
      return count == workers
    end, 10, "a connection to each worker")
    return conns
  end

  setup(function()
    postgres = pg.start()
    postgres:psql "create table marks (mark text)"
    postgres:psql "create table accounts (id int primary key, amount bigint)"
  end)
  teardown(function() postgres:close() end)
  before_each(function()
    wait.till(function() return sessions() == 0 end, 10, "the last one's sessions to end")
    postgres:psql "truncate marks"
  end)
  after_each(function()
    if not app then return end
    local folder = app.shared_folder
    app:stop { status = 0 }
    app = nil
    command.remove(folder)
    wait.till(function() return sessions() == 0 end, 10, "all sessions to end")
  end)

  it("has as many connections as its size says, for four workers and a service", function()
    start(4, 4)
    local conns, most = {}, 0

    for i = 1, 12 do
      conns[i] = begin(app:connect { timeout = 60 }, ([[
        for i = 1, %d do
          assert(db:query "select pg_sleep(0.002)")
          assert(db:transaction(function(tx) return tx:value "select pg_backend_pid()" end))
          for row in db:each "select generate_series(1, 3)" do end
        end
        return aq.instance.id or 0]]):format(scale(20)), i % 4 == 0 and "/clerk" or "/run")
    end
    local waiting = #conns
    repeat
      most = math.max(most, sessions())
      while conns[waiting] and wait.readable(conns[waiting].socket, 0) do
        answer(conns[waiting])
        conns[waiting]:close()
        waiting = waiting - 1
      end
    until waiting == 0

    assert.are.equal(4, most)
    assert.are.equal(4, (ask(app:connect(), "return db:stats().size")))
  end)

  it("keeps transactions of different workers apart", function()
    postgres:psql "truncate accounts"
    postgres:psql "insert into accounts select g, 1000 from generate_series(1, 10) g"
    start(4, 3)
    local conns = connect_to(4)

    for id, conn in pairs(conns) do
      begin(conn, ([[
        local wrong, done = 0, 0
        local function move(i)
          local from, to = (i * %d) %% 10 + 1, (i * 7 + %d) %% 10 + 1
          local ok = db:transaction(function(tx)
            local id = tx:value "select txid_current()"
            assert(tx:query("update accounts set amount = amount - 1 where id = $1", from))
            if i %% 3 == 0 then return nil, "left" end
            assert(tx:query("update accounts set amount = amount + 1 where id = $1", to))
            if tx:value "select txid_current()" ~= id then wrong = wrong + 1 end
            return true
          end, { retry = 50 })
          if ok then done = done + 1 end
        end
        local fns = {}
        for i = 1, %d do fns[i] = function() move(i) end end
        aq.all(fns)
        return wrong, done]]):format(id, id, scale(60)))
    end
    for _, conn in pairs(conns) do
      assert.are.same({ 0, scale(60) - scale(60) // 3 }, { answer(conn) })
    end

    assert.are.equal("10000", postgres:psql "select sum(amount) from accounts")
  end)

  it("is another one for other options, and ends with the last close", function()
    start(2, 4)
    local conns = connect_to(2)
    local size_of = [[
      kept.a, kept.b, kept.c = open { size = 1 }, open { size = 1 }, open { size = 2 }
      local function slow(db) return function() assert(db:query "select pg_sleep(0.1)") end end
      aq.all { slow(kept.a), slow(kept.b), slow(kept.c), slow(kept.c), slow(kept.c) }
      return kept.a:stats().size, kept.b:stats().open, kept.c:stats().open]]

    assert.are.same({ 1, 1, 2 }, { ask(conns[1], size_of) })
    assert.are.same({ 1, 1, 2 }, { ask(conns[2], size_of) })
    assert.are.equal(3, sessions())

    ask(conns[1], "kept.a:close() kept.b:close() kept.c:close() return true")
    ask(conns[2], "kept.a:close() return kept.b:value 'select 1'")
    assert.are.equal(3, sessions())
    ask(conns[2], "kept.b:close() return true")
    wait.till(function() return sessions() == 2 end)
    ask(conns[2], "kept.c:close() return true")
    wait.till(function() return sessions() == 0 end)
    assert.are.equal(1, (ask(conns[2],
      "kept.c = open { size = 2 } return kept.c:value 'select 1'")))
  end)

  it("tells who waits that the database is closed", function()
    start(1, 1)
    assert.are.same({ "closed", "closed", "closed", 1 }, { ask(app:connect { timeout = 10 }, [[
      local other = open { size = 2 }
      local function asked() return (select(2, other:query "select pg_sleep(5)")) end
      local function held()
        local function wait(tx) return tx:query "select pg_sleep(5)" end
        return (select(2, other:transaction(wait)))
      end
      local function streamed()
        return select(2, pcall(function() for _ in other:each "select 1" do end end))
      end
      local function close()
        while other:stats().waiting == 0 do aq.sleep(0.001) end
        other:close()
      end
      local errors = aq.all { asked, held, streamed, close }
      return errors[1].code, errors[2].code, errors[3].code, db:value "select 1"]]) })
  end)

  it("rolls back what a worker held that has ended", function()
    start(2, 1)
    local conns = connect_to(2)

    ask(conns[1], [[
      aq.spawn(function()
        db:transaction(function(tx)
          tx:query "insert into marks values ('exit')"
          kept.begun = true
          aq.sleep(3600)
        end)
      end)
      while not kept.begun do aq.sleep(0.001) end
      aq.spawn(os.exit)
      return true]])
    conns[1]:close()

    assert.are.equal(0, (ask(conns[2], "return db:value 'select count(*) from marks'")))
    assert.are.equal(1, sessions())
  end)

  it("rolls back what a worker held whose state is broken", function()
    start(2, 1)
    local conns = connect_to(2)

    begin(conns[1], [[
      db:transaction(function(tx)
        tx:query "insert into marks values ('panic')"
        panic()
      end)]])
    assert.is_nil((conns[1]:read_response()))

    assert.are.equal(0, (ask(conns[2], "return db:value 'select count(*) from marks'")))
    assert.are.equal(1, sessions())
  end)

  it("does not count a worker that breaks while it opens a database", function()
    start(2, 1)
    local conns = connect_to(2)

    assert.are.equal(1, (ask(conns[2],
      "kept.other = open { size = 2 } return kept.other:value 'select 1'")))
    begin(conns[1], "kept.other = open { size = 2 } panic()")
    assert.is_nil((conns[1]:read_response()))
    ask(conns[2], "kept.other:close() return true")

    wait.till(function() return sessions() == 0 end, 10, "the last session to end")
  end)

  it("rolls back what a stuck worker held, which may come back", function()
    start(2, 1, "--busy-timeout", "0.2")
    local conns = connect_to(2)

    begin(conns[1], STUCK)
    assert.is_nil((conns[1]:read_response()))
    assert.are.equal(0, (ask(conns[2], "return db:value 'select count(*) from marks'")))
    assert.are.equal(1, sessions())

    local fifo = assert(io.open(app.shared_folder .. "/fifo", "w"))
    fifo:close()
    wait.till(function()
      return (ask(conns[2], "return db:stats().busy")) == 0
    end)
    assert.are.equal(0, (ask(conns[2], "return db:value 'select count(*) from marks'")))
  end)

  it("ends with its users, while one of them is stuck for good", function()
    start(2, 2, "--busy-timeout", "0.2", "--drain-timeout", "1")
    local conns = connect_to(2)

    begin(conns[1], STUCK)
    assert.is_nil((conns[1]:read_response()))
    assert.are.equal(1, (ask(conns[2], "return db:value 'select 1'")))
  end)

  it("goes on over a reload", function()
    start(2, 2)
    local conns = connect_to(2)
    begin(conns[1], [[
      return db:transaction(function(tx)
        local from = tx:value "select pg_backend_pid()"
        tx:query "insert into marks values ('begun')"
        for _ = 1, 1000 do
          if tx:value "select count(*) from marks where mark = 'over'" > 0 then break end
          aq.sleep(0.01)
        end
        return from == tx:value "select pg_backend_pid()"
      end)]])
    wait.till(function() return sessions() > 0 end)
    app:signal "HUP"
    app:wait_log "reloaded: generation 2 serves"
    wait.till(function() return app:get("/generation").body == "2" end)
    local most = 0

    for _ = 1, 20 do
      assert.are.equal(1, (ask(app:connect(), [[
        local function one() return db:value "select 1" end
        aq.all { one, one, one }
        return one()]])))
      most = math.max(most, sessions())
    end
    ask(app:connect(), "return db:query(\"insert into marks values ('over')\").affected")
    assert.is_true((answer(conns[1])))
    assert.is_true(most <= 2, most .. " sessions")
  end)

  it("is left behind by a reload that asks for another one", function()
    start(2, 1)
    local conns = connect_to(2)

    for _, conn in pairs(conns) do assert.are.equal(1, (ask(conn, "return db:stats().size"))) end
    write(app.shared_folder, 3)
    app:signal "HUP"
    app:wait_log "reloaded: generation 2 serves"
    for _, conn in pairs(conns) do conn:close() end
    wait.till(function() return app:get("/generation").body == "2" end)
    wait.till(function()
      return (ask(app:connect(), [[
        local function slow() assert(db:query "select pg_sleep(0.05)") end
        aq.all { slow, slow, slow }
        return db:stats().size]])) == 3 and sessions() == 3
    end, 10, "three sessions, and the old one to end")
  end)

  it("is cut when everything ends with transactions open", function()
    start(3, 3, "--drain-timeout", "0.5")
    local conns = connect_to(3)

    for _, conn in pairs(conns) do
      begin(conn, [[db:transaction(function(tx)
        tx:query "insert into marks values ('end')"
        tx:query "select pg_sleep(3)"
      end)]])
    end
    wait.till(function()
      return postgres:psql [[select count(*) from pg_stat_activity
        where query = 'select pg_sleep(3)' and state = 'active']] == "3"
    end)
    app:stop { status = 0 }
    command.remove(app.shared_folder)
    app = nil
    wait.till(function() return postgres:psql "select count(*) from marks" == "0" end)
  end)

  it("streams to several workers at a time, as slowly as they read", function()
    start(4, 4)
    local conns = connect_to(4)

    for id, conn in pairs(conns) do
      begin(conn, ([[
        local sum, n = 0, 0
        for row in db:each("select g, repeat('x', 100) from generate_series(1, $1::int) g", %d) do
          sum, n = sum + row.g, n + 1
          if n %% 997 == 0 then aq.sleep(0.001) end
          if n == %d then break end
        end
        return sum, n]]):format(scale(20000), id == 1 and 5 or scale(20000)))
    end
    local all = scale(20000)
    assert.are.same({ 15, 5 }, { answer(conns[1]) })
    for id = 2, 4 do
      assert.are.same({ all * (all + 1) // 2, all }, { answer(conns[id]) })
    end
  end)

  it("has a thread only where it is used", function()
    start(1, 1)
    local function has_thread()
      return command.run({ "sh", "-c", ("cat /proc/%d/task/*/comm"):format(app:runtime()) })
        .stdout:find("lq:pool", 1, true) ~= nil
    end

    assert.is_false(has_thread())
    ask(app:connect(), "return db:value 'select 1'")
    assert.is_true(has_thread())
  end)
end)
