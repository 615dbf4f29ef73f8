--- Many requests on a connection: order, ends in the middle, bytes behind the end.

local client = require "spec.support.client"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

local APP = [[
local aq = require "luaqueduct"
local router = aq.router()
router:get("/n/:n", function(req) return req.params.n end)
router:get("/wait/:n/:seconds", function(req)
  aq.sleep(tonumber(req.params.seconds))
  return req.params.n
end)
router:get("/big/:n", function(req) return req.params.n .. ("x"):rep(1000000) end)
router:get("/stream/:n", function(req)
  return aq.stream(function(write)
    for _ = 1, 5 do write(req.params.n) aq.sleep(0.001) end
  end)
end)
router:get("/long/:n", function(req)
  return aq.stream(function(write)
    for _ = 1, 40 do write(req.params.n:rep(10000)) end
  end)
end)
router:post("/echo", function(req) return req:body() end)
router:get("/smuggled", function() print "SMUGGLED" return "smuggled" end)
return router
]]

local BAD = "GET / HTTP/1.1\r\nHost: a\r\nbad field\r\n\r\n"
local SMUGGLED = client.format("GET", "/smuggled")

local function get(path, lines)
  return ("GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n"):format(path, lines or "")
end

local function bodies_of(answers)
  local bodies = {}
  for i, res in ipairs(answers) do bodies[i] = res.body end
  return bodies
end

--- The requests, then what else is sent; every answer until the end.
local function talk(app, requests, tail)
  local conn <close> = app:connect()
  assert(conn:send(table.concat(requests) .. (tail or "")))
  return conn:answers()
end

--- `count` requests of one kind and the bodies that they get.
local function series(count, format, ...)
  local requests, bodies = {}, {}
  for i = 1, count do
    requests[i] = get(format:format(i, ...))
    bodies[i] = tostring(i)
  end
  return requests, bodies
end

