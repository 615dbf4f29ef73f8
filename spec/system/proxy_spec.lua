--- Behind a proxy: whose word about the client counts.

local client = require "spec.support.client"
local command = require "spec.support.command"
local json = require "luaqueduct.core.json"
local server = require "spec.support.server"

local SOURCE = [[
local aq = require "luaqueduct"
local router = aq.router()

local function tell(req)
  return { address = req.remote_address, port = req.remote_port, scheme = req.scheme,
    host = req.host, worker = aq.instance.id }
end

router:get("/", tell)
router:post("/body", function(req)
  local before = tell(req)
  req:body()
  return { before, tell(req) }
end)
router:get("/left", function(req)
  local guard <close> = setmetatable({}, { __close = function()
    print(("left %s %s %s"):format(req.remote_address, req.scheme, req.host))
  end })
  print "left begun"
  aq.sleep(100)
end)
router:get("/detach", function(req)
  local stream <close> = assert(req:detach())
  stream:write(("%s %s %s"):format(req.remote_address, req.scheme, req.host))
end)
return router
]]

local FORWARDED = { { "Forwarded", 'for="[2001:db8::7]:4711";proto=https;host=a.example' } }
local X_FORWARDED = {
  { "X-Forwarded-For", "192.0.2.1" }, { "X-Forwarded-Proto", "https" },
  { "X-Forwarded-Host", "b.example" },
}

local function get(conn, headers)
  return json.decode(conn:get("/", { headers = headers }).body)
end

for _, workers in ipairs { 1, 4 } do
  describe(("behind a proxy, with %d workers"):format(workers), function()
    local app

    local function start(ranges, listen)
      local args = {}
      for _, range in ipairs(ranges) do
        args[#args + 1] = "--trust-proxy"
        args[#args + 1] = range
      end
      app = server.start { source = SOURCE, workers = workers, args = args, listen = listen }
    end

    before_each(function() app = nil end)
    after_each(function() if app then app:kill() end end)

    --- Asks on several connections, so that each worker is asked.
    local function ask(headers, options)
      local got
      for _ = 1, 2 * workers do
        local conn <close> = app:connect(options)
        got = get(conn, headers)
      end
      return got
    end

    local function is_own(got, address)
      assert.are.equal(address or "127.0.0.1", got.address)
      assert.are_not.equal(4711, got.port)
      assert.are.equal("http", got.scheme)
      assert.are.equal("localhost", (got.host:gsub(":%d+$", "")))
    end

    it("believes nobody unless told", function()
      start {}

      is_own(ask(FORWARDED))
      is_own(ask(X_FORWARDED))
      app:stop { status = 0 }
    end)

    it("believes those that are trusted, and no others", function()
      start { "192.0.2.0/24", "127.0.0.2" }

      is_own(ask(FORWARDED))
      is_own(ask(X_FORWARDED, { from = "127.0.0.3" }), "127.0.0.3")
      local got = ask(FORWARDED, { from = "127.0.0.2" })
      assert.are.same({ "2001:db8::7", 4711, "https", "a.example" },
        { got.address, got.port, got.scheme, got.host })
      got = ask(X_FORWARDED, { from = "127.0.0.2" })
      assert.are.same({ "192.0.2.1", nil, "https", "b.example" },
        { got.address, nil, got.scheme, got.host })
      assert.is_nil(got.port)
      app:stop { status = 0 }
    end)

    it("believes ranges, and passes over the proxies on the way", function()
      start { "10.0.0.0/8", "127.0.0.0/8" }

      local got = ask({
        { "X-Forwarded-For", "1.1.1.1, 192.0.2.9, 10.1.1.1" }, { "X-Forwarded-For", "10.2.2.2" },
      }, { from = "127.9.9.9" })
      assert.are.equal("192.0.2.9", got.address)
      assert.are.equal("http", got.scheme)
      app:stop { status = 0 }
    end)

    it("believes nothing of what is malformed, and says why", function()
      app = server.start { source = SOURCE, workers = workers,
        args = { "--trust-proxy", "127.0.0.1", "--log-level", "debug" } }

      is_own(ask { { "Forwarded", "for=1.2.3.4;proto=https;host=a, for=1.2.3;proto=https" } })
      is_own(ask { { "X-Forwarded-For", "1.2.3.4" }, { "X-Forwarded-Proto", "gopher" } })
      is_own(ask { { "X-Forwarded-For", "1.2.3.4" }, { "X-Forwarded-Host", "a/b" } })
      is_own(ask { { "Forwarded", "for=1.2.3.4" }, { "X-Forwarded-For", "1.2.3.5" } })
      app:wait_log "the proxy is not believed: Forwarded has a malformed address"
      app:wait_log "Forwarded and X-Forwarded-* contradict each other"
      app:stop { status = 0 }
    end)

    it("tells requests of one connection apart", function()
      start { "127.0.0.1" }
      local conn <close> = app:connect()
      local bytes = {}

      for i = 1, 20 do
        local headers = { { "X-Forwarded-For", "192.0.2." .. i } }
        bytes[i] = client.format("GET", "/", { headers = headers })
      end
      bytes[21] = client.format("GET", "/")
      conn:send(table.concat(bytes))
      for i = 1, 20 do
        assert.are.equal("192.0.2." .. i, json.decode(conn:read_response().body).address)
      end
      is_own(json.decode(conn:read_response().body))
      app:stop { status = 0 }
    end)

    it("tells the same after a wait, of a client that has gone, and of one detached", function()
      start { "127.0.0.1" }
      local conn <close> = app:connect()
      conn:send(client.format("POST", "/body",
        { headers = { FORWARDED[1], { "Content-Length", "3" } } }))
      conn:send "abc"
      local got = json.decode(conn:read_response().body)
      assert.are.same(got[1], got[2])
      assert.are.equal("2001:db8::7", got[2].address)

      local detached <close> = app:connect()
      detached:send(client.format("GET", "/detach", { headers = FORWARDED }))
      assert.are.equal("2001:db8::7 https a.example", detached:read_all())

      local leaving <close> = app:connect()
      leaving:send(client.format("GET", "/left", { headers = FORWARDED }))
      app:wait_log "left begun"
      leaving:reset()
      app:wait_log "left 2001:db8::7 https a.example"
      app:stop { status = 0 }
    end)

    it("knows proxies by IPv6", function()
      start({ "::1" }, { "http://[::1]:0" })

      assert.are.equal("192.0.2.1", ask(X_FORWARDED).address)
      app:stop { status = 0 }
      start({ "::2", "127.0.0.1", "0.0.0.0/0", "unix" }, { "http://[::1]:0" })
      assert.are.equal("::1", ask(X_FORWARDED).address)
      app:stop { status = 0 }
    end)

    it("knows proxies on a unix socket", function()
      local folder = command.folder()
      local url = "unix:" .. folder .. "/socket"

      start({ "unix" }, { url, "http://127.0.0.1:0" })
      local got = ask(FORWARDED)
      assert.are.equal("2001:db8::7", got.address)
      assert.are.equal("a.example", got.host)
      local other <close> = client.connect { port = tonumber(app.addresses[2]:match "%d+$") }
      assert.are.equal("127.0.0.1", get(other, FORWARDED).address)
      app:stop { status = 0 }
      start({ "0.0.0.0/0", "::/0" }, { url })
      got = ask(FORWARDED)
      assert.are.equal("unix:", got.address)
      assert.is_nil(got.port)
      app:stop { status = 0 }
      command.remove(folder)
    end)
  end)
end
