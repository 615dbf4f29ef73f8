--- The stop in detail: what is finished, what is cut, and what ends one worker.

local client = require "spec.support.client"
local proc = require "spec.proc"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

local SOURCE = [[
local aq = require "luaqueduct"
local App = aq.channel()
function App:entry_point()
  local router = aq.router()
  router:get("/", function() return "Hello" end)
  router:get("/id", function() return tostring(aq.instance.id) end)
  router:get("/slow", function()
    print "slow begun"
    aq.sleep(0.3)
    return "slow"
  end)
  router:get("/endless", function()
    local guard <close> = setmetatable({}, { __close = function() print "endless closed" end })
    print "endless begun"
    aq.sleep(1000)
  end)
  router:get("/stream", function()
    return aq.stream(function(write)
      for i = 1, 5 do write(tostring(i)) aq.sleep(0.05) end
    end)
  end)
  router:post("/body", function(req)
    print "body begun"
    return "got " .. req:body()
  end)
  router:get("/background", function()
    aq.spawn(function()
      local guard <close> = setmetatable({}, { __close = function() print "task closed" end })
      aq.sleep(1000)
    end)
    aq.every(1000, print)
    return "started"
  end)
  router:get("/stop", function()
    aq.instance:stop()
    aq.instance:stop()
    aq.sleep(0.05)
    return "stopped " .. aq.instance.id
  end)
  router:get("/exit/:code", function(req) os.exit(tonumber(req.params.code)) end)
  return router
end
function App:close()
  aq.sleep(0.01)
  print "close done"
end
return App
]]

local function count(text, what)
  return select(2, text:gsub(what, ""))
end

for _, workers in ipairs { 1, 4 } do
  describe(("a stop with %d workers"):format(workers), function()
    local app

    before_each(function() app = nil end)
    after_each(function() if app then app:kill() end end)

    local function start(...)
      app = server.start { source = SOURCE, workers = workers, args = { ... } }
    end

    local function send(bytes)
      local conn = app:connect()
      assert(conn:send(bytes))
      return conn
    end

    it("finishes an answer under way, with Connection: close", function()
      start()
      local conn = send(client.format("GET", "/slow"))
      app:wait_log "slow begun"

      app:signal "TERM"

      local res = assert(conn:read_response())
      assert.are.equal("slow", res.body)
      assert.are.equal("close", res:header "connection")
      assert.is_true(conn:is_closed(2))
      conn:close()
      assert.are.equal(0, app:wait_exit(5))
      assert.are.equal(workers, count(app:log(), "close done"))
    end)

    it("takes INT as well, and closes idle connections", function()
      start()
      local conn = send(client.format("GET", "/slow"))
      app:wait_log "slow begun"
      local idle = app:connect()
      assert.are.equal("Hello", idle:get("/").body)

      app:signal "INT"

      assert.is_true(idle:is_closed(2))
      assert.are.equal("slow", conn:read_response().body)
      conn:close()
      assert.are.equal(0, app:wait_exit(5))
    end)

    it("refuses connections while it drains", function()
      start()
      local conn = send(client.format("GET", "/slow"))
      app:wait_log "slow begun"

      app:signal "TERM"

      wait.till(function() return not pcall(app.connect, app) end, 2, "a refused connection")
      assert.are.equal("slow", conn:read_response().body)
      conn:close()
      assert.are.equal(0, app:wait_exit(5))
    end)

    it("finishes a stream and a body that still arrives", function()
      start()
      local stream = send(client.format("GET", "/stream"))
      assert(stream:read_head())
      local body = send "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab"
      app:wait_log "body begun"

      app:signal "TERM"
      assert(body:send "cd")

      assert.are.equal("got abcd", body:read_response().body)
      local text = stream:read_all()
      assert.matches("5\r\n0\r\n\r\n$", text)
      body:close()
      stream:close()
      assert.are.equal(0, app:wait_exit(5))
    end)

    it("ends at once when nothing is under way, whatever tasks there are", function()
      start()
      assert.are.equal("started", app:get("/background").body)
      local idle = app:connect()
      local from = proc.now()

      app:stop { status = 0 }

      assert.is_true(proc.now() - from < 2)
      assert.is_true(idle:is_closed(1))
      assert.are.equal(1, count(app:log(), "task closed"))
    end)

    it("cuts what is left at the drain timeout: <close> runs, status 0", function()
      start("--drain-timeout", "0.2")
      local conn = send(client.format("GET", "/endless"))
      app:wait_log "endless begun"
      local from = proc.now()

      app:stop { status = 0 }

      local seconds = proc.now() - from
      assert.is_true(seconds >= 0.19 and seconds < 3, seconds .. " s")
      local res = conn:read_response()
      assert.are.equal(503, res.status)
      assert.are.equal("close", res:header "connection")
      assert.is_true(conn:is_closed(2))
      assert.are.equal(1, count(app:log(), "endless closed"))
      assert.are.equal(workers, count(app:log(), "close done"))
    end)

    it("stops at once at a second signal, with status 1", function()
      start()
      local conn = send(client.format("GET", "/endless"))
      local idle = app:connect()
      assert.are.equal("Hello", idle:get("/").body)
      app:wait_log "endless begun"

      app:signal "TERM"
      assert.is_true(idle:is_closed(2))
      local from = proc.now()
      app:stop { status = 1, signal = "INT" }

      assert.is_true(proc.now() - from < 1)
      conn:close()
    end)

    it("leaves the signals that mean nothing alone", function()
      start()

      app:signal "HUP"
      app:signal "USR1"

      for _ = 1, 4 do assert.are.equal("Hello", app:get("/").body) end
      app:stop { status = 0 }
    end)
  end)
end

describe("aq.instance:stop()", function()
  local function start(workers, ...)
    return server.start { source = SOURCE, workers = workers, args = { ... } }
  end

  it("finishes the answer and ends that worker only", function()
    local app <close> = start(4, "--no-respawn")

    local id = app:get("/stop").body:match "^stopped (%d)$"
    app:wait_log "close done"
    wait.till(function() return count(app:log(), "has ended") == 1 end)

    for _ = 1, 40 do
      local res = assert(app:get "/id")
      assert.are.equal(200, res.status)
      assert.are_not.equal(id, res.body)
    end
    app:stop { status = 0 }
    assert.are.equal(4, count(app:log(), "close done"))
  end)

  it("keeps the connections of the other workers", function()
    local app <close> = start(4)
    local conns = {}
    for i = 1, 16 do
      conns[i] = app:connect()
      conns[i].id = conns[i]:get("/id").body
    end

    local id = app:get("/stop").body:match "%d"
    app:wait_log "has ended"

    local kept = 0
    for _, conn in ipairs(conns) do
      local res = conn:get "/id"
      if conn.id ~= id then
        assert.are.equal(conn.id, res.body)
        kept = kept + 1
      end
    end
    assert.is_true(kept >= 8)
    app:stop { status = 0 }
  end)

  it("os.exit does the same, whatever the status", function()
    for _, code in ipairs { 0, 7 } do
      local app <close> = start(2)

      app:get("/exit/" .. code)
      app:wait_log "has ended"

      for _ = 1, 8 do assert.are.equal("Hello", app:get("/").body) end
      app:stop { status = 0 }
    end
  end)
end)
