--- aq.db: rows one by one.

local command = require "spec.support.command"
local database = require "spec.support.database"
local scale = require "spec.support.scale"
local wait = require "spec.support.wait"

describe("db:each()", function()
  local site

  setup(function() site = database.start { options = "size = 2" } end)
  teardown(function() site:stop() end)

  local function run(code)
    return site:run(code)
  end

  local function idle()
    wait.till(function() return site:run "return db:stats().busy" == 0 end, 5,
      "all connections to be idle")
  end

  it("gives every row in order, with its types", function()
    assert.are.same({ 1000, 500500, "x7", true }, { run [[
      local count, sum, seventh, in_order = 0, 0, nil, true
      for row in db:each("select g, 'x' || g as name from generate_series(1, $1::int) g", 1000) do
        count, sum = count + 1, sum + row.g
        if row.g == 7 then seventh = row.name end
        in_order = in_order and row.g == count
      end
      return count, sum, seventh, in_order]] })
    idle()
  end)

  it("gives nothing where there is no row", function()
    assert.are.equal(0, (run [[
      local count = 0
      for _ in db:each "select 1 where false" do count = count + 1 end
      return count]]))
    idle()
  end)

  it("knows types of the server's own", function()
    assert.are.same({ { 1, 2 }, "sad" }, { run [[
      db:query "drop type if exists humour cascade"
      db:query "drop domain if exists someint cascade"
      db:query "create type humour as enum ('sad')"
      db:query "create domain someint as int"
      for row in db:each "select array[1, 2]::someint[] a, 'sad'::humour b" do
        return row.a, row.b
      end]]
    })
    idle()
  end)

  it("may be left early", function()
    assert.are.same({ 10 }, { run [[
      local count = 0
      for _ in db:each "select generate_series(1, 100000000)" do
        count = count + 1
        if count == 10 then break end
      end
      return count]] })
    idle()
    assert.are.equal(7, (run [[
      for row in db:each "select generate_series(1, 100000000) g" do
        if row.g == 7 then return row.g end
      end]]))
    idle()
  end)

  it("is left by an error in the loop", function()
    assert.are.equal("run:1: no", site:raised [[
      for _ in db:each "select generate_series(1, 100000000)" do error "no" end]])
    idle()
  end)

  it("is left when the task is cancelled", function()
    run [[
      local task = aq.spawn(function()
        for _ in db:each "select generate_series(1, 100000000)" do
          kept.begun = true
          aq.sleep(0.001)
        end
      end)
      while not kept.begun do aq.sleep(0.001) end
      task:cancel()]]
    idle()
  end)

  it("raises what fails, at the beginning and in the middle", function()
    assert.are.equal("42601", site:raised "for _ in db:each 'selec' do end" .code)
    assert.are.equal("22012", site:raised [[
      for _ in db:each "select 1 / (500 - g) from generate_series(1, 1000) g" do end]].code)
    idle()
  end)

  it("has a connection of its own", function()
    assert.are.same({ 3, 3 }, { run [[
      local count, sum = 0, 0
      for row in db:each "select generate_series(1, 3) g" do
        count = count + 1
        sum = sum + db:value("select $1::int - $2::int", row.g + 1, row.g)
      end
      return count, sum]] })
  end)

  it("takes the connection of a transaction, which waits", function()
    assert.are.same({ 3, 42 }, { run [[
      return db:transaction(function(tx)
        local count = 0
        tx:query "create table in_tx (a int)"
        tx:query "insert into in_tx values (1), (2), (3)"
        for _ in tx:each "select a from in_tx" do
          count = count + 1
          assert(not pcall(tx.query, tx, "select 1"))
        end
        for _ in tx:each "select a from in_tx" do break end
        return count, tx:value "select 42"
      end)]] })
    idle()
  end)

  it("ends with an error when the server ends it", function()
    local err = site:raised [[
      for row in db:each "select g, pg_backend_pid() pid from generate_series(1, 10000000) g" do
        if row.g == 5 then db:query("select pg_terminate_backend($1)", row.pid) end
      end]]

    assert.are.equal("connection_lost", err.code)
    idle()
  end)

  it("keeps memory bounded over many rows #once", function() -- sanitizers keep what is freed
    local function memory()
      local status = command.read_file(("/proc/%d/status"):format(site.app:runtime()))
      return tonumber(status:match "VmRSS:%s*(%d+)")
    end

    local code = [[
      local count = 0
      for _ in db:each("select g, repeat('x', 50) from generate_series(1, $1::int) g", %d) do
        count = count + 1
      end
      return count]]
    run(code:format(10000))
    local before = memory()
    local rows = scale(300000)
    assert.are.equal(rows, (run(code:format(rows))))
    assert.is_true(memory() - before < 8 * 1024, ("%d KiB more"):format(memory() - before))
  end)
end)
