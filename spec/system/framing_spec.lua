--- What stands around the answers: fields, bodies that may not be, ends, versions, targets.

local server = require "spec.support.server"

local APP = [[
local aq = require "luaqueduct"
local router = aq.router()
local kinds = {
  text = function(status) return aq.response(status, nil, "body") end,
  json = function(status) return aq.response(status, { ["Content-Type"] = "a/b" }, { a = 1 }) end,
  nothing = function(status) return aq.response(status) end,
  stream = function(status)
    return aq.response(status, nil, function(write) write "bo" write "dy" end)
  end,
}
for kind, make in pairs(kinds) do
  router:any("/" .. kind .. "/:status", function(req) return make(tonumber(req.params.status)) end)
end
router:get("/hello", function() return "hello" end)
router:get("/error", function() error "no" end)
router:get("/server", function() return aq.ok("own", { server = "mine/1" }) end)
router:any("/request[/*]", function(req)
  return { path = req.path, host = req.host, target = req.target, version = req.version,
    a = req.query.a, field = req.headers["x-field"], body = req:body() }
end)
router:post("/ignore", function() return "ignored" end)
return router
]]

local DATE = "^(%u%l%l), (%d%d) (%u%l%l) (%d%d%d%d) (%d%d):(%d%d):(%d%d) GMT$"
local MONTHS = { Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6, Jul = 7, Aug = 8, Sep = 9,
  Oct = 10, Nov = 11, Dec = 12 }

local function seconds_of(date)
  local _, day, month, year, hour, min, sec = date:match(DATE)
  local local_time = os.time { year = year, month = MONTHS[month], day = day, hour = hour,
    min = min, sec = sec, isdst = false }
  local now = os.time()

  return local_time + os.difftime(now, os.time(os.date("!*t", now)))
end

local function request(method, path, lines, body)
  return ("%s %s HTTP/1.1\r\nHost: a\r\n%s\r\n%s"):format(method, path, lines or "", body or "")
end

