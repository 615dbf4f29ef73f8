--- What apps listen on with aq.tcp.listen: shared by all workers, kept by the guard.

local client = require "spec.support.client"
local proc = require "spec.proc"
local process = require "spec.support.process"
local scale = require "spec.support.scale"
local server = require "spec.support.server"
local socket = require "socket"
local wait = require "spec.support.wait"

local KILL, CONT, STOP = 9, 18, 19

--- An app that runs `prepare` and tells its ports; who connects is greeted by worker and
--- generation, and gets back what it says.
local function app_of(prepare)
  return ([[
local aq = require "luaqueduct"
local App = aq.channel()
local listeners = {}
local function listen(port, options)
  options = options or {}
  options.port, options.framing = port, options.framing or "line"
  options.open = function(conn)
    conn:send(("%%d %%d"):format(aq.instance.id, aq.instance.generation))
  end
  options.message = function(conn, text) conn:send(text) end
  listeners[#listeners + 1] = aq.tcp.listen(options)
end
function App:prepare() %s end
function App:entry_point()
  local router = aq.router()
  router:get("/ports", function()
    local ports = {}
    for i, listener in ipairs(listeners) do ports[i] = listener.port end
    return table.concat(ports, " ")
  end)
  router:get("/close", function()
    listeners[1]:close()
    return tostring(aq.instance.id)
  end)
  router:get("/late", function() listen(0) return tostring(listeners[#listeners].port) end)
  router:get("/stop", function() aq.instance:stop() return "stopping" end)
  router:get("/stuck", function()
    return tostring(("a"):rep(60000):find((".-"):rep(20) .. "b"))
  end)
  return router
end
return App]]):format(prepare or "listen(0)")
end

local function start(options)
  options = options or {}
  return server.start {
    source = app_of(options.prepare),
    workers = options.workers,
    args = options.args,
  }
end

--- The ports as one worker tells them.
local function ports_of(app)
  local ports = {}
  for port in app:get("/ports").body:gmatch "%d+" do ports[#ports + 1] = tonumber(port) end
  return table.unpack(ports)
end

--- A port that nobody has.
local function free_port()
  local held = assert(socket.bind("127.0.0.1", 0))
  local _, port = held:getsockname()
  held:close()
  return math.tointeger(tonumber(port))
end

local function connect(port)
  return client.connect { host = "127.0.0.1", port = port }
end

--- One line; nil and why when there is none.
local function read_line(conn)
  local line = {}
  repeat
    local byte, err = conn:read(1)
    if not byte then return nil, err end
    line[#line + 1] = byte
  until byte == "\n"
  return (table.concat(line):gsub("\n$", ""))
end

--- Who greets a new connection: worker and generation.
local function greeting(port)
  local conn = connect(port)
  local line, err = read_line(conn)
  conn:close()
  assert(line, err)
  return line
end

local function refuses(port)
  local ok, conn = pcall(connect, port)
  if ok then conn:close() end
  return not ok
end

local function put(app, source)
  local file = assert(io.open(app.folder .. "/app.lua.new", "wb"))
  assert(file:write(source))
  assert(file:close())
  assert(os.rename(app.folder .. "/app.lua.new", app.folder .. "/app.lua"))
end

--- Replaces the app and waits for the generation that comes of it.
local function reload(app, source, generation)
  put(app, source)
  app:signal "HUP"
  app:wait_log(("reloaded: generation %d serves"):format(generation))
end

--- Until then it may have taken what nobody answers.
local function kill_runtime(app)
  local before = app:runtime()

  proc.kill(before, KILL)
  wait.till(function() return not process.is_alive(before) end)
end

describe("a port", function()
  for _, port in ipairs { 0, 1 } do
    it("is shared by all workers, " .. (port == 0 and "a free one" or "a fixed one"), function()
      local wanted = port == 0 and 0 or free_port()
      local app <close> = start { workers = 4, prepare = ("listen(%d)"):format(wanted) }
      local conns, seen, told = {}, {}, {}

      for i = 1, 40 do
        conns[i] = connect((ports_of(app)))
        local id = read_line(conns[i]):match "^(%d)"
        seen[id] = (seen[id] or 0) + 1
      end
      for _ = 1, 20 do told[app:get("/ports").body] = true end

      -- Two more than the least are evened out; the HTTP connections count, too.
      for id = 1, 4 do
        local count = seen[tostring(id)] or 0
        assert.is_true(count >= 7 and count <= 13, ("worker %d has %d"):format(id, count))
      end
      local only = next(told)
      assert.is_nil(next(told, only))
      if wanted ~= 0 then assert.are.equal(tostring(wanted), only) end
      for _, conn in ipairs(conns) do conn:close() end
      app:stop { status = 0 }
    end)
  end

  it("goes both ways, framed", function()
    local app <close> = start { workers = 2 }
    local conn = connect((ports_of(app)))
    read_line(conn)

    conn:send "one\ntwo\r\n"

    assert.are.equal("one", read_line(conn))
    assert.are.equal("two", read_line(conn))
    conn:close()
    app:stop { status = 0 }
  end)

  it("is a different one for each that asks for a free one", function()
    local app <close> = start { workers = 2, prepare = "listen(0) listen(0)" }
    local first, second = ports_of(app)

    assert.are_not.equal(first, second)
    assert.matches("^%d 1$", greeting(first))
    assert.matches("^%d 1$", greeting(second))
    app:stop { status = 0 }
  end)

  it("may have an IPv6 address", function()
    local app <close> = start { prepare = [[listen(0, { address = "::1" })]] }
    local conn = client.connect { host = "::1", port = (ports_of(app)) }

    assert.are.equal("1 1", read_line(conn))
    conn:close()
    app:stop { status = 0 }
  end)

  it("can be opened later than in prepare", function()
    local app <close> = start {}
    local port = tonumber(app:get("/late").body)

    assert.are.equal("1 1", greeting(port))
    app:stop { status = 0 }
  end)

  it("is closed when all workers have closed it", function()
    local app <close> = start { workers = 2 }
    local port = ports_of(app)
    local closed = {}

    wait.till(function()
      closed[app:get("/close").body] = true
      local all = closed["1"] and closed["2"]
      if not all then assert.matches("^%d 1$", greeting(port)) end
      return all
    end)

    assert.is_true(refuses(port))
    app:stop { status = 0 }
  end)

  it("counts its connections for --max-connections", function()
    local app <close> = start { args = { "--max-connections", "2" } }
    local port = ports_of(app)
    local first, second, third = connect(port), connect(port), connect(port)
    assert.are.equal("1 1", read_line(first))
    assert.are.equal("1 1", read_line(second))
    assert.is_false(wait.readable(third.socket, 0.3))

    first:close()

    assert.are.equal("1 1", read_line(third))
    second:close()
    third:close()
    app:stop { status = 0 }
  end)
end)

describe("a start", function()
  local function failure(prepare, options)
    options = options or {}
    local result = server.fail { source = app_of(prepare), workers = options.workers or 2,
      args = options.args }
    assert.are.equal(1, result.status, result.stderr)
    return result.stderr
  end

  it("fails on an address that is in use, and says so", function()
    local held = assert(socket.bind("127.0.0.1", 0))
    local _, port = held:getsockname()

    for _, args in ipairs { {}, { "--no-respawn" } } do
      local text = failure(("listen(%d)"):format(port), { args = args })
      assert.matches(("cannot listen on 127.0.0.1:%d: address already in use"):format(port), text,
        1, true)
    end
    held:close()
  end)

  it("fails on the port of another runtime", function()
    local app <close> = start {}
    local text = failure(("listen(%d)"):format(ports_of(app)))

    assert.matches("address already in use", text, 1, true)
    app:stop { status = 0 }
  end)

  it("fails on a port that its own --listen has", function()
    local port = free_port()

    for _, args in ipairs { {}, { "--share-port" } } do
      local result = server.fail {
        source = app_of(("listen(%d)"):format(port)),
        listen = { "http://127.0.0.1:" .. port },
        args = args,
      }
      assert.are.equal(1, result.status)
      assert.matches(("cannot listen on 127.0.0.1:%d: address already in use"):format(port),
        result.stderr, 1, true)
    end
  end)

  it("fails on an address that this machine does not have", function()
    local text = failure [[listen(0, { address = "192.0.2.1" })]]

    assert.matches("cannot listen on 192.0.2.1:0: this machine has no such address", text, 1, true)
  end)

  it("fails when a worker listens twice on a port", function()
    local port = free_port()
    local text = failure(("listen(%d) listen(%d)"):format(port, port))

    assert.matches(("cannot listen on 127.0.0.1:%d: this worker does so already"):format(port),
      text, 1, true)
  end)

  it("fails when two workers listen on a port with other options", function()
    local port = free_port()
    local text = failure(
      ([[listen(%d, { framing = aq.instance.id == 1 and "u8" or "u16" })]]):format(port))

    assert.matches("other options", text, 1, true)
    assert.matches("framing u8", text, 1, true)
    assert.matches("framing u16", text, 1, true)
  end)
end)

describe("two runtimes", function()
  it("have a port together with --share-port, and each keeps its own clients", function()
    local port = free_port()
    local prepare, args = ("listen(%d)"):format(port), { "--share-port" }
    local first <close> = start { prepare = prepare, args = args }
    local second <close> = start { prepare = prepare, args = args }
    assert.are.equal("1 1", greeting(port))

    second:stop { status = 0 }

    for _ = 1, 10 do assert.are.equal("1 1", greeting(port)) end
    first:stop { status = 0 }
  end)
end)

describe("a port outlives", function()
  for _, workers in ipairs { 1, 3 } do
    it(("the end of a worker, %d workers"):format(workers), function()
      local app <close> = start { workers = workers }
      local port = ports_of(app)

      for _ = 1, 5 do
        app:get "/stop"
        for _ = 1, 2 * workers do assert.matches("^%d 1$", greeting(port)) end
      end

      app:stop { status = 0 }
    end)
  end

  it("the death of the runtime, and refuses nobody meanwhile", function()
    for _, prepare in ipairs { "listen(0)", ("listen(%d)"):format(free_port()) } do
      local app <close> = start { workers = 2, prepare = prepare }
      local port = ports_of(app)

      for _ = 1, scale(3, 4) do
        local conns = {}
        kill_runtime(app)
        for i = 1, 20 do conns[i] = connect(port) end
        for _, conn in ipairs(conns) do
          assert.matches("^%d 1$", read_line(conn))
          conn:close()
        end
      end
      assert.are.equal(port, (ports_of(app)))
      app:stop { status = 0 }
    end
  end)

  it("a reload, and refuses nobody meanwhile", function()
    local app <close> = start { workers = 2 }
    local port = ports_of(app)

    for generation = 2, 1 + scale(4) do
      app:signal "HUP"
      wait.till(function()
        assert.matches("^%d %d", greeting(port))
        return app:log():find(("reloaded: generation %d serves"):format(generation), 1, true)
      end)
      assert.matches("^%d " .. generation, greeting(port))
      assert.are.equal(port, (ports_of(app)))
    end

    app:stop { status = 0 }
  end)

  it("a reload that gives it other options", function()
    local port = free_port()
    local app <close> = start { workers = 2, prepare = ("listen(%d)"):format(port) }

    reload(app, app_of(([[listen(%d, { framing = "u8" })]]):format(port)), 2)

    local conn = connect(port)
    assert.matches("^\3%d 2$", conn:read(4))
    conn:close()
    app:stop { status = 0 }
  end)
end)

describe("a runtime that leaves", function()
  it("goes on with the next one, which has the port, and nobody is refused", function()
    local app <close> = start { workers = 2, args = { "--busy-timeout", "0.2" } }
    local port, runtime = ports_of(app), app:runtime()

    for _ = 1, 3 do
      local res
      wait.till(function()
        res = app:get "/stuck"
        return not res
      end)
      assert.matches("^%d 1$", greeting(port))
    end
    wait.till(function()
      assert.matches("^%d 1$", greeting(port))
      return app:log():find("listening again", 1, true)
    end)

    wait.till(function() return not process.is_alive(runtime) end, 10)
    assert.matches("^%d 1$", greeting(port))
    assert.are.equal(port, (ports_of(app)))
    app:stop { status = 0 }
  end)
end)

describe("a reload", function()
  it("cuts nobody whom it lets in while it closes a port", function()
    local app <close> = start { workers = 2, prepare = "listen(0) listen(0)" }
    local _, dropped = ports_of(app)
    local conns = {}

    put(app, app_of "listen(0)")
    app:signal "HUP"
    wait.till(function()
      local ok, conn = pcall(connect, dropped)
      if ok then conns[#conns + 1] = conn end
      return not ok
    end, 10)

    assert.is_true(#conns > 0)
    for _, conn in ipairs(conns) do
      assert.matches("^%d 1$", read_line(conn))
      conn:close()
    end
    app:wait_log "reloaded: generation 2 serves"
    app:stop { status = 0 }
  end)

  it("closes what the new code does not listen on", function()
    for _, args in ipairs { {}, { "--no-respawn" } } do
      local app <close> = start { workers = 2, prepare = "listen(0) listen(0)", args = args }
      local kept, dropped = ports_of(app)
      local conn = connect(dropped)
      read_line(conn)

      reload(app, app_of "listen(0)", 2)

      assert.is_true(refuses(dropped))
      assert.matches("^%d 2$", greeting(kept))
      conn:close()
      app:stop { status = 0 }
    end
  end)

  it("opens what the new code listens on", function()
    local app <close> = start { workers = 2, prepare = "" }

    reload(app, app_of "listen(0)", 2)

    local port = ports_of(app)
    for _ = 1, 4 do assert.matches("^%d 2$", greeting(port)) end
    app:stop { status = 0 }
  end)

  it("fails on an address in use, and the old code goes on", function()
    local held = assert(socket.bind("127.0.0.1", 0))
    local _, taken = held:getsockname()
    local app <close> = start { workers = 2 }
    local port = ports_of(app)

    put(app, app_of(("listen(0) listen(%d)"):format(taken)))
    app:signal "HUP"
    app:wait_log "the reload has failed"

    app:wait_log(("cannot listen on 127.0.0.1:%d: address already in use"):format(taken))
    assert.matches("^%d 1$", greeting(port))
    held:close()
    reload(app, app_of "listen(0)", 2)
    assert.matches("^%d 2$", greeting(port))
    app:stop { status = 0 }
  end)

  it("that fails closes what only the new code listens on", function()
    local port = free_port()
    local app <close> = start { workers = 2 }

    put(app, app_of(("listen(%d) error('not this time')"):format(port)))
    app:signal "HUP"
    app:wait_log "the reload has failed"

    local held
    wait.till(function()
      held = socket.bind("127.0.0.1", port)
      return held
    end)
    held:close()
    app:stop { status = 0 }
  end)
end)

describe("the next runtime", function()
  it("closes what its app does not listen on any more", function()
    local app <close> = start { workers = 2, prepare = "listen(0) listen(0)" }
    local kept, dropped = ports_of(app)

    put(app, app_of "listen(0)")
    kill_runtime(app)
    app:wait_log "listening again"

    wait.till(function() return refuses(dropped) end)
    assert.matches("^%d 1$", greeting(kept))
    app:stop { status = 0 }
  end)
end)

describe("a stop", function()
  it("does not wait for clients that are silent", function()
    local app <close> = start { workers = 1 }
    local conn = connect(ports_of(app))
    assert.matches("^1 1$", read_line(conn))
    local still_from = proc.now()
    wait.till(function() return proc.now() - still_from > 0.7 end)
    local began = proc.now()

    app:signal "TERM"

    app.stopped = true
    assert.are.equal(0, app:wait_exit())
    assert.is_true(proc.now() - began < 1)
    conn:close()
  end)

  it("serves what waits, and refuses from then on", function()
    local app <close> = start { workers = 2 }
    local port = ports_of(app)
    local runtime, conns = app:runtime(), {}
    proc.kill(runtime, STOP)
    for i = 1, 40 do
      conns[i] = connect(port)
      conns[i]:send(("hello %d\n"):format(i))
    end

    app:signal "TERM"
    proc.kill(runtime, CONT)

    for i, conn in ipairs(conns) do
      assert.matches("^%d 1$", read_line(conn))
      assert.are.equal(("hello %d"):format(i), read_line(conn))
      assert.are.same({ nil, "closed" }, { read_line(conn) })
      conn:close()
    end
    assert.is_true(refuses(port))
    app.stopped = true
    assert.are.equal(0, app:wait_exit())
  end)
end)
