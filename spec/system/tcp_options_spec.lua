--- aq.tcp.listen: what it can be told and where, and what a connection knows.

local client = require "spec.support.client"
local framed = require "spec.support.framed"
local server = require "spec.support.server"
local spec_peer = require "spec.support.peer"
local wait = require "spec.support.wait"

local PREPARE = [[
local six = listen("six", { framing = "u8", address = "::1", message = echo })
listen("every", { framing = "u8", address = "0.0.0.0", message = echo })
listen("localhost", { framing = "u8", address = "localhost", message = echo })
notes.addresses = ("%s %s"):format(six.address, listeners.localhost.address)
listen("know", { framing = "u16",
  open = function(conn) conn.context.opened = aq.instance.id end,
  message = function(conn, s)
    conn.context.count = (conn.context.count or 0) + 1
    conn:send(({
      id = conn.id,
      address = conn.remote_address,
      context = ("%s %s"):format(conn.context.opened == aq.instance.id, conn.context.count),
      tostring = tostring(conn),
    })[s])
  end })
listen("misuse", { framing = "u16", message = function(conn, s)
  local ok, err = pcall(assert(load("local conn, aq = ... " .. s)), conn, aq)
  conn:send(tostring(err))
end })
listen("closing", { framing = "u8", message = function(conn, s)
  if s == "close" then
    listeners.closing:close()
    listeners.closing:close()
  end
  conn:send(s)
end })
listen("figures", { framing = "u8", message = function(conn, s)
  if s ~= "?" then return conn:send(s) end
  local f = listeners.figures:stats()
  conn:send(("%d %d %d %d %d"):format(f.open, f.opened, f.received, f.sent, f.slow))
end })
router:get("/self", function(req)
  local conn <close> = assert(aq.tcp.connect("127.0.0.1", listeners.localhost.port))
  assert(conn:write "\3abc\0\1d")
  return assert(conn:read(7))
end)
]]

