--- aq.db when the server is away, goes away, comes back, or stands still.

local database = require "spec.support.database"
local scale = require "spec.support.scale"
local wait = require "spec.support.wait"

-- What queries end with while the server stands still.
local PROMPT = { query_timeout = true, connection_lost = true, timeout = true,
  pool_timeout = true, ["57P03"] = true }

for _, workers in ipairs { 1, 3 } do
  describe(("aq.db and a server in trouble, %d workers"):format(workers), function()
    local site

    setup(function()
      site = database.start { workers = workers,
        options = "size = 2, query_timeout = 1, connect_timeout = 1, acquire_timeout = 2" }
    end)
    teardown(function() site:stop() end)
    after_each(function() site.postgres:resume() end)

    local function run(code)
      return site:run(code)
    end

    --- Waits until queries work again in every worker that answers.
    local function recovered()
      for _ = 1, workers * 2 do
        wait.till(function() return site:run "return db:value 'select 1'" == 1 end, 10,
          "the database to work again")
      end
    end

    it("answers at the first refused connect while it is away, and works after that", function()
      site.postgres:stop()
      local code, seconds = run [[
        local other <close> = open {}
        local from = aq.now()
        local value, err = other:value "select 1"
        return value == nil and err.code, aq.now() - from]]

      assert.truthy(code == "ECONNREFUSED" or code == "ENOENT", code)
      assert.is_true(seconds < 1, seconds .. " s")
      site.postgres:start()
      recovered()
    end)

    it("answers at once while it stays away", function()
      recovered()
      site.postgres:kill()
      local fast, codes = run [[
        local codes = {}
        local from = aq.now()
        for i = 1, 50 do
          local value, err = db:value "select 1"
          if err then codes[err.code] = true end
          aq.sleep(0.002)
        end
        return aq.now() - from, codes]]

      assert.is_true(fast < 3, fast .. " s")
      assert.truthy(next(codes))
      site.postgres:start()
      recovered()
    end)

    it("tells what was under way that the connection is lost", function()
      recovered()
      local conn = site:begin [[
        local db <close> = open { size = 3 }
        local function slow() return (select(2, db:query "select pg_sleep(20)")) end
        local function streamed()
          return select(2, pcall(function()
            for _ in db:each "select pg_sleep(0.1) from generate_series(1, 200)" do end
          end))
        end
        local errors = aq.all { slow, slow, streamed }
        return errors[1].code, errors[2].code, errors[3].code]]
      wait.till(function()
        return tonumber((site.postgres:psql [[select count(*) from pg_stat_activity
          where query like '%pg_sleep%' and state = 'active' and pid <> pg_backend_pid()]])) == 3
      end)
      site.postgres:kill()

      for _, code in ipairs { site:answer(conn) } do assert.are.equal("connection_lost", code) end
      site.postgres:start()
      recovered()
    end)

    it("goes on when connections are ended one by one", function()
      recovered()
      local failed, worked = run(([=[
        while not db:value "select 1" do aq.sleep(0.01) end -- this worker's, too
        local failed, worked, over = {}, 0, false
        aq.spawn(function()
          for _ = 1, %d do
            aq.sleep(0.03)
            db:query [[select pg_terminate_backend(pid) from pg_stat_activity
              where pid <> pg_backend_pid() and application_name = 'luaqueduct']]
          end
          over = true
        end)
        while not over do
          local value, err = db:value "select 1"
          if value == 1 then worked = worked + 1 else failed[err.code] = true end
          aq.sleep(0.001)
        end
        return failed, worked]=]):format(scale(10)))

      for code in pairs(failed) do assert.are.equal("connection_lost", code) end
      assert.is_true(worked > 10, worked .. " worked")
      recovered()
    end)

    it("does not hang when it stands still", function()
      recovered()
      site.postgres:pause()
      local results, seconds = run [[
        local from = aq.now()
        local fns = {}
        for i = 1, 10 do
          fns[i] = function()
            local value, err = db:value("select $1::int", i)
            return err and err.code .. ": " .. err.message or "fine"
          end
        end
        return aq.all(fns), aq.now() - from]]

      for _, code in ipairs(results) do
        assert.truthy(PROMPT[code:match "^[%w_]+"], code .. "\n" .. site.app:log())
      end
      assert.is_true(seconds < 12, seconds .. " s")
      site.postgres:resume()
      recovered()
    end)

    it("comes back after a restart, with as many connections as it says", function()
      recovered()
      site.postgres:restart()
      recovered()
      wait.till(function()
        return run [[return db:stats().open > 0 and db:stats().busy == 0]]
      end)
      assert.is_true(tonumber((site.postgres:psql [[select count(*) from pg_stat_activity
        where application_name = 'luaqueduct']])) <= workers * 2)
      assert.is_true((run "return db:stats().reconnects >= 0"))
    end)

    it("loses a transaction with the connection, and tells", function()
      recovered()
      local result, err, after = run [[
        while not db:value "select 1" do aq.sleep(0.01) end -- this worker's, too
        db:query "drop table if exists lost"
        db:query "create table lost (a int)"
        local result, err = db:transaction(function(tx)
          tx:query "insert into lost values (1)"
          local pid = tx:value "select pg_backend_pid()"
          db:query("select pg_terminate_backend($1)", pid)
          aq.sleep(0.05)
          return true
        end)
        return result, err, db:value "select count(*) from lost"]]

      assert.are.equal("<nil>", result)
      assert.are.equal("connection_lost", err.code)
      assert.are.equal(0, after)
    end)

    it("stops while the server stands still", function()
      recovered()
      site.postgres:pause()
      local conn = site:begin "return db:query 'select 1'"
      site.app:stop { status = 0 }
      conn:close()
      site.postgres:resume()
    end)
  end)
end
