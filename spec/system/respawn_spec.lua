--- A worker that ends is replaced; nobody else notices.

local client = require "spec.support.client"
local load = require "spec.support.load"
local proc = require "spec.proc"
local scale = require "spec.support.scale"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

local APP = [[
local aq = require "luaqueduct"
local App = aq.channel()

function App:prepare()
  if aq.instance.restarts > 0 and io.open(self.options.context.flag or "/nowhere/at-all") then
    error "not this time"
  end
end

function App:entry_point()
  local router = aq.router()
  router:get("/", function() return aq.instance.id .. " " .. aq.instance.restarts end)
  router:get("/exit", function() os.exit() end)
  router:get("/stop", function()
    aq.instance:stop()
    return "stopping"
  end)
  router:get("/stream", function()
    return aq.stream(function(write)
      write "begun"
      aq.instance:stop()
      aq.sleep(0.3)
      write " and finished"
    end)
  end)
  return router
end

return App
]]

--- Asks until the answer comes from a worker that was started `restarts` times.
local function wait_restarts(app, restarts, seconds)
  return wait.till(function()
    return app:get("/").body:match "%d+ (%d+)" == tostring(restarts)
  end, seconds, restarts .. " restarts")
end

describe("a worker that ends", function()
  for _, path in ipairs { "/stop", "/exit" } do
    it("is replaced within 100 ms after " .. path, function()
      local app <close> = server.start { source = APP }
      assert.are.equal("1 0", app:get("/").body)

      app:get(path)
      local began = proc.now()
      wait_restarts(app, 1)

      assert.is_true(proc.now() - began < 0.1, ("%g s"):format(proc.now() - began))
      app:stop { status = 0 }
    end)
  end

  it("tells the log why and where", function()
    local app <close> = server.start { source = APP }

    app:get "/exit"

    app:wait_log "os.exit was called"
    app:wait_log "app.lua:13: in function"
    app:wait_log "worker 1 has ended: it is started again in 0 ms"
    app:stop { status = 0 }
  end)

  it("lets its answers under way finish while the next one serves", function()
    local app <close> = server.start { source = APP }
    local conn = app:connect()

    conn:send(client.format("GET", "/stream"))
    wait_restarts(app, 1, 0.25)

    assert.are.equal("begun and finished", assert(conn:read_response()).body)
    conn:close()
    app:stop { status = 0 }
  end)

  it("keeps a connection whose answer has not said otherwise for one more request", function()
    local app <close> = server.start { source = APP }
    local conn = app:connect()

    local res = conn:request("GET", "/stream") -- its head is out before the worker is to end
    assert.are.equal("begun and finished", res.body)
    assert.is_nil(res:header "connection")
    local one_more = conn:request("GET", "/")

    assert.are.equal("1 0", one_more and one_more.body)
    assert.are.equal("close", one_more:header "connection")
    assert.is_true(conn:is_closed())
    conn:close()
    app:stop { status = 0 }
  end)

  it("answers all that comes in one packet, and says in the last answer that it ends", function()
    local app <close> = server.start { source = APP }
    local conn = app:connect()
    assert.are.equal("1 0", conn:request("GET", "/").body)
    app:get "/stop"
    wait_restarts(app, 1)

    local answers = assert(conn:pipeline { { "GET", "/" }, { "GET", "/" }, { "GET", "/" } })

    for i, res in ipairs(answers) do
      assert.are.equal("1 0", res.body)
      assert.are.equal(i == 3 and "close" or nil, res:header "connection")
    end
    assert.is_true(conn:is_closed())
    conn:close()
    app:stop { status = 0 }
  end)

  it("comes back later and later when it dies young", function()
    local app <close> = server.start { source = APP }

    local delays = { 0, 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000 }

    for restarts = 1, scale(4, #delays) do
      app:get "/stop"
      wait_restarts(app, restarts, 15)
      wait.till(function()
        local said = {}
        for ms in app:log():gmatch "started again in (%d+) ms" do said[#said + 1] = tonumber(ms) end
        return said[restarts] == delays[restarts]
      end, 2, ("death %d to be followed by %d ms"):format(restarts, delays[restarts]))
    end
    app:stop { status = 0 }
  end)

  it("refuses no connection meanwhile, and leaves no request unanswered", function()
    local app <close> = server.start { source = APP, workers = 4 }
    local steady <close> = load.start(app, "steady")
    local kept = app:connect()
    kept:send(client.format("GET", "/"))
    local keeper = assert(kept:read_response()).body:match "^%d+"
    local count = scale(200)

    -- Ten deaths, however long it is: after more of them each takes ten seconds.
    for i = 1, count do
      local res, err = app:get(i % (count // 10) == 0 and "/stop" or "/")
      assert.are.equal(200, res and res.status or err)
    end
    kept:send(client.format("GET", "/"))
    local res = kept:read_response()

    -- The kept connection ends with its worker and not before.
    if res then assert.are.equal(keeper, res.body:match "^%d+") end
    kept:close()
    local results = steady:stop()
    assert.are.equal(results.connects, results.answered)
    app:stop { status = 0 }
  end)

  it("leaves no descriptor, thread or memory behind", function()
    local app <close> = server.start { source = APP }
    local fds, threads = app:fds(), app:threads()

    for restarts = 1, 4 do
      app:get "/stop"
      wait_restarts(app, restarts)
    end

    wait.till(function() return app:threads() == threads end)
    wait.till(function() return app:fds() == fds end)
    app:stop { status = 0 }
  end)

  it("is tried again when the next one cannot prepare", function()
    local flag = os.tmpname()
    local app <close> = server.start { source = APP, args = { "--option", "flag=" .. flag } }

    app:get "/stop"
    app:wait_log "worker 1: "
    app:wait_log "not this time"
    os.remove(flag)

    wait.till(function() return tonumber(app:get("/").body:match "%d+$") >= 2 end)
    app:stop { status = 0 }
  end)

  it("does not hold up a stop while its place is empty", function()
    local app <close> = server.start { source = APP }

    for restarts = 1, 5 do
      app:get "/stop"
      wait_restarts(app, restarts)
    end
    app:get "/stop"
    app:wait_log "in 1600 ms"
    app:stop { status = 0 }

    assert.is_nil(app:log():find("left open", 1, true))
  end)
end)

describe("os.exit", function()
  local SOURCE = [[
    local aq = require "luaqueduct"
    local App = aq.channel()
    local function leave(at, context) if context.at == at then LEAVE end end
    function App.initialize(options) leave("initialize", options.context) end
    function App:prepare() leave("prepare " .. aq.instance.restarts, self.options.context) end
    function App:ready() leave("ready", self.options.context) end
    function App:entry_point()
      leave("entry_point", self.options.context)
      local router = aq.router()
      router:get("/", function() return aq.instance.id .. " " .. aq.instance.restarts end)
      router:get("/stop", function() aq.instance:stop() return "" end)
      return router
    end
    return App
  ]]

  for _, at in ipairs { "initialize", "prepare 0", "entry_point", "ready" } do
    it(("in %s ends the start"):format(at), function()
      local result = server.fail {
        source = SOURCE:gsub("LEAVE", "os.exit(0)"), args = { "--option", "at=" .. at },
      }

      assert.are.equal(1, result.status)
      assert.is_truthy(result.stderr:find("app.lua:3: os.exit", 1, true), result.stderr)
    end)
  end

  it("at the top of the script ends the start", function()
    local result = server.fail { source = "os.exit(0)" }

    assert.are.equal(1, result.status)
    assert.is_truthy(result.stderr:find("app.lua:1: os.exit was called", 1, true), result.stderr)
  end)

  it("has a sibling that does the same in initialize", function()
    local result = server.fail {
      source = SOURCE:gsub("LEAVE", "aq.instance:stop()"), args = { "--option", "at=initialize" },
    }

    assert.are.equal(1, result.status)
    assert.is_truthy(result.stderr:find("app.lua:3: aq.instance:stop() was called", 1, true),
      result.stderr)
  end)

  for _, leave in ipairs { "os.exit(0)", "aq.instance:stop()" } do
    it(("in prepare of a successor is followed by another one: %s"):format(leave), function()
      local app <close> = server.start {
        source = SOURCE:gsub("LEAVE", leave), args = { "--option", "at=prepare 1" },
      }

      app:get "/stop"
      wait_restarts(app, 2)

      app:stop { status = 0 }
    end)
  end
end)

describe("--no-respawn", function()
  it("leaves it dead, and the last one takes the runtime along", function()
    local app <close> = server.start { source = APP, workers = 2, args = { "--no-respawn" } }

    app:get "/stop"
    app:wait_log "has ended"
    assert.are.equal(200, app:get("/").status)
    app:get "/stop"

    app:wait_exit(5)
    app:stop { status = 1 }
  end)
end)
