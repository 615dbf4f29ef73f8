--- TCP connections of a worker that goes: at a stop, a reload, a respawn; its socket stays.

local client = require "spec.support.client"
local framed = require "spec.support.framed"
local proc = require "spec.proc"
local scale = require "spec.support.scale"
local wait = require "spec.support.wait"

local DRAIN = 4 -- seconds; clients that do not close are waited for, but for 2 only

local PREPARE = [[
listen("echo", { framing = "u8", message = function(conn, s)
  conn:send(s == "who" and aq.instance.generation .. " " .. aq.instance.restarts or s)
end })
listen("wait", { framing = "u8", message = function(conn, s)
  note "entered"
  aq.sleep(s == "long" and 100 or 0.2)
  conn:send(s)
  note "handled"
end })
listen("slow-close", { framing = "u8", message = echo, close = function()
  aq.sleep(0.1)
  note "slow-close over"
end })
listen("bad-close", { framing = "u8", message = echo,
  close = function() error "in the closing" end })
listen("late-close", { framing = "u8", message = echo, close = function()
  aq.sleep(100)
  note "late-close over"
end })
router:get("/end", function() aq.instance:stop() return "ending" end)
]]

for _, workers in ipairs { 1, 4 } do
  describe(("TCP connections that are left, %d workers"):format(workers), function()
    local app, conns

    before_each(function()
      app = framed.start { prepare = PREPARE, workers = workers,
        args = { "--drain-timeout", tostring(DRAIN) } }
      conns = {}
    end)
    after_each(function()
      for _, conn in ipairs(conns) do conn:close() end
      app:stop { status = 0 }
    end)

    local function open(name, count)
      for _ = 1, count or 1 do
        local conn = framed.connect(app, name)
        conns[#conns + 1] = conn
      end
      return conns[#conns]
    end

    local function ask(conn, message)
      conn:send(framed.frame("u8", message))
      return framed.read(conn, "u8")
    end

    --- So that all are open on the other side, too.
    local function open_and_ask(name, count)
      for _ = 1, count do assert.are.equal("hi", ask(open(name), "hi")) end
    end

    it("are told at a stop, each once", function()
      open_and_ask("echo", 50)
      open_and_ask("slow-close", 10)
      open_and_ask("bad-close", 10)
      local began = proc.now()

      app:stop { status = 0 }

      assert.is_true(proc.now() - began < DRAIN)
      for _, conn in ipairs(conns) do assert.is_true(conn:is_closed()) end
      assert.are.equal(50, framed.count(app, "echo stop"))
      assert.are.equal(10, framed.count(app, "slow-close stop"))
      assert.are.equal(10, framed.count(app, "slow-close over"))
      assert.are.equal(10, framed.count(app, "bad-close stop"))
    end)

    it("are told at a stop when what has come is handled", function()
      local conn = open "wait"
      conn:send(framed.frames("u8", { "short", "other" }))
      framed.wait_note(app, "entered")

      app:stop { status = 0 }

      assert.are.equal("short", framed.read(conn, "u8"))
      assert.are.equal("other", framed.read(conn, "u8"))
      assert.is_true(conn:is_closed())
      assert.are.equal(2, framed.count(app, "handled"))
      assert.are.equal(1, framed.count(app, "wait stop"))
    end)

    it("are cut when the time to drain is over, and told once", function()
      local conn = open "wait"
      conn:send(framed.frame("u8", "long"))
      framed.wait_note(app, "entered")
      open_and_ask("echo", 5)
      local began = proc.now()

      app:stop { status = 0 }

      assert.is_true(proc.now() - began > DRAIN - 0.1)
      assert.is_true(proc.now() - began < DRAIN + 1.5, "took " .. proc.now() - began)
      assert.are.equal(0, framed.count(app, "handled"))
      assert.are.equal(1, framed.count(app, "wait stop"))
      assert.are.equal(5, framed.count(app, "echo stop"))
    end)

    it("do not hold a stop up by a close that never ends", function()
      open("late-close", 3)
      for _, conn in ipairs(conns) do ask(conn, "hi") end

      app:stop { status = 0, timeout = DRAIN + 5 }

      assert.are.equal(3, framed.count(app, "late-close stop"))
      assert.are.equal(0, framed.count(app, "late-close over"))
    end)

    it("leave at a reload one after another, and come back to the same port", function()
      local count, port = scale(60, 1000), framed.port(app, "echo")
      open_and_ask("echo", count)

      app:signal "HUP"
      app:wait_log "reloaded: generation 2 serves"
      local began, times = proc.now(), {}
      local open_count = count
      wait.till(function()
        for i, conn in ipairs(conns) do
          if not times[i] and wait.readable(conn.socket, 0) then
            assert.is_true(conn:is_closed())
            times[i] = proc.now() - began
            conn:close()
            open_count = open_count - 1
          end
        end
        local other <close> = client.connect { port = port }
        assert.are.equal("2 0", ask(other, "who"))
        return open_count == 0
      end, DRAIN + 5, "all to be told")

      table.sort(times)
      assert.is_true(times[count] > 0.3 and times[count] < DRAIN + 0.5, "last " .. times[count])
      assert.is_true(times[count // 2] > times[count] / 5, "half of them " .. times[count // 2])
      conns = {}
      wait.till(function() return framed.count(app, "echo stop") == count end)
    end)

    it("of a worker that is replaced leave, and its successor takes the port over", function()
      open_and_ask("echo", 8 * workers)
      local waiting = framed.connect(app, "wait")
      waiting:send "\5short"
      framed.wait_note(app, "entered")

      for _ = 1, 3 do app:get "/end" end

      assert.are.equal("short", framed.read(waiting, "u8"))
      wait.till(function()
        local other <close> = framed.connect(app, "echo")
        return ask(other, "who") ~= "1 0"
      end)
      wait.till(function()
        local left = 0
        for _, conn in ipairs(conns) do
          if not wait.readable(conn.socket, 0) then left = left + 1 end
        end
        return left < #conns
      end)
      for _, conn in ipairs(conns) do
        if not wait.readable(conn.socket, 0) then assert.are.equal("hi", ask(conn, "hi")) end
      end
      waiting:close()
    end)

    it("lose nobody who connects while workers are replaced", function()
      local port = framed.port(app, "echo")
      local failed = {}

      for i = 1, 300 do -- a worker that ends more often has to wait for its next start
        if i % 60 == 0 then app:get "/end" end
        local ok, answer = pcall(function()
          local conn <close> = client.connect { port = port }
          return ask(conn, "hi") or error "no answer"
        end)
        if not ok then failed[#failed + 1] = answer end
      end
      assert.are.equal(0, #failed, tostring(failed[1]))
    end)

    it("end with the runtime that dies; the next one has the port", function()
      local port, before = framed.port(app, "echo"), app:runtime()
      open_and_ask("echo", 5)

      proc.kill(before, 9)
      for _, conn in ipairs(conns) do assert.is_true(conn:is_closed()) end
      local other <close> = client.connect { port = port }
      assert.are.equal("hi", ask(other, "hi"))
      assert.are.equal(port, framed.port(app, "echo"))
      app:stop { status = 0 }
      assert.is_false((pcall(client.connect, { port = port })))
    end)
  end)
end
