--- Start, ready line, stop: what the command line and the channel promise.

local client = require "spec.support.client"
local proc = require "spec.proc"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

local CHANNEL = [[
local aq = require "luaqueduct"
local App = aq.channel()
function App.initialize(options)
  options.context.greeting = "hello " .. (options.context.name or "?")
  options.context.deep = { list = { 1, 2.5, true } }
  print("initialize in " .. aq.instance.id)
end
function App:prepare() aq.sleep(0.02) self.prepared = true print("prepare") end
function App:entry_point()
  local router = aq.router()
  router:get("/", function()
    local context = self.options.context
    return { greeting = context.greeting, deep = context.deep, prepared = self.prepared,
      id = aq.instance.id, workers = aq.instance.workers, generation = aq.instance.generation,
      restarts = aq.instance.restarts }
  end)
  router:get("/slow", function() aq.sleep(0.3) return "slow" end)
  router:get("/endless", function() aq.sleep(1000) return "never" end)
  router:get("/stop", function() aq.instance:stop() return "stopping" end)
  router:get("/exit", function() os.exit(0) end)
  router:get("/out", function() io.write("to stdout\n") return "written" end)
  return router
end
function App:ready() print("ready in " .. aq.instance.id) end
function App:close() print("close in " .. aq.instance.id) end
return App
]]

local function start(workers, args)
  return server.start { source = CHANNEL, workers = workers, args = args }
end

local function count(text, what)
  return select(2, text:gsub(what, ""))
end

for _, workers in ipairs { 1, 4 } do
  describe(("the life cycle with %d workers"):format(workers), function()
    it("runs each step, with the context in every worker", function()
      local app <close> = start(workers, { "--option", "name=you=me" })

      for _ = 1, 8 do
        assert.matches('"greeting":"hello you=me"', app:get("/").body, 1, true)
        assert.matches('"list":[1,2.5,true]', app:get("/").body, 1, true)
        assert.matches('"prepared":true', app:get("/").body, 1, true)
        assert.matches('"workers":' .. workers, app:get("/").body, 1, true)
      end
      local _, log = app:stop { status = 0 }
      assert.are.equal(1, count(log, "initialize in 0"))
      assert.are.equal(workers, count(log, "prepare\n"))
      assert.are.equal(workers, count(log, "ready in %d"))
      assert.are.equal(workers, count(log, "close in %d"))
    end)

    it("finishes answers under way at TERM, with Connection: close", function()
      local app <close> = start(workers)
      local conn, idle = app:connect(), app:connect()
      idle:request("GET", "/")
      conn:send(client.format("GET", "/slow"))
      conn:send(client.format("GET", "/slow"))

      app:get "/"
      app:signal "TERM"

      assert.is_true(idle:is_closed(2))
      assert.are.equal("slow", conn:read_response().body)
      assert.are.equal(0, app:wait_exit(5))
    end)

    it("cuts what is left at the drain timeout", function()
      local app <close> = start(workers, { "--drain-timeout", "0.3" })
      local conn = app:connect()
      conn:send(client.format("GET", "/endless"))
      app:get "/"

      local status = app:stop()

      assert.are.equal(0, status)
      assert.is_nil((conn:read_response()))
    end)

    it("stops at once at a second signal, with status 1", function()
      local app <close> = start(workers)
      local conn, idle = app:connect(), app:connect()
      idle:request("GET", "/")
      conn:send(client.format("GET", "/endless"))
      app:get "/"

      app:signal "TERM"
      assert.is_true(idle:is_closed(2)) -- it was taken: two at once are one

      app:stop { status = 1, timeout = 2 }
    end)

    it("keeps standard output for the ready line", function()
      local app <close> = start(workers)

      assert.are.equal("written", app:get("/out").body)
      app:wait_log "to stdout"
      app:stop { status = 0 }
    end)
  end)
end

