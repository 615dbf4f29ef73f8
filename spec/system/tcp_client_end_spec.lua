--- aq.tcp.connect: what is left of connections when workers and clients go.

local client = require "spec.support.client"
local core = require "spec.support.core"
local scale = require "spec.support.scale"
local server = require "spec.support.server"
local spec_peer = require "spec.support.peer"
local SOURCE = require "spec.support.tcp_app"
local wait = require "spec.support.wait"

describe("a worker that stops", function()
  it("closes what is open, connects or is kept", function()
    local peer <close> = spec_peer.listen()
    local silent <close> = spec_peer.listen { backlog = 0 }
    silent:stall()
    local app <close> = server.start { source = ([[
      local aq = require "luaqueduct"
      local App = aq.channel()
      function App:prepare()
        self.conn = assert(aq.tcp.connect("127.0.0.1", %d))
        assert(self.conn:write "hello")
        assert(self.conn:read(3) == "yes")
        aq.spawn(aq.tcp.connect, "127.0.0.1", %d)
        aq.spawn(function() self.conn:read(1) end)
      end
      function App:entry_point() return function() return "" end end
      function App:close() self.conn:write "bye" end
      return App]]):format(peer.port, silent.port),
      on_spawn = function()
        local conn = peer:accept(20)
        assert.are.equal("hello", conn:read(5))
        conn:send "yes"
        peer.kept = conn
      end }

    app:stop { status = 0 }

    assert.are.equal("bye", peer.kept:read_all())
    peer.kept:close()
  end)

  it("leaves no connection open when its state is broken", function()
    local peer <close> = spec_peer.listen()
    local app <close> = server.start { source = ([[
      local aq = require "luaqueduct"
      local breaker = assert(package.loadlib(%q, "luaopen_breaker"))()
      local kept
      return function(req)
        kept = assert(aq.tcp.connect("127.0.0.1", %d))
        assert(kept:read(1))
        breaker.panic()
      end]]):format(core.absolute(core.build .. "/spec/breaker.so"), peer.port) }
    local asking <close> = app:connect()
    asking:send(client.format("GET", "/"))
    local conn <close> = peer:accept()
    conn:send "x"

    assert.are.equal("", conn:read_all())
    app:wait_log "serves again"
    app:stop { status = 0 }
  end)

  it("cuts one that is just being closed, and tells the other side", function()
    local peer <close> = spec_peer.listen()
    local app <close> = server.start { source = SOURCE }
    local asking = app:connect()
    asking:send(client.format("POST", "/run?port=" .. peer.port, { body = [[
      local conn = assert(aq.tcp.connect("127.0.0.1", port))
      aq.spawn(function() conn:write(("x"):rep(32 * 1024 * 1024)) end)
      aq.sleep(0.001)
      conn:close()
      return "closed"]] }))
    local conn <close> = peer:accept()
    assert.are.equal("closed", assert(asking:read_response()).body)

    app:stop { status = 0 }

    local all = conn:read_all()
    assert.is_true(all == nil or #all < 32 * 1024 * 1024)
  end)

  it("works in initialize as well", function()
    local peer <close> = spec_peer.listen()
    local got
    local app <close> = server.start { source = ([[
      local aq = require "luaqueduct"
      local App = aq.channel()
      function App.initialize(options)
        local conn = assert(aq.tcp.connect("127.0.0.1", %d))
        options.context.word = assert(conn:read "line")
      end
      function App:entry_point()
        local word = self.options.context.word
        return function() return word end
      end
      return App]]):format(peer.port),
      on_spawn = function()
        got = peer:accept(20)
        got:send "told\n"
      end }

    assert.are.equal("told", app:get("/").body)
    assert.are.equal("", got:read_all())
    got:close()
    app:stop { status = 0 }
  end)
end)

describe("a relay", function()
  local RELAY = [[
    local aq = require "luaqueduct"
    local router = aq.router()
    router:get("/slow", function() aq.sleep(0.002) return ("x"):rep(50000) end)
    router:get("/relay", function(req)
      local conn = assert(aq.tcp.connect("localhost", tonumber(req.query.port)))
      local all = aq.all(function()
        local list = {}
        repeat
          list[#list + 1] = conn:read("some", 5)
        until list[#list]:sub(-1) == "x" and #table.concat(list) > 50000
        return table.concat(list)
      end, function()
        assert(conn:write "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
      end)
      conn:close() -- when the task is cancelled, nobody does this
      return all:match "\r\n\r\n(.*)"
    end)
    return router
  ]]

  it("to its own server is closed with the clients that leave", function()
    local app <close> = server.start { source = RELAY, workers = 4 }
    local path = "/relay?port=" .. app.port
    local body = ("x"):rep(50000)
    assert.are.equal(body, app:get(path).body)
    local before = app:fds()

    for _ = 1, scale(20, 500) do
      local conns = {}
      for i = 1, 20 do
        conns[i] = app:connect()
        assert(conns[i]:send(client.format("GET", path)))
      end
      for i, conn in ipairs(conns) do
        if i % 2 == 0 then conn:reset() end
      end
      for i, conn in ipairs(conns) do
        if i % 2 == 1 then
          assert.are.equal(body, assert(conn:read_response()).body)
          conn:close()
        end
      end
    end

    wait.till(function() return app:fds() <= before end, 10, "descriptors to be closed")
    app:stop { status = 0 }
  end)
end)
