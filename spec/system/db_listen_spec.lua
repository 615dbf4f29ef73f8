--- aq.db: notifications.

local database = require "spec.support.database"
local wait = require "spec.support.wait"

for _, workers in ipairs { 1, 3 } do
  describe(("db:listen() with %d workers"):format(workers), function()
    local site

    setup(function() site = database.start { workers = workers, options = "size = 2" } end)
    teardown(function() site:stop() end)

    local function run(code)
      return site:run(code)
    end

    it("hears what is sent on its channel, in order", function()
      assert.are.same({ { "a", "b", "", "d" } }, { run [[
        local heard = {}
        local function hear(payload) heard[#heard + 1] = payload end
        local sub <close> = assert(db:listen("news", hear))
        assert(db:notify("news", "a"))
        assert(db:notify("other", "x"))
        assert(db:notify("news", "b"))
        assert(db:notify "news")
        assert(db:notify("news", "d"))
        while #heard < 4 do aq.sleep(0.002) end
        return heard]] })
    end)

    it("hears what others send", function()
      run [[
        kept.heard = {}
        kept.sub = db:listen("outside", function(payload) table.insert(kept.heard, payload) end)
        kept.owner = true]]
      site.postgres:psql "notify outside, 'hello'"

      wait.till(function()
        return (run "return kept.owner and kept.heard[1]") == "hello"
      end)
      wait.till(function() return run "if kept.sub then kept.sub:cancel() return 1 end" == 1 end)
    end)

    it("hears what a transaction sends when it is committed", function()
      assert.are.same({ { "kept" } }, { run [[
        local heard = {}
        local function hear(payload) heard[#heard + 1] = payload end
        local sub <close> = assert(db:listen("tx", hear))
        pcall(db.transaction, db, function(tx)
          tx:notify("tx", "lost")
          error "no"
        end)
        db:transaction(function(tx) return tx:notify("tx", "kept") end)
        while #heard < 1 do aq.sleep(0.002) end
        aq.sleep(0.02)
        return heard]] })
    end)

    it("tells each of several, and ends with cancel", function()
      assert.are.same({ 2, 1 }, { run [[
        local first, second = 0, 0
        local a = assert(db:listen("both", function() first = first + 1 end))
        local b = assert(db:listen("both", function() second = second + 1 end))
        db:notify "both"
        while first + second < 2 do aq.sleep(0.002) end
        b:cancel()
        b:cancel()
        db:notify "both"
        while first < 2 do aq.sleep(0.002) end
        aq.sleep(0.02)
        a:cancel()
        return first, second]] })
    end)

    it("hears whatever is sent behind its return, however many subscribe at a time", function()
      assert.are.equal(300, (run [[
        local other <close> = open()
        local count, tasks = 0, {}
        for i = 1, 300 do
          tasks[i] = function()
            if i > 100 then aq.sleep(0.001 + i * 0.0001) end
            local heard = false
            local channel = "c" .. i // 2
            local sub <close> = assert(other:listen(channel, function() heard = true end))
            assert(db:notify(channel))
            local by = aq.now() + 5
            while not heard and aq.now() < by do aq.sleep(0.002) end
            if heard then count = count + 1 end
          end
        end
        aq.all(tasks)
        return count]]))
    end)

    it("runs the function of one subscription one payload after another", function()
      assert.are.same({ { "in1", "out1", "in2", "out2" } }, { run [[
        local seen = {}
        local sub <close> = assert(db:listen("turns", function(payload)
          seen[#seen + 1] = "in" .. payload
          aq.sleep(0.02)
          seen[#seen + 1] = "out" .. payload
        end))
        db:notify("turns", "1")
        db:notify("turns", "2")
        while #seen < 4 do aq.sleep(0.002) end
        return seen]] })
    end)

    it("goes on behind an error in the function, which is logged", function()
      assert.are.equal(2, (run [[
        local count = 0
        local sub <close> = assert(db:listen("faulty", function()
          count = count + 1
          error "a fault of its own"
        end))
        db:notify "faulty"
        db:notify "faulty"
        while count < 2 do aq.sleep(0.002) end
        return count]]))
      site.app:wait_log "a fault of its own"
    end)

    it("listens again when its connection was ended, and when the server was away", function()
      for _, break_it in ipairs {
        function()
          site.postgres:psql [[select pg_terminate_backend(pid) from pg_stat_activity
            where application_name = 'luaqueduct']]
        end,
        function() site.postgres:restart() end,
      } do
        local conn = site:begin [[
          local heard = 0
          local sub <close> = assert(db:listen("again", function() heard = heard + 1 end))
          while heard == 0 do aq.sleep(0.005) end
          return heard]]
        wait.till(function()
          return site.postgres:psql [[select count(*) from pg_stat_activity
            where query like 'listen "again"%']] == "1"
        end)
        break_it()
        wait.till(function()
          site.postgres:psql "notify again"
          return conn.socket and select(1, wait.readable(conn.socket, 0.02))
        end, 10, "the notification")
        assert.are.equal("number", type((site:answer(conn))))
      end
    end)

    it("is nil and an error while the server is away", function()
      site.postgres:stop()
      local sub, err = run [[
        local other <close> = open()
        return other:listen("x", print)]]
      site.postgres:start()

      assert.are.equal("<nil>", sub)
      assert.truthy(err.code == "ECONNREFUSED" or err.code == "ENOENT", err.code)
    end)

    it("raises for what is no channel or no function", function()
      assert.truthy(site:raised "db:listen('', print)":find("channel", 1, true))
      assert.truthy(site:raised "db:listen('x')":find("function", 1, true))
    end)
  end)
end
