--- aq.db: copies in both directions.

local database = require "spec.support.database"
local scale = require "spec.support.scale"
local wait = require "spec.support.wait"

describe("copies", function()
  local site

  setup(function() site = database.start { options = "size = 1" } end)
  teardown(function() site:stop() end)
  before_each(function()
    site.postgres:psql "drop table if exists t; create table t (a int, b text)"
  end)

  local function run(code)
    return site:run(code)
  end

  local function idle()
    wait.till(function() return site:run "return db:stats().busy" == 0 end, 5,
      "all connections to be idle")
  end

  describe("copy_in()", function()
    it("sends what the function gives and returns how many rows it was", function()
      assert.are.same({ 1000, 1000, 500500 }, { run [[
        local n = 0
        local rows = assert(db:copy_in("copy t from stdin", function()
          n = n + 1
          if n <= 1000 then return n .. "\tname " .. n .. "\n" end
        end))
        local row = db:one "select count(*) as count, sum(a) as sum from t"
        return rows, row.count, row.sum]] })
    end)

    it("sends large chunks, however slow the server is", function()
      assert.are.same({ scale(40) * 5000 }, { run(([[
        local chunk, n = ("1\t" .. ("x"):rep(200) .. "\n"):rep(5000), 0
        return db:copy_in("copy t from stdin", function()
          n = n + 1
          if n <= %d then return chunk end
        end)]]):format(scale(40))) })
    end)

    it("takes nothing, and waits in the function", function()
      assert.are.equal(0, (run "return db:copy_in('copy t from stdin', function() end)"))
      assert.are.equal(1, (run [[
        local is_done
        return db:copy_in("copy t from stdin", function()
          if is_done then return end
          is_done = true
          aq.sleep(0.02)
          return "1\tx\n"
        end)]]))
    end)

    it("is nil and an error when the server refuses the data or the statement", function()
      local rows, err = run [[
        local n = 0
        return db:copy_in("copy t from stdin", function()
          n = n + 1
          if n < 20000 then return "no number\tx\n" end
        end)]]
      assert.are.equal("<nil>", rows)
      assert.are.equal("22P02", err.code)

      rows, err = run "return db:copy_in('copy nowhere from stdin', function() end)"
      assert.are.equal("<nil>", rows)
      assert.are.equal("42P01", err.code)
      idle()
      assert.are.equal(0, (run "return db:value 'select count(*) from t'"))
    end)

    it("undoes it when the function raises or the task is cancelled", function()
      assert.are.equal("run:4: boom", (site:raised [[
        local n = 0
        db:copy_in("copy t from stdin", function()
          n = n + 1
          if n == 3 then error "boom" end
          return "1\tx\n"
        end)]]))
      idle()
      run [[
        local task = aq.spawn(function()
          db:copy_in("copy t from stdin", function() aq.sleep(0.01) return "1\tx\n" end)
        end)
        aq.sleep(0.05)
        task:cancel()]]
      idle()
      assert.are.equal(0, (run "return db:value 'select count(*) from t'"))
    end)

    it("is part of a transaction", function()
      assert.are.same({ 2, 0 }, { run [[
        local inside
        db:transaction(function(tx)
          local chunks = { "1\tx\n", "2\ty\n" }
          assert(tx:copy_in("copy t from stdin", function() return table.remove(chunks, 1) end))
          inside = tx:value "select count(*) from t"
          return nil, "undone"
        end)
        return inside, db:value "select count(*) from t"]] })
    end)
  end)

  describe("copy_out()", function()
    it("gives the chunks one by one", function()
      assert.are.same({ 3, "1\tx\n2\ty\n3\t\\N\n" }, { run [[
        db:query "insert into t values (1, 'x'), (2, 'y'), (3, null)"
        local chunks = {}
        for chunk in db:copy_out "copy t to stdout" do chunks[#chunks + 1] = chunk end
        return #chunks, table.concat(chunks)]] })
      idle()
    end)

    it("may be left early", function()
      assert.are.equal("1\n", (run [[
        for chunk in db:copy_out "copy (select generate_series(1, 100000000)) to stdout" do
          return chunk
        end]]))
      idle()
    end)

    it("gives many, and raises what fails on the way", function()
      assert.are.equal(scale(200000), (run(([[
        local count = 0
        for _ in db:copy_out "copy (select generate_series(1, %d)) to stdout" do
          count = count + 1
        end
        return count]]):format(scale(200000)))))
      assert.are.equal("22012", site:raised [[
        for _ in db:copy_out "copy (select 1 / (500 - g) from generate_series(1, 1000) g) to stdout"
        do end]].code)
      assert.are.equal("42P01",
        site:raised "for _ in db:copy_out 'copy nowhere to stdout' do end".code)
      idle()
    end)
  end)

  it("of the wrong direction fail", function()
    assert.are.equal("57014", site:raised "for _ in db:copy_out 'copy t from stdin' do end".code)
    assert.are.equal("eof",
      (select(2, run "return db:copy_in('copy t to stdout', function() return '1' end)")).code)
    assert.truthy(site:raised "db:copy_in('select 1', print)":find("no copy statement", 1, true))
    idle()
  end)

  describe("script()", function()
    it("runs any number of statements", function()
      assert.are.same({ true, 2 }, { run [[
        return db:session(function(s)
          return s:script "insert into t values (1); insert into t values (2); select 1",
            s:value "select count(*) from t"
        end)]] })
      local ok, err = run [[
        return db:session(function(s) return s:script "insert into t values (1); selec" end)]]
      assert.are.equal("<nil>", ok)
      assert.are.equal("42601", err.code)
    end)
  end)
end)
