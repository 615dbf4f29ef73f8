--- The whole way through real sockets, with one and with four workers.

local client = require "spec.support.client"
local proc = require "spec.proc"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

local APP = [[
local aq = require "luaqueduct"
local router = aq.router()
local begun, left = 0, 0

router:get("/", function() return "Hello, world!" end)
router:get("/slow/:seconds", function(req)
  begun = begun + 1
  local counted <close> = setmetatable({}, { __close = function() left = left + 1 end })
  pcall(aq.sleep, tonumber(req.params.seconds))
  return "slow"
end)
router:get("/begun", function() return tostring(begun) end)
router:get("/left", function() return tostring(left) end)
router:get("/worker", function() return { id = aq.instance.id } end)
router:get("/busy", function()
  print "busy begun"
  local till = aq.now() + 1
  while aq.now() < till do end
  return "done"
end)
router:get("/late", function()
  return aq.stream(function(write) write "a" error "late" end)
end)
router:get("/numbers", function()
  return aq.stream(function(write)
    for i = 1, 3 do write(tostring(i)) aq.sleep(0.005) end
  end)
end)
router:get("/endless", function()
  return aq.stream(function(write) while write(("x"):rep(10000)) do end end)
end)
router:post("/echo", function(req) return req:body() end)
router:post("/size", function(req)
  local n = 0
  for chunk in req:chunks() do n = n + #chunk end
  return { n = n }
end)
router:post("/strict", function(req) return assert(req:body()) end)
router:get("/detach", function(req)
  local stream <close> = assert(req:detach())
  stream:write("got " .. stream:read("line") .. "\n")
end)
router:route("/small"):limits { body = 10 }:link(function(req) return req:body() end)
router:get("/boom", function() error "boom" end)
return router
]]

--- How many connections each worker holds, by asking on every one of them.
local function spread_of(conns)
  local held, most = {}, 0

  for _, conn in ipairs(conns) do
    local id = conn:request("GET", "/worker").body
    held[id] = (held[id] or 0) + 1
    most = math.max(most, held[id])
  end
  return most
end