for _, workers in ipairs { 1, 4 } do
  describe(("a listener, %d workers"):format(workers), function()
    local app

    setup(function() app = framed.start { prepare = PREPARE, workers = workers } end)
    teardown(function() app:stop { status = 0 } end)

    local function ask(conn, message)
      conn:send(framed.frame("u16", message))
      return framed.read(conn, "u16")
    end

    it("has an address of either kind", function()
      for name, host in pairs { six = "::1", every = "127.0.0.2", localhost = "127.0.0.1" } do
        local conn <close> = framed.connect(app, name, { host = host })
        conn:send "\2hi"
        assert.are.equal("\2hi", conn:read(3), name)
      end
      assert.are.equal("::1 127.0.0.1", framed.run(app, "return notes.addresses"))
    end)

    it("has connections that know their id, their client and what is kept with them", function()
      local seen = {}

      for _ = 1, 50 do
        local conn <close> = framed.connect(app, "know", { from = "127.0.0.9" })
        local id = ask(conn, "id")
        assert.is_nil(seen[id])
        seen[id] = true
        assert.are.equal(id, ask(conn, "id"))
        assert.are.equal("127.0.0.9", ask(conn, "address"))
        assert.are.equal("true 4", ask(conn, "context"))
        assert.are.equal("luaqueduct.TcpSession (open)", ask(conn, "tostring"))
      end
    end)

    it("raises for what a connection cannot do", function()
      local conn <close> = framed.connect(app, "misuse")

      for code, text in pairs {
        ["conn.field = 1"] = "a connection cannot be changed (field 'field')",
        ["conn:send()"] = "string expected",
        ["conn:send({})"] = "string expected",
        ["conn:subscribe ''"] = "a topic must not be empty",
        ["conn:subscribe(('x'):rep(256))"] = "a topic has at most 255 bytes",
        ["conn:publish('topic')"] = "string expected",
        ["conn:publish(1, 'x')"] = "string expected",
        ["conn.send('x', 'y')"] = "Connection expected",
        ["error(conn.nothing)"] = "nil",
      } do
        local err = ask(conn, code)
        assert.is_truthy(err:find(text, 1, true), code .. ": " .. err)
      end
    end)

    it("has figures", function()
      local conn <close> = framed.connect(app, "figures")

      conn:send(framed.frames("u8", { "a", "b", "?" }))
      assert.are.same({ "a", "b", "1 1 3 2 0" }, { framed.read(conn, "u8"), framed.read(conn, "u8"),
        framed.read(conn, "u8") })
    end)

    it("can be connected to from within", function()
      for _ = 1, 10 do assert.are.equal("\3abc\0\1d", app:get "/self".body) end
    end)

    it("takes no more when it is closed, in all workers; what is open stays", function()
      local port, conns = framed.port(app, "closing"), {}
      local first <close> = client.connect { port = port }

      wait.till(function()
        local ok, conn = pcall(client.connect, { port = port })
        if not ok then return true end
        conns[#conns + 1] = conn
        conn:send "\5close"
        assert.are.equal("\5close", conn:read(6))
      end)
      first:send "\2hi"
      assert.are.equal("\2hi", first:read(3))
      for _, conn in ipairs(conns) do conn:close() end
      assert.are.equal(workers, #conns)
    end)
  end)
end

describe("aq.tcp.listen", function()
  local function fail(code, options)
    options = options or {}
    options.source = framed.source(code, options.top)
    local ending = server.fail(options)
    assert.are.equal(1, ending.status, ending.stderr)
    return ending.stderr
  end

  it("tells what is wrong with an option, and where the app says so", function()
    local wrong = {
      { "5", "the options must be a table, not a number" },
      { "{}", "the option 'port' is missing; 0 is any free one" },
      { "{ port = -1 }", "the option 'port' is -1; 0 (any free one) to 65535 is needed" },
      { "{ port = 65536 }", "the option 'port' is 65536" },
      { "{ port = 1.5 }", "the option 'port' is 1.5" },
      { "{ port = 0, address = 5 }", "the option 'address' must be an IP address, not a number" },
      { "{ port = 0, framing = 'u64' }",
        "the option 'framing' is u64; it is raw, line, u8, u16 or u32" },
      { "{ port = 0, idle_timeout = -1 }",
        "the option 'idle_timeout' is -1; seconds from 0 on are needed" },
      { "{ port = 0, idle_timeout = 0/0 }", "the option 'idle_timeout' is" },
      { "{ port = 0, max_message = 0 }", "the option 'max_message' is 0" },
      { "{ port = 0, max_message = '3G' }", "the option 'max_message' is 3G" },
      { "{ port = 0, max_buffered = 'x' }", "the option 'max_buffered' is x" },
      { "{ port = 0, open = 5 }", "the option 'open' must be a function, not a number" },
      { "{ port = 0, colour = 5 }", "unknown option 'colour'; known are address, close, drain, "
        .. "framing, idle_timeout, max_buffered, max_message, message, open, port" },
    }
    local code = { "local list = {" }
    for _, pair in ipairs(wrong) do code[#code + 1] = ("function() aq.tcp.listen(%s) end,"):format(
      pair[1]) end
    code[#code + 1] = [[}
      for _, fn in ipairs(list) do notes[#notes + 1] = select(2, pcall(fn)) end]]
    local app <close> = framed.start { prepare = table.concat(code, "\n") }

    for i, pair in ipairs(wrong) do
      local err = framed.run(app, ("return notes[%d]"):format(i))
      assert.matches("^[^:]*app%.lua:%d+: ", err)
      assert.is_truthy(err:find(pair[2], 1, true), err)
    end
  end)

  it("tells that a name is no address", function()
    local err = fail [[aq.tcp.listen { port = 0, address = "example.org" }]]
    assert.matches("app%.lua:%d+: .*example%.org", err)
  end)

  it("tells that a port is taken, and where", function()
    local peer <close> = spec_peer.listen()
    local err = fail(("aq.tcp.listen { port = %d }"):format(peer.port))

    assert.matches("app%.lua:%d+: .*" .. peer.port, err)
    assert.matches("address already in use", err)
  end)

  it("refuses the same port with other options", function()
    local deaf <close> = spec_peer.deaf()
    local port = deaf.port
    deaf:close()
    local err = fail(([[
      local framing = aq.instance.id == 1 and "u8" or "u16"
      aq.tcp.listen { port = %d, framing = framing }]]):format(port), { workers = 2 })

    assert.matches("app%.lua:%d+: .*" .. port, err)
  end)

  it("is for workers, not for initialize", function()
    local err = fail("", { top = "function App.initialize() aq.tcp.listen { port = 0 } end" })
    assert.matches("app%.lua:%d+: aq%.tcp%.listen works in workers", err)
  end)

  it("is for workers, not for services", function()
    local app <close> = framed.start {
      top = [[function App.initialize(options) options:service("one", "one.lua") end]],
      prepare = "",
      files = { ["one.lua"] = [[
        local aq = require "luaqueduct"
        local One = aq.service()
        function One:listen() return select(2, pcall(aq.tcp.listen, { port = 0 })) end
        return One]] },
    }
    assert.matches("aq%.tcp%.listen works in workers",
      framed.run(app, [[return aq.service("one"):call("listen")]]))
  end)

  it("works in a handler, for its worker", function()
    local app <close> = framed.start { prepare = "" }

    framed.run(app, [[listen("late", { framing = "u8", message = function(c, s) c:send(s) end })]])
    local conn <close> = framed.connect(app, "late")
    conn:send "\2hi"
    assert.are.equal("\2hi", conn:read(3))
  end)
end)
