--- Which worker holds which connection, and what listens where.

local client = require "spec.support.client"
local command = require "spec.support.command"
local proc = require "spec.proc"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

local CONNECTIONS = 64
local MOST = 20

local SOURCE = [[
local aq = require "luaqueduct"
local router = aq.router()
router:get("/worker", function() return tostring(aq.instance.id) end)
router:get("/busy/:seconds", function(req)
  local till = aq.now() + tonumber(req.params.seconds)
  print("busy is " .. aq.instance.id)
  while aq.now() < till do end
  return "done"
end)
return router
]]

local function worker_of(conn)
  return assert(conn:request("GET", "/worker")).body
end

--- How many connections the busiest worker holds, and how many workers hold any.
local function measure(conns)
  local held, most, workers = {}, 0, 0

  for _, conn in ipairs(conns) do
    local id = worker_of(conn)
    if not held[id] then workers = workers + 1 end
    held[id] = (held[id] or 0) + 1
    most = math.max(most, held[id])
  end
  return most, workers
end

local function close_all(conns)
  for _, conn in ipairs(conns) do conn:close() end
end

describe("64 kept connections over 4 workers", function()
  local app

  before_each(function() app = server.start { source = SOURCE, workers = 4 } end)
  after_each(function() app:stop { status = 0 } end)

  local function is_even(conns)
    local most, workers = measure(conns)

    assert.are.equal(CONNECTIONS, #conns)
    assert.are.equal(4, workers)
    assert.is_true(most <= MOST, ("the busiest worker holds %d"):format(most))
  end

  it("are spread evenly when they are opened one by one", function()
    local conns = {}

    for i = 1, CONNECTIONS do
      conns[i] = app:connect()
      worker_of(conns[i])
    end

    is_even(conns)
    close_all(conns)
  end)

  it("are spread evenly when they come at once", function()
    local conns = {}

    for i = 1, CONNECTIONS do conns[i] = app:connect() end

    is_even(conns)
    close_all(conns)
  end)

  it("are spread evenly in bursts, with closes between", function()
    local conns = {}

    for round = 1, 8 do
      for _ = 1, 16 do conns[#conns + 1] = app:connect() end
      for _, conn in ipairs(conns) do worker_of(conn) end
      while round < 8 and #conns > 8 * round do
        table.remove(conns, (round * 7 + #conns * 3) % #conns + 1):close()
      end
    end
    while #conns > CONNECTIONS do table.remove(conns, 1):close() end

    is_even(conns)
    close_all(conns)
  end)

  it("are all let go when they close", function()
    local before = app:fds()
    local conns = {}
    for i = 1, CONNECTIONS do
      conns[i] = app:connect()
      worker_of(conns[i])
    end

    close_all(conns)

    wait.till(function() return app:fds() <= before end, 5, "the descriptors to be closed")
  end)
end)

describe("a busy worker", function()
  it("has its socket served by the others", function()
    local app <close> = server.start { source = SOURCE, workers = 4 }
    local conn <close> = app:connect()
    local id = worker_of(conn)

    conn:send(client.format("GET", "/busy/2"))
    app:wait_log("busy is " .. id)
    local from = proc.now()
    for _ = 1, 40 do
      local other <close> = app:connect()
      assert.are_not.equal(id, worker_of(other))
    end
    local seconds = proc.now() - from

    assert.is_true(seconds < 1.5, ("40 connections took %.2f s"):format(seconds))
    assert.are.equal("done", conn:read_response().body)
    app:stop { status = 0 }
  end)

  it("lets the pipeline of its own connection wait", function()
    local app <close> = server.start { source = SOURCE, workers = 4 }
    local conn <close> = app:connect()
    local answers = assert(conn:pipeline { { "GET", "/busy/0.2" }, { "GET", "/worker" } })

    assert.are.equal("done", answers[1].body)
    assert.matches("^%d$", answers[2].body)
    app:stop { status = 0 }
  end)
end)

local function has_v6()
  local file = io.open "/proc/net/if_inet6"
  local text = file and file:read "a" or ""
  if file then file:close() end
  return text:find("00000000000000000000000000000001", 1, true) ~= nil
end

for _, workers in ipairs { 1, 4 } do
  describe(("several addresses with %d workers"):format(workers), function()
    local folder

    before_each(function() folder = command.folder() end)
    after_each(function() command.remove(folder) end)

    it("all serve, in the ready line's order", function()
      local path = folder .. "/app.sock"
      local listen = { "http://127.0.0.1:0", "unix:" .. path, "http://127.0.0.1:0" }
      if has_v6() then listen[4] = "http://[::1]:0" end

      local app <close> = server.start { source = SOURCE, workers = workers, listen = listen }

      assert.are.equal(#listen, #app.addresses)
      for _, address in ipairs(app.addresses) do
        local host, port = address:match "^http://%[?([^%]]-)%]?:(%d+)$"
        if host then
          local conn <close> = client.connect { host = host, port = tonumber(port) }
          assert.matches("^%d$", worker_of(conn))
        else
          assert.are.equal("unix:" .. path, address)
          local conn <close> = client.connect { unix = path }
          assert.matches("^%d$", worker_of(conn))
        end
      end
      app:stop { status = 0 }
      assert.is_nil(io.open(path))
    end)

    it("spread what comes over a unix socket, too", function()
      local path = folder .. "/app.sock"
      local app <close> = server.start {
        source = SOURCE, workers = workers, listen = { "unix:" .. path },
      }
      local conns = {}

      for i = 1, 16 do conns[i] = app:connect() end
      local most = measure(conns)

      assert.is_true(most <= (workers == 1 and 16 or 7), most .. " on one worker")
      close_all(conns)
      app:stop { status = 0 }
    end)

    it("replace a stale socket file, and refuse one in use or another file", function()
      local path = folder .. "/app.sock"
      local listen = { "unix:" .. path }
      local first = server.start { source = SOURCE, workers = workers, listen = listen }
      local second = server.fail { source = SOURCE, workers = workers, listen = listen }
      assert.are.equal(1, second.status)
      assert.matches("app.sock", second.stderr, 1, true)
      first:kill()

      local third <close> = server.start { source = SOURCE, workers = workers, listen = listen }
      assert.are.equal(200, third:get("/worker").status)
      third:stop { status = 0 }

      assert(io.open(path, "w")):close()
      local fourth = server.fail { source = SOURCE, workers = workers, listen = listen }
      assert.are.equal(1, fourth.status)
      assert(io.open(path)):close()
    end)
  end)
end