for _, workers in ipairs { 1, 4 } do
  describe(("luaqueduct serve, %d workers"):format(workers), function()
    local app

    setup(function()
      app = server.start {
        source = APP,
        workers = workers,
        args = { "--request-timeout", "1.2", "--header-timeout", "1", "--body-timeout", "1",
          "--body-limit", "1M", "--drain-timeout", "5" },
      }
    end)
    teardown(function() app:stop { status = 0 } end)

    it("answers and keeps the connection", function()
      local conn = app:connect()

      for _ = 1, 3 do
        local res = conn:request("GET", "/")
        assert.are.equal(200, res.status)
        assert.are.equal("Hello, world!", res.body)
        assert.are.equal("luaqueduct", res:header "server")
      end
      conn:close()
    end)

    it("answers a pipeline in order though its handlers end out of order", function()
      local conn = app:connect()
      local bodies = {}

      for i, res in ipairs(conn:pipeline {
        { "GET", "/slow/0.05" }, { "GET", "/" }, { "GET", "/slow/0.01" }, { "GET", "/nowhere" },
      }) do
        bodies[i] = res.body
      end

      assert.are.same({ "slow", "Hello, world!", "slow", "404 Not Found\n" }, bodies)
      conn:close()
    end)

    it("answers 1,000 requests sent at once", function()
      local conn = app:connect()
      local requests = {}
      for i = 1, 1000 do requests[i] = { "GET", "/" } end

      for _, res in ipairs(conn:pipeline(requests)) do assert.are.equal(200, res.status) end
      conn:close()
    end)

    it("understands a request cut at every byte", function()
      local text = client.format("POST", "/echo", { body = "hello" })

      for cut = 1, #text - 1 do
        local conn = app:connect()
        conn:send_pieces { text:sub(1, cut), text:sub(cut + 1) }
        assert.are.equal("hello", conn:read_response({ method = "POST" }).body)
        conn:close()
      end
    end)

    it("answers good requests before a bad one, then 400, then ends", function()
      local conn = app:connect()

      conn:send(client.format("GET", "/") .. "GET / HTTP/1.1\r\nbad header\r\n\r\n")

      assert.are.equal(200, conn:read_response().status)
      assert.are.equal(400, conn:read_response().status)
      assert.is_true(conn:is_closed(3))
      conn:close()
    end)

    it("answers a half-closed client", function()
      local conn = app:connect()

      conn:send(client.format("GET", "/slow/0.05"))
      conn:half_close()

      assert.are.equal("slow", conn:read_response().body)
      conn:close()
    end)

    -- One worker: else the counters asked for may be those of another.
    if workers == 1 then
      it("cancels the handler of a client that resets, past its pcall", function()
        local begun, left = tonumber(app:get("/begun").body), tonumber(app:get("/left").body)
        local conn = app:connect()

        conn:send(client.format("GET", "/slow/1.1"))
        wait.till(function() return tonumber(app:get("/begun").body) > begun end)
        conn:reset()

        wait.till(function() return tonumber(app:get("/left").body) > left end, 0.8)
      end)
    end

    it("cancels a handler at the request timeout and answers 503", function()
      assert.are.equal(503, app:get("/slow/20").status)
    end)

    it("answers 408 to a slow head and to a slow body", function()
      local head, body = app:connect(), app:connect()

      head:send "GET / HTTP/1.1\r\n"
      body:send "POST /strict HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab"

      assert.are.equal(408, head:read_response({ timeout = 4 }).status)
      assert.are.equal(408, body:read_response({ timeout = 4 }).status)
      head:close()
      body:close()
    end)

    it("refuses a body over the limit before reading it", function()
      local conn = app:connect()

      conn:send "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n"
      assert.are.equal(413, conn:read_response().status)
      conn:close()
      assert.are.equal(413, app:post("/small", { body = "more than ten" }).status)
      assert.are.equal("ten bytes.", app:post("/small", { body = "ten bytes." }).body)
    end)

    it("says 100 Continue when the body is asked for", function()
      local conn = app:connect()

      conn:send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
        .. "Expect: 100-continue\r\n\r\n")
      assert.are.equal(100, conn:read_response().status)
      conn:send "ok"
      assert.are.equal("ok", conn:read_response().body)
      conn:close()
    end)

    it("streams bodies in and out", function()
      local body = ("x"):rep(900000)

      assert.are.equal('{"n":900000}', app:post("/size", { body = body }).body)
      assert.are.equal("123", app:get("/numbers").body)
    end)

    it("cuts a stream whose function fails, never a false end", function()
      local conn = app:connect()

      conn:send(client.format("GET", "/late"))

      assert.is_nil((conn:read_response()))
      conn:close()
    end)

    it("holds little for a client that does not read", function()
      local before = app:rss()
      local conns = {}

      for i = 1, 20 do
        conns[i] = app:connect { receive_buffer = 4096 }
        conns[i]:send(client.format("GET", "/endless"))
      end
      app:get("/slow/0.2")

      assert.is_true(app:rss() - before < 32 * 1024 * 1024)
      for _, conn in ipairs(conns) do conn:reset() end
    end)

    it("gives a detached connection to the handler", function()
      local conn = app:connect()

      conn:send(client.format("GET", "/detach") .. "raw line\r\n")

      assert.are.equal("got raw line\n", conn:read_all())
      conn:close()
    end)

    it("serves on after errors", function()
      for _ = 1, 50 do assert.are.equal(500, app:get("/boom").status) end
      assert.are.equal(200, app:get("/").status)
    end)

    if workers > 1 then
      it("spreads 64 kept connections evenly, in any order", function()
        local conns = {}
        for i = 1, 64 do conns[i] = app:connect() end

        assert.is_true(spread_of(conns) <= 20)
        for i = 1, 64 do conns[i]:close() end
      end)

      it("serves the socket of a busy worker through the others", function()
        local busy = app:connect()
        busy:send(client.format("GET", "/busy"))
        app:wait_log "busy begun"
        -- A worker counts as busy when it has not looked up for 50 ms.
        local begun = proc.now()
        wait.till(function() return proc.now() - begun > 0.12 end)

        for _ = 1, 40 do
          local conn = app:connect { timeout = 0.9 }
          assert.are.equal(200, conn:request("GET", "/").status)
          conn:close()
        end
        assert.are.equal("done", busy:read_response().body)
        busy:close()
      end)
    end
  end)
end