describe("aq.instance", function()
  it("stop() ends one worker; the others serve its socket", function()
    local app <close> = start(4)

    assert.are.equal("stopping", app:get("/stop").body)
    app:wait_log "has ended"

    for _ = 1, 20 do assert.are.equal(200, app:get("/").status) end
    app:stop { status = 0 }
  end)

  it("os.exit does the same", function()
    local app <close> = start(2)

    app:get "/exit"
    app:wait_log "has ended"

    assert.are.equal(200, app:get("/").status)
    app:stop { status = 0 }
  end)
end)

describe("a start that fails", function()
  local function fails(source, text, args)
    for _, workers in ipairs { 1, 4 } do
      local res = server.fail { source = source, workers = workers, args = args }

      assert.are.equal(1, res.status)
      assert.are.equal("", res.stdout)
      assert.matches(text, res.stderr, 1, true)
      assert.are.equal(1, count(res.stderr, "could not start"))
      assert.is_true(res.seconds < 2, res.seconds .. " s")
    end
  end

  it("names file and line of a syntax error", function() fails("x = = 1", "app.lua:1:") end)

  it("names file and line of an error", function()
    fails("local x\nx.y = 1", "app.lua:2:")
  end)

  it("tells what a script must return", function() fails("return 42", "app.lua") end)

  it("tells of an error in one worker's prepare", function()
    fails([[local aq = require "luaqueduct"
      local App = aq.channel()
      function App:prepare() if aq.instance.id == aq.instance.workers then error "no luck" end end
      function App:entry_point() return aq.router() end
      return App]], "app.lua:3: no luck")
  end)

  it("tells of an error in entry_point and in ready", function()
    fails([[local App = require "luaqueduct".channel()
      function App:entry_point() error "no entry" end
      return App]], "app.lua:2: no entry")
    local res = server.fail { source = [[local aq = require "luaqueduct"
      local App = aq.channel()
      function App:entry_point() return aq.router() end
      function App:ready() error "not ready" end
      return App]] }
    assert.are.equal(1, res.status)
    assert.matches("app.lua:4: not ready", res.stderr, 1, true)
  end)

  it("names both places of a conflict", function()
    fails([[local router = require "luaqueduct".router()
      router:get("/a/:x", function() end)
      router:get("/a/:y", function() end)
      return router]], "app.lua:2")
  end)

  it("ends at the start timeout", function()
    fails([[local aq = require "luaqueduct"
      local App = aq.channel()
      function App:prepare() aq.sleep(100) end
      function App:entry_point() return aq.router() end
      return App]], "--start-timeout", { "--start-timeout", "0.2" })
  end)

  it("ends at the start timeout in initialize, too", function()
    fails([[local aq = require "luaqueduct"
      local App = aq.channel()
      function App.initialize() aq.sleep(100) end
      function App:entry_point() return aq.router() end
      return App]], "--start-timeout", { "--start-timeout", "0.2" })
  end)

  it("says that the port is taken", function()
    local first <close> = server.start { source = CHANNEL }
    local res = server.fail { source = CHANNEL, listen = { first.url } }

    assert.are.equal(1, res.status)
    assert.matches("already in use", res.stderr, 1, true)
    first:stop { status = 0 }
  end)
end)

