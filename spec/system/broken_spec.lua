--- Answers that break off: those before them are whole, and no end looks like a good one.

local client = require "spec.support.client"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

local APP = [[
local aq = require "luaqueduct"
local router = aq.router()
router:get("/wait/:n", function(req) aq.sleep(0.03) return req.params.n end)
router:get("/big/:n", function(req) return req.params.n .. ("x"):rep(1000000) end)
router:get("/late", function()
  return aq.stream(function(write) write "begun" error "late" end)
end)
router:get("/later", function()
  return aq.stream(function(write) write "begun" aq.sleep(0.06) error "later" end)
end)
router:get("/endless", function()
  return aq.stream(function(write) while write(("x"):rep(10000)) do aq.sleep(0.001) end end)
end)
router:get("/smuggled", function() print "SMUGGLED" return "smuggled" end)
return router
]]

local OLD = "GET %s HTTP/1.0\r\n\r\n"

for _, workers in ipairs { 1, 4 } do
  describe(("answers that break off, %d workers"):format(workers), function()
    local app

    setup(function()
      app = server.start { source = APP, workers = workers, args = { "--write-timeout", "1" } }
    end)
    teardown(function() app:stop { status = 0 } end)

    local function talk(bytes)
      local conn <close> = app:connect()
      assert(conn:send(bytes))
      return conn:answers()
    end

    it("leave those in front whole, however long these take", function()
      for _, first in ipairs { "/wait/1", "/big/1" } do
        for _, path in ipairs { "/late", "/later" } do
          local answers = talk(client.format("GET", first):rep(3) .. client.format("GET", path)
            .. client.format("GET", "/wait/9") .. client.format("GET", "/smuggled"))

          assert.are.equal(3, #answers, first .. path)
          for i = 1, 3 do assert.are.equal("1", answers[i].body:sub(1, 1)) end
          assert.are.equal("closed", answers.err)
          assert.is_truthy(answers.rest:find "5\r\nbegun\r\n$", answers.rest)
          assert.are.equal("eof", answers.ended)
        end
      end
    end)

    it("end with a reset where the end would be that of the answer", function()
      for _, path in ipairs { "/late", "/later" } do
        local answers = talk(OLD:format(path))
        assert.are.equal("reset", answers.ended, path)
      end
    end)

    it("end with a reset when the client did not read them in time", function()
      local before, conn = app:fds(), app:connect { receive_buffer = 4096 }
      conn:send(OLD:format "/big/1")
      wait.till(function() return app:fds() == before + 1 end)
      wait.till(function() return app:fds() <= before end, 5)

      assert.are.equal("reset", conn:answers().ended)
      conn:close()
    end)

    it("end with a reset when the server stops meanwhile", function()
      local stopped <close> = server.start { source = APP, workers = workers,
        args = { "--drain-timeout", "0.2" } }
      local conn <close> = stopped:connect()
      conn:send(OLD:format "/endless")
      assert(conn:read_head())

      stopped:signal "TERM"

      assert.are.equal("reset", conn:answers().ended)
      assert.are.equal(0, stopped:wait_exit())
    end)
  end)
end