for _, workers in ipairs { 1, 4 } do
  describe(("pipelines, %d workers"):format(workers), function()
    local app

    setup(function() app = server.start { source = APP, workers = workers } end)
    teardown(function()
      local _, log = app:stop { status = 0 }
      assert.is_nil(log:find("SMUGGLED", 1, true))
      assert.is_nil(log:find("error", 1, true), log)
    end)

    it("of 1,000 requests in one packet are answered in order", function()
      local requests, bodies = series(1000, "/n/%d")
      requests[1001] = get("/n/last", "Connection: close\r\n")
      bodies[1001] = "last"

      local answers = talk(app, requests)

      assert.are.same(bodies, bodies_of(answers))
      for i = 1, 1000 do assert.is_nil(answers[i]:header "connection") end
      assert.are.equal("close", answers[1001]:header "connection")
      assert.are.equal("eof", answers.ended)
    end)

    it("are answered whole when the client ends its direction behind them", function()
      local requests, bodies = series(1000, "/n/%d")
      local conn <close> = app:connect()

      assert(conn:send(table.concat(requests)))
      conn:half_close()

      local answers = conn:answers()
      assert.are.same(bodies, bodies_of(answers))
      assert.are.equal("eof", answers.ended)
    end)

    it("of more waiting handlers than run at a time keep their order", function()
      local requests, bodies = series(200, "/wait/%d/0.01")
      local answers = talk(app, requests, get("/n/last", "Connection: close\r\n"))

      bodies[201] = "last"
      assert.are.same(bodies, bodies_of(answers))
    end)

    it("of long streams are all told to their end, those behind held back meanwhile", function()
      local requests, before = {}, app:rss()
      for i = 1, 50 do requests[i] = get("/long/" .. i % 10) end
      local conn <close> = app:connect()
      assert(conn:send(table.concat(requests)))
      wait.readable(conn.socket, 5)
      local held = app:rss() - before

      for i = 1, 50 do
        assert.are.equal(tostring(i % 10):rep(400000), conn:read_response().body)
      end
      assert.is_true(held < 8192, held .. " KiB") -- of 20 MB in all
    end)

    it("may mix every kind of body, trailers and empty lines in between", function()
      local answers = talk(app, {
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none",
        "\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n",
        "1;x=y\r\nt\r\n002\r\nwo\r\n0\r\nTrailer: x\r\nHost: b\r\nContent-Length: 9\r\n\r\n",
        "\r\n\r\n", get "/n/three", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        get "/stream/5", get("/n/six", "Connection: close\r\n"),
      })

      assert.are.same({ "one", "two", "three", "", "55555", "six" }, bodies_of(answers))
      assert.are.equal("eof", answers.ended)
    end)

    it("go out whole before a bad request, also what waits, streams or is large", function()
      for _, kind in ipairs { "/n/%d", "/wait/%d/0.02", "/stream/%d", "/big/%d" } do
        local requests = series(5, kind)
        local answers = talk(app, requests, BAD .. SMUGGLED)

        assert.are.equal(6, #answers, kind)
        for i = 1, 5 do
          assert.are.equal(200, answers[i].status, kind)
          assert.are.equal(tostring(i), answers[i].body:sub(1, 1), kind)
        end
        assert.are.equal(400, answers[6].status, kind)
        assert.is_nil(answers.rest)
        assert.are.equal("eof", answers.ended, kind)
      end
    end)

    it("go out whole before a bad request that others follow for 8 MiB", function()
      for _, kind in ipairs { "/n/%d", "/wait/%d/0.02" } do
        local answers = talk(app, series(3, kind), BAD .. ("x"):rep(8 * 1024 * 1024))

        assert.are.equal(4, #answers, kind)
        assert.are.equal(400, answers[4].status, kind)
        assert.are.equal("eof", answers.ended, kind)
      end
    end)

    it("end behind Connection: close, and what follows is not served", function()
      for _, tail in ipairs { SMUGGLED:rep(3), BAD, "\0", ("x"):rep(8 * 1024 * 1024) } do
        for _, path in ipairs { "/n/2", "/wait/2/0.02", "/stream/2", "/big/2" } do
          local answers = talk(app, { get "/n/1", get(path, "Connection: close\r\n") }, tail)

          assert.are.equal(2, #answers, path)
          assert.are.equal("2", answers[2].body:sub(1, 1))
          assert.are.equal("close", answers[2]:header "connection", path)
          assert.is_nil(answers.rest)
          assert.are.equal("eof", answers.ended, path)
        end
      end
    end)

    it("end behind an answer that has to end them, also when others were quicker", function()
      local stream = "GET /stream/2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
      local large = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99000000\r\n\r\n"
      local cases = { [stream] = 200, [large] = 413, [get "/%zz"] = 400,
        ["POST /nowhere" .. large:sub(11)] = 404 }

      for text, status in pairs(cases) do
        for _, first in ipairs { "/n/1", "/wait/1/0.02", "/stream/1" } do
          local tail = status == 413 and SMUGGLED or get "/wait/3/0.001" .. SMUGGLED
          if status == 200 then tail = get "/wait/3/0" .. get "/n/4" end
          local answers = talk(app, { get(first), text }, tail)

          assert.are.same({ 2, status, "close" }, { #answers, answers[2].status,
            answers[2]:header "connection" }, text)
          assert.is_nil(answers.rest)
          assert.are.equal("eof", answers.ended)
        end
      end
    end)

    it("end behind an HTTP/1.0 request that does not ask to go on", function()
      local kept = "GET /n/1 HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"
      local answers = talk(app, { kept, kept, "GET /n/2 HTTP/1.0\r\n\r\n", SMUGGLED })

      assert.are.same({ "1", "1", "2" }, bodies_of(answers))
      assert.are.equal("keep-alive", answers[2]:header "connection")
      assert.are.equal("close", answers[3]:header "connection")
      assert.are.equal("eof", answers.ended)
    end)

    it("lose what a reset cuts off, and nothing else", function()
      local before = app:fds()

      for _, path in ipairs { "/n/1", "/wait/1/0.01", "/stream/1", "/big/1" } do
        for _ = 1, 10 do
          local conn = app:connect()
          assert(conn:send(get(path):rep(20) .. "GET /n/2 HT"))
          conn:reset()
        end
      end

      assert.are.equal("7", app:get("/n/7").body)
      wait.till(function() return app:fds() <= before end, 5, "the descriptors")
    end)
  end)
end
