--- Workers whose state is broken: replaced at once, and nobody else notices.

local client = require "spec.support.client"
local core = require "spec.support.core"
local proc = require "spec.proc"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

local APP = [[
local aq = require "luaqueduct"
local breaker = assert(package.loadlib("BREAKER", "luaopen_breaker"))()
local App = aq.channel()
local router = aq.router()

local function deeper() breaker.panic() end
router:get("/", function() return aq.instance.id .. " " .. aq.instance.restarts end)
router:get("/panic", function() deeper() end)
router:get("/coroutine", function() coroutine.wrap(pcall)(deeper) end)
router:get("/spawn", function()
  aq.spawn(deeper)
  return "spawned"
end)
router:get("/spoil", function()
  breaker.spoil()
  return "spoiled"
end)

local function endless() return 1 + endless() end
router:get("/close", function()
  local x <close> = setmetatable({}, { __close = endless })
  return endless()
end)
router:get("/own", function()
  return select(2, xpcall(endless, endless))
end)

function App.initialize(options)
  if options.context.at == "initialize" then deeper() end
end
function App:prepare()
  local at = self.options.context.at
  if at == "prepare" or at == "prepare " .. aq.instance.restarts then deeper() end
end
function App:entry_point() return router end
return App
]]
APP = APP:gsub("BREAKER", (core.absolute(core.build .. "/spec/breaker.so"):gsub("%%", "%%%%")))

local function start(workers, ...)
  return server.start { source = APP, workers = workers, args = { ... } }
end

--- Connections to `app`, kept, and the worker that each one has: id -> connection.
local function connect_to_all(app)
  local conns = {}

  wait.till(function()
    local conn = app:connect()
    conn:send(client.format("GET", "/"))
    local id = conn:read_response().body:match "^%d+"
    if conns[id] then conn:close() else conns[id] = conn end
    return conns["1"] and conns["2"]
  end)
  return conns
end

local function ask(conn, path)
  conn:send(client.format("GET", path))
  return (conn:read_response())
end

local function wait_restarts(app, restarts, seconds)
  return wait.till(function()
    return app:get("/").body:match "%d+ (%d+)" == tostring(restarts)
  end, seconds, restarts .. " restarts")
end

describe("a worker whose Lua panics", function()
  for _, path in ipairs { "/panic", "/coroutine", "/spawn" } do
    it("serves again within 100 ms after " .. path, function()
      local app <close> = start(1)
      local conn = app:connect()

      local res = ask(conn, path)
      assert.are.equal(path == "/spawn" and "spawned" or nil, res and res.body)
      app:wait_log "breaker.panic was called"
      local began = proc.now()
      wait_restarts(app, 1)

      assert.is_true(proc.now() - began < 0.1, ("%g s"):format(proc.now() - began))
      assert.is_nil(ask(conn, "/"))
      conn:close()
      app:stop { status = 0 }
    end)
  end

  it("tells the log why and where", function()
    local app <close> = start(1)
    local conn = app:connect()

    assert.is_nil(ask(conn, "/panic"))

    app:wait_log "w1: the worker is broken, and its clients are cut: panic, an error outside any "
    app:wait_log "protected call: breaker.panic was called"
    app:wait_log "app.lua:6: in upvalue 'deeper'"
    app:wait_log "worker 1 has ended: it is started again in 0 ms"
    conn:close()
    app:stop { status = 0 }
  end)

  it("ends the connections that it has, and nobody else's", function()
    local app <close> = start(2)
    local conns, runtime = connect_to_all(app), app:runtime()
    local fds = app:fds()

    assert.is_nil(ask(conns["1"], "/panic"))

    assert.are.equal("2 0", ask(conns["2"], "/").body)
    wait_restarts(app, 1)
    assert.are.equal("2 0", ask(conns["2"], "/").body)
    assert.are.equal(runtime, app:runtime())
    -- What the dead one's loop has of its own stays behind: two descriptors.
    wait.till(function() return app:fds() <= fds + 2 + 2 end)
    conns["1"]:close()
    conns["2"]:close()
    app:stop { status = 0 }
  end)

  it("is tried again when that happens while it prepares", function()
    local app <close> = start(1, "--option", "at=prepare 1")

    app:get "/spawn"

    app:wait_log "it is started again in 100 ms"
    wait_restarts(app, 2)
    app:stop { status = 0 }
  end)

  for _, at in ipairs { "initialize", "prepare" } do
    it("does not start when that happens in " .. at, function()
      local result = server.fail { source = APP, args = { "--option", "at=" .. at } }

      assert.are.equal(1, result.status)
      assert.is_truthy(result.stderr:find("the app could not start: panic", 1, true),
        result.stderr)
      assert.is_truthy(result.stderr:find("in upvalue 'deeper'", 1, true), result.stderr)
    end)
  end

  it("takes the runtime along when nobody is left and there is no respawning", function()
    local app <close> = start(1, "--no-respawn")

    app:get "/spawn"

    app:wait_exit(5)
    app:stop { status = 1 }
  end)
end)

describe("a worker that finds an invariant broken", function()
  it("is replaced, and its clients are cut", function()
    local app <close> = start(2)
    local conns, runtime = connect_to_all(app), app:runtime()

    assert.are.equal("spoiled", ask(conns["1"], "/spoil").body)
    assert.is_nil(ask(conns["1"], "/"))

    app:wait_log "assertion failed in thread lq:w1: "
    wait_restarts(app, 1)
    assert.are.equal("2 0", ask(conns["2"], "/").body)
    assert.are.equal(runtime, app:runtime())
    conns["1"]:close()
    conns["2"]:close()
    app:stop { status = 0 }
  end)
end)

describe("an error in error handling", function()
  it("that a handler leaves behind ends the worker, after its answers", function()
    local app <close> = start(1)
    local kept <close> = app:connect()
    assert.are.equal("1 0", ask(kept, "/").body)

    assert.are.equal(500, app:get("/close").status)

    app:wait_log "an error in error handling: this worker drains and is replaced"
    assert.are.equal("1 0", ask(kept, "/").body)
    wait_restarts(app, 1)
    app:stop { status = 0 }
  end)

  it("that a handler catches itself is its own affair", function()
    local app <close> = start(1)

    assert.are.equal("error in error handling", app:get("/own").body)

    assert.are.equal("1 0", app:get("/").body)
    app:stop { status = 0 }
  end)
end)

describe("three broken workers", function()
  local function break_three(app)
    local runtime, before = app:runtime(), select(2, app:log():gsub("listening again on", ""))

    for _ = 1, 3 do app:get "/spawn" end
    app:wait_log "3 workers are lost: the runtime drains and is started again"
    wait.till(function()
      return select(2, app:log():gsub("listening again on", "")) > before
    end, 5, "the next runtime")

    assert.matches("^%d 0$", app:get("/").body)
    wait.till(function() return app:runtime() ~= runtime end)
    assert.is_nil(app:log():find("the runtime has ended", 1, true))
  end

  it("are replaced together with their process, on the same sockets", function()
    local app <close> = start(2)

    break_three(app)
    break_three(app)

    app:stop { status = 0 }
  end)

  it("are so with a unix socket, too", function()
    local path = os.tmpname()
    os.remove(path)
    local app <close> = server.start { source = APP, workers = 2, listen = { "unix:" .. path } }

    break_three(app)
    app:stop { status = 0 }

    assert.is_nil((io.open(path)))
  end)
end)