--- All answers to these bytes and to a last request that ends the connection.
local function talk(app, bytes, methods)
  local conn <close> = app:connect()
  assert(conn:send(bytes .. request("GET", "/hello", "Connection: close\r\n")))
  local answers = conn:answers { methods = methods }

  assert.is_nil(answers.err)
  assert.are.equal("hello", answers[#answers].body)
  assert.are.equal("eof", answers.ended)
  return answers
end

--- All that comes until the end.
local function alone(app, bytes)
  local conn <close> = app:connect()
  assert(conn:send(bytes))
  local answers = conn:answers()
  assert.are.equal("eof", answers.ended)
  return answers
end

for _, workers in ipairs { 1, 4 } do
  describe(("framing, %d workers"):format(workers), function()
    local app

    setup(function() app = server.start { source = APP, workers = workers } end)
    teardown(function() app:stop { status = 0 } end)

    describe("fields", function()
      it("Date and Server stand once in every answer", function()
        local bytes = request("GET", "/hello") .. request("GET", "/error")
          .. request("GET", "/nowhere") .. request("DELETE", "/hello")
          .. request("OPTIONS", "/hello") .. request("GET", "/stream/200")
          .. request("GET", "/nothing/204") .. request("GET", "/nothing/304")

        for _, answers in ipairs { talk(app, bytes), alone(app, "BAD@ / HTTP/1.1\r\n\r\n") } do
          for _, res in ipairs(answers) do
            local dates = res:header_all "date"
            assert.are.equal(1, #dates)
            assert.is_true(math.abs(seconds_of(dates[1]) - os.time()) <= 2, dates[1])
            assert.are.same({ "luaqueduct" }, res:header_all "server")
          end
        end
      end)

      it("Server is the app's where it names one", function()
        local res = app:get "/server"

        assert.are.same({ "mine/1" }, res:header_all "server")
        assert.are.equal(1, #res:header_all "date")
        assert.are.equal("own", res.body)
      end)

      it("Allow names the methods", function()
        local res = app:request("PROPFIND", "/hello")

        assert.are.same({ 405, "GET, HEAD, OPTIONS" }, { res.status, res:header "allow" })
      end)
    end)

    describe("bodies", function()
      it("are left out of 204, 205 and 304, whatever the handler gives", function()
        for _, kind in ipairs { "text", "json", "nothing", "stream" } do
          for _, status in ipairs { 204, 205, 304 } do
            for _, method in ipairs { "GET", "HEAD", "POST" } do
              local answers = talk(app, request(method, ("/%s/%d"):format(kind, status)),
                { method })
              local res = answers[1]

              assert.are.same({ 2, status, "" }, { #answers, res.status, res.body })
              assert.is_nil(res:header "transfer-encoding")
              assert.are.equal(status == 205 and "0" or nil, res:header "content-length")
            end
          end
        end
      end)

      it("are left out of answers to HEAD, their framing is not", function()
        local paths = { "/text/200", "/json/201", "/stream/200", "/nothing/200", "/hello",
          "/error", "/nowhere" }

        for _, path in ipairs(paths) do
          local answers = talk(app, request("GET", path) .. request("HEAD", path),
            { "GET", "HEAD" })
          local got, head = answers[1], answers[2]

          assert.are.same({ 3, got.status, "" }, { #answers, head.status, head.body }, path)
          for _, name in ipairs { "content-length", "content-type", "transfer-encoding" } do
            assert.are.equal(got:header(name), head:header(name), path)
          end
        end
      end)

      it("of refusals are left out for HEAD, too", function()
        local conn <close> = app:connect()
        conn:send "HEAD / HTTP/1.1\r\nHost: a\r\nbad field\r\n\r\n"

        local answers = conn:answers { methods = { "HEAD" } }
        assert.are.equal(400, answers[1].status)
        assert.is_nil(answers.rest)
      end)

      it("have one framing each", function()
        local answers = talk(app, request("GET", "/text/200") .. request("GET", "/stream/200"))

        assert.are.same({ "4", nil }, { answers[1]:header "content-length",
          answers[1]:header "transfer-encoding" })
        assert.are.equal("chunked", answers[2]:header "transfer-encoding")
        assert.is_nil(answers[2]:header "content-length")
        assert.are.equal("body", answers[2].body)
      end)
    end)

    describe("the end of the connection", function()
      it("follows close among the members of Connection, in any case", function()
        for _, value in ipairs { "close", "CLOSE", "x, Close", "close,keep-alive",
          " ,\tclose\t, " } do
          local lines = ("Connection: %s\r\n"):format(value)
          local answers = alone(app, request("GET", "/hello", lines) .. request("GET", "/hello"))

          assert.are.same({ 1, "close" }, { #answers, answers[1]:header "connection" }, value)
        end
        local lines = "Connection: keep-alive\r\nConnection: close\r\n"
        assert.are.equal(1, #alone(app, request("GET", "/hello", lines):rep(2)))
      end)

      it("does not follow other members, nor other fields", function()
        for _, lines in ipairs { "Connection: closed", "Connection: not-close, te",
          "Keep-Alive: timeout=0", "Proxy-Connection: close", "X: close", "Connection:" } do
          local answers = talk(app, request("GET", "/hello", lines .. "\r\n"))

          assert.are.same({ 2 }, { #answers, answers[1]:header "connection" }, lines)
        end
      end)

      it("follows an HTTP/1.0 request unless it asks to go on", function()
        local kept = "GET /%s HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        local answers = talk(app, kept:format("hello"):rep(2))
        assert.are.same({ "keep-alive", "keep-alive", "1.1" }, { answers[1]:header "connection",
          answers[2]:header "connection", answers[1].version })

        answers = alone(app, ("GET /hello HTTP/1.0\r\n\r\n"):rep(2))
        assert.are.same({ 1, "close" }, { #answers, answers[1]:header "connection" })
      end)

      it("is the end of a stream in HTTP/1.0", function()
        for _, lines in ipairs { "", "Connection: keep-alive\r\n" } do
          local text = ("GET /stream/200 HTTP/1.0\r\n%s\r\n"):format(lines)
          local answers = alone(app, text)

          assert.are.same({ 1, "body", true }, { #answers, answers[1].body,
            answers[1].until_close })
          assert.is_nil(answers[1]:header "transfer-encoding")
          assert.are.equal("close", answers[1]:header "connection")
        end
      end)
    end)

    describe("targets", function()
      it("* is for OPTIONS and about the whole server", function()
        local res = talk(app, request("OPTIONS", "*"))[1]

        assert.are.equal(204, res.status)
        for _, method in ipairs { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" } do
          assert.is_truthy(res:header("allow"):find(method, 1, true), method)
        end
        assert.are.equal(204, talk(app, request("OPTIONS", "*", "Content-Length: 2\r\n", "ab"))[1]
          .status)
      end)

      it("may be absolute; their authority goes before Host", function()
        local cases = {
          ["http://b.example:81/request/x?a=1"] = { "/request/x", "b.example:81" },
          ["HTTP://B/request?a=1"] = { "/request", "B" },
          ["https://[::1]:8443/request?a=1"] = { "/request", "[::1]:8443" },
        }

        for target, expected in pairs(cases) do
          local body = talk(app, request("GET", target))[1].body
          for _, text in ipairs { '"path":"' .. expected[1], '"host":"' .. expected[2], '"a":"1"',
            '"target":"' .. target } do
            assert.is_truthy(body:find(text, 1, true), body)
          end
        end
        assert.are.equal(404, talk(app, request("GET", "http://b"))[1].status)
        assert.are.equal(404, talk(app, request("GET", "http://b?a"))[1].status)
      end)

      it("are taken as sent, and refused with a bad escape", function()
        local body = talk(app, request("GET", "/request/%41/%2F/..?a=%20+"))[1].body
        assert.is_truthy(body:find('"path":"/request/%41/%2F/.."', 1, true))
        assert.is_truthy(body:find('"a":"  "', 1, true))

        for _, path in ipairs { "/request/%4", "/request/%g0", "/%" } do
          local answers = alone(app, request("GET", path):rep(2))
          assert.are.same({ 1, 400, "close" }, { #answers, answers[1].status,
            answers[1]:header "connection" })
        end
      end)
    end)

    describe("requests", function()
      it("may have chunks in every form that is allowed", function()
        local chunks = "A\r\n0123456789\r\n00000000000000a;x\r\n0123456789\r\n"
          .. "1 ;a=\"b;c\";d\r\n!\r\n0;last\r\nA: b\r\nContent-Length: 3\r\nB:\r\n\r\n"
        local lines = "TE: trailers\r\ntransfer-ENCODING: \t CHUNKED \r\n"
        local res = talk(app, request("POST", "/request", lines, chunks))[1]

        assert.is_truthy(res.body:find '"body":"01234567890123456789!"')
      end)

      it("may have bytes above ASCII and tabs in values, and lose none", function()
        local res = talk(app, request("GET", "/request", "X-Field: \t\195\164\tb \t\r\n"))[1]

        assert.is_truthy(res.body:find('"field":"\195\164\\tb"', 1, true), res.body)
      end)

      it("are answered as HTTP/1.1 when they ask for an upgrade nobody offers", function()
        for _, lines in ipairs { "Connection: upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n",
          "Connection: upgrade\r\nUpgrade: websocket\r\n" } do
          assert.are.equal("hello", talk(app, request("GET", "/hello", lines))[1].body)
          local res = talk(app, request("POST", "/request", lines .. "Content-Length: 2\r\n", "ok"))
          assert.is_truthy(res[1].body:find '"body":"ok"')
        end
      end)

      it("may have a Host without a name, or with a port alone", function()
        for _, host in ipairs { "", " ", " :80", " a:", " 127.0.0.1:1", " [::1]", " a%41" } do
          local bytes = ("GET /hello HTTP/1.1\r\nHost:%s\r\n\r\n"):format(host)
          assert.are.equal(200, talk(app, bytes)[1].status, host)
        end
      end)
    end)

    describe("100 Continue", function()
      local expect = "Expect: 100-continue\r\n"

      it("goes out when the body is asked for and nothing of it is there", function()
        local conn <close> = app:connect()
        conn:send(request("POST", "/request", "Content-Length: 2\r\n" .. expect))

        local first = assert(conn:read_response())
        assert.are.same({ 100, 0 }, { first.status, #first.headers })
        conn:send "ok"
        assert.is_truthy(conn:read_response().body:find '"body":"ok"')
      end)

      it("does not go out when something of the body is there", function()
        local length, chunked = "Content-Length: 2\r\n", "Transfer-Encoding: chunked\r\n"

        for _, case in ipairs { { length .. expect, "ok" },
          { chunked .. expect, "2\r\nok\r\n0\r\n\r\n" } } do
          local answers = talk(app, request("POST", "/request", case[1], case[2]))
          assert.are.same({ 2, 200 }, { #answers, answers[1].status })
        end
      end)

      it("does not go out for HTTP/1.0, nor without a body", function()
        local answers = alone(app, "POST /request HTTP/1.0\r\nContent-Length: 2\r\n" .. expect
          .. "\r\nok")
        assert.are.same({ 1, 200 }, { #answers, answers[1].status })
        assert.are.same({ 2, 200 }, { #talk(app, request("GET", "/hello", expect)),
          talk(app, request("GET", "/hello", expect))[1].status })
      end)

      it("does not go out before the answers in front of it", function()
        local conn <close> = app:connect()
        conn:send(request("GET", "/stream/200") .. request("POST", "/request",
          "Content-Length: 2\r\n" .. expect))

        assert.are.equal("body", conn:read_response().body)
        assert.are.equal(100, conn:read_response().status)
        conn:send "ok"
        assert.are.equal(200, conn:read_response().status)
      end)

      it("is a final answer and the end when nobody asks for the body", function()
        for _, path in ipairs { "/ignore", "/nowhere" } do
          local answers = alone(app, request("POST", path, "Content-Length: 2\r\n" .. expect))
          assert.are.equal(1, #answers, path)
          assert.is_true(answers[1].status >= 200)
          assert.are.equal("close", answers[1]:header "connection")
        end
      end)
    end)
  end)
end