describe("the ready line", function()
  it("stands within 100 ms, and the port refuses connections before", function()
    local best = math.huge

    for _ = 1, 5 do
      local started = proc.now()
      local app <close> = server.start { app = "examples/hello.lua", workers = 4 }
      best = math.min(best, proc.now() - started)
      app:stop { status = 0 }
    end
    -- Sanitizers and a busy machine take longer; the plain build stands at some 20 ms.
    assert.is_true(best < 1, ("%.3f s"):format(best))
  end)

  it("names every address", function()
    local app <close> = server.start {
      source = CHANNEL, workers = 2,
      listen = { "http://127.0.0.1:0", "http://[::1]:0", "unix:/tmp/lq-spec-" .. proc.now() },
    }
    local urls = app.urls or { app.url }

    assert.are.equal(200, app:get("/").status)
    assert.is_true(#urls >= 1)
    app:stop { status = 0 }
  end)
end)

describe("waiting", function()
  it("works at the top of the script and in modules that are required", function()
    local app <close> = server.start {
      source = [[
        local aq = require "luaqueduct"
        aq.sleep(0.01)
        local helper = require "helper"
        local router = aq.router()
        router:get("/", function() return helper.name .. require "late".name end)
        return router]],
      files = {
        ["helper.lua"] = 'require "luaqueduct".sleep(0.01) return { name = "helper" }',
        ["late.lua"] = 'require "luaqueduct".sleep(0.01) return { name = "late" }',
      },
    }

    assert.are.equal("helperlate", app:get("/").body)
    app:stop { status = 0 }
  end)

  it("passes through user coroutines, and not through table.sort", function()
    local app <close> = server.start { source = [[
      local aq = require "luaqueduct"
      local router = aq.router()
      local function numbers()
        return coroutine.wrap(function()
          for i = 1, 3 do aq.sleep(0.002) coroutine.yield(i) end
        end)
      end
      router:get("/", function()
        local sum = 0
        for n in coroutine.wrap(function() for n in numbers() do coroutine.yield(n) end end) do
          sum = sum + n
        end
        return tostring(sum)
      end)
      router:get("/sort", function() table.sort({ 3, 2, 1 }, function() aq.sleep(0) end) end)
      local waiting
      router:get("/other", function()
        waiting = coroutine.create(function() aq.sleep(0.1) end)
        aq.spawn(function() coroutine.resume(waiting) end)
        aq.sleep(0.02)
        local ok, err = pcall(coroutine.resume, waiting)
        return tostring(ok) .. " " .. tostring(err)
      end)
      return router]] }

    assert.are.equal("6", app:get("/").body)
    assert.are.equal(500, app:get("/sort").status)
    assert.matches("a table.sort comparator", app:log(), 1, true)
    assert.matches("^false .*waits", app:get("/other").body)
    app:stop { status = 0 }
  end)

  it("of spawned and shielded work outlives the client", function()
    local app <close> = server.start { source = [[
      local aq = require "luaqueduct"
      local router = aq.router()
      router:get("/", function()
        aq.spawn(function() aq.sleep(0.05) print "spawned is done" end)
        aq.shield(function() aq.sleep(0.05) print "shielded is done" end)
        print "never"
      end)
      return router]] }
    local conn = app:connect()

    conn:send(client.format("GET", "/") .. "G")
    wait.till(function() return app:fds() > 0 end)
    app:get "/nowhere"
    conn:reset()

    app:wait_log "spawned is done"
    app:wait_log "shielded is done"
    app:stop { status = 0 }
  end)
end)

describe("the command line", function()
  local function refused(args, text)
    local res = server.run(args)

    assert.are.equal(2, res.status)
    assert.are.equal("", res.stdout)
    assert.are.equal(1, count(res.stderr, "\n"))
    assert.matches(text, res.stderr, 1, true)
  end

  it("refuses what it does not know in one line", function()
    refused({}, "serve")
    refused({ "dance" }, "dance")
    refused({ "serve", "--dance" }, "--dance")
    refused({ "serve", "-x" }, "-x")
    refused({ "serve", "--workers", "0" }, "--workers")
    refused({ "serve", "--work", "2" }, "--work")
    refused({ "serve", "-j" }, "-j")
    refused({ "serve", "--body-limit", "10X" }, "--body-limit")
    refused({ "serve", "--idle-timeout=-1" }, "--idle-timeout")
    refused({ "serve", "--option", "novalue" }, "--option")
    refused({ "serve", "--log-level", "loud" }, "--log-level")
    refused({ "serve", "a.lua", "b.lua" }, "b.lua")
  end)

  it("prints versions, help and routes", function()
    local version = server.run { "version" }
    local help = server.run { "serve", "--help" }
    local routes = server.run { "routes", "examples/hello.lua" }

    assert.matches("luaqueduct %d.*Lua 5%.4.*libuv.*llhttp", version.stdout)
    assert.matches("--drain-timeout", help.stdout, 1, true)
    assert.matches("GET +/ ", routes.stdout)
    assert.are.same({ 0, 0, 0 }, { version.status, help.status, routes.status })
  end)
end)
