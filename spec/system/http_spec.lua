--- Requests and responses through real sockets, with one and with four workers.

local client = require "spec.support.client"
local server = require "spec.support.server"

local APP = [[
local aq = require "luaqueduct"
local App = aq.channel()
function App:on_error(req, err)
  if tostring(err):find "teapot" then return aq.response(418, nil, req.path) end
end
function App:entry_point()
  local router = aq.router()
  local kept
  router:any("/echo/:name[/*]", function(req)
    local headers = {}
    for name, value in pairs(req.headers) do headers[name] = value end
    return { method = req.method, target = req.target, path = req.path, params = req.params,
      query = req.query, all = req:query_all "a", headers = headers, host = req.host,
      upper = req.headers["X-TWO"], list = req:header_all "x-two", cookies = req.cookies,
      version = req.version, scheme = req.scheme, address = req.remote_address,
      has_port = math.type(req.remote_port) == "integer", id = req.id, none = req.nothing }
  end)
  router:get("/keep", function(req) kept = req return "kept" end)
  router:get("/use", function()
    return tostring(select(2, pcall(function() return kept.path end)))
  end)
  router:get("/assign", function(req) req.path = "x" end)
  router:post("/json", function(req)
    local value, err = req:json()
    if err then return aq.bad_request(err.code .. " " .. err.message) end
    return { value = value }
  end)
  router:post("/form", function(req) return { first = req:form(), all = req:form_all() } end)
  router:get("/created", function() return aq.created("/x", { id = 1 }) end)
  router:get("/none", function() return aq.no_content() end)
  router:get("/moved", function() return aq.redirect("/there", 301) end)
  router:get("/html", function() return aq.html "<p>hi</p>" end)
  router:get("/list", function()
    local res = aq.ok("x", { ["X-List"] = { "a", "b" }, ["content-type"] = "text/css" })
    return res:set_cookie("k", "v", { http_only = true })
  end)
  router:get("/array", function() return aq.array {} end)
  router:get("/table", function() return { big = 9007199254740993, f = 1.0, null = aq.null } end)
  router:get("/raise", function() error(aq.conflict "raised") end)
  router:get("/teapot", function() error "teapot" end)
  router:get("/nil", function() return nil, "no luck" end)
  router:get("/nothing", function() end)
  router:get("/number", function() return 42 end)
  router:get("/bad", function() return aq.ok("x", { ["X-Bad"] = "a\r\nb" }) end)
  router:get("/cyclic", function() local t = {} t.t = t return t end)
  router:get("/hooks", function(req)
    req:on_response(function(res) res.body = res.body .. "1" end)
    req:on_response(function(res) res.body = res.body .. "2" end)
    return "0"
  end)
  router:get("/stream", function() return aq.stream(function(write) write "a" write "b" end) end)
  router:get("/empty", function() return aq.stream(function() end) end)
  router:group("/in"):link(function(req)
    if req.headers.token ~= "x" then return aq.unauthorized("Bearer", "who?") end
    req.context.user = "me"
    return req
  end):get("/side", function(req) return req.context.user end)
  router:fallback(function(req) return aq.not_found("nothing at " .. req.path) end)
  return router
end
return App
]]

for _, workers in ipairs { 1, 4 } do
  describe(("HTTP with %d workers"):format(workers), function()
    local app

    setup(function() app = server.start { source = APP, workers = workers } end)
    teardown(function() app:stop { status = 0 } end)

    local function contains(res, ...)
      assert.are.equal(200, res.status)
      for _, text in ipairs { ... } do assert.matches(text, res.body, 1, true) end
    end

    it("gives every field of a request", function()
      contains(app:request("PUT", "/echo/a%2Fb/c/d%20e?a=1&a=%32&flag&c=x+y", {
        headers = { { "X-Two", "1" }, { "x-two", "2" }, { "Cookie", "k=v; l=\"w\"" } },
      }), '"method":"PUT"', '"path":"/echo/a%2Fb/c/d%20e"', '"name":"a/b"', '"*":"c/d%20e"',
        '"a":"1"', '"all":["1","2"]', '"flag":""', '"c":"x y"', '"x-two":"1, 2"',
        '"upper":"1, 2"', '"list":["1","2"]', '"k":"v"', '"l":"w"', '"version":"1.1"',
        '"scheme":"http"', '"address":"127.0.0.1"', '"has_port":true',
        '"target":"/echo/a%2Fb/c/d%20e?a=1&a=%32&flag&c=x+y"')
    end)

    it("gives each request an id of its own", function()
      local ids = {}

      for _ = 1, 20 do
        local id = app:get("/echo/x").body:match '"id":"([^"]+)"'
        assert.is_nil(ids[id])
        ids[id] = true
      end
    end)

    it("refuses to read or change a request out of place", function()
      local conn = app:connect()

      conn:request("GET", "/keep")
      assert.matches("has been answered", conn:request("GET", "/use").body, 1, true)
      assert.are.equal(500, conn:request("GET", "/assign").status)
      conn:close()
    end)

    it("reads JSON and forms, and tells what is wrong with them", function()
      contains(app:post("/json", { body = '{"n":9007199254740993,"l":[],"o":{},"f":2.0}' }),
        '"n":9007199254740993', '"l":[]', '"o":{}', '"f":2.0')
      contains(app:post("/form", { body = "a=1&a=2&b=%C3%A4+x" }), '"a":"1"', '"b":"ä x"',
        '"a":["1","2"]')
      for _, bad in ipairs { "", "{", "[1,]", '"\xff"', "1 2", "NaN", ("["):rep(300) } do
        local res = app:post("/json", { body = bad })
        assert.are.equal(400, res.status)
        assert.matches("^invalid ", res.body)
      end
    end)

    it("answers with every kind of response", function()
      local created, none, moved = app:get "/created", app:get "/none", app:get "/moved"

      assert.are.same({ 201, "/x", '{"id":1}' },
        { created.status, created:header "location", created.body })
      assert.are.same({ 204, "" }, { none.status, none.body })
      assert.is_nil(none:header "content-length")
      assert.are.same({ 301, "/there" }, { moved.status, moved:header "location" })
      assert.are.equal("text/html; charset=utf-8", app:get("/html"):header "content-type")
      assert.are.equal("[]", app:get("/array").body)
      contains(app:get "/table", '"big":9007199254740993', '"f":1.0', '"null":null')
    end)

    it("sends lists of header values and cookies", function()
      local res = app:get "/list"

      assert.are.same({ "a", "b" }, res:header_all "x-list")
      assert.are.same({ "text/css" }, res:header_all "content-type")
      assert.matches("^k=v;.*HttpOnly", res:header "set-cookie")
    end)

    it("turns errors into answers", function()
      assert.are.same({ 409, "raised" }, { app:get("/raise").status, app:get("/raise").body })
      assert.are.same({ 418, "/teapot" }, { app:get("/teapot").status, app:get("/teapot").body })
      for _, path in ipairs { "/nil", "/nothing", "/number", "/bad", "/cyclic" } do
        assert.are.equal(500, app:get(path).status, path)
      end
      assert.are.equal("021", app:get("/hooks").body)
    end)

    it("links controllers, falls back, and knows 405, HEAD and OPTIONS", function()
      assert.are.equal(401, app:get("/in/side").status)
      assert.are.equal("me", app:get("/in/side", { headers = { token = "x" } }).body)
      assert.are.equal("nothing at /where", app:get("/where").body)
      assert.are.equal(405, app:post("/html", { body = "" }).status)
      assert.are.equal("GET, HEAD, OPTIONS", app:post("/html", { body = "" }):header "allow")
      assert.are.equal(204, app:request("OPTIONS", "/html").status)
      local head = app:request("HEAD", "/html")
      assert.are.same({ 200, "9", "" }, { head.status, head:header "content-length", head.body })
      assert.are.equal(400, app:get("/%zz").status)
    end)

    it("frames streams by version and method", function()
      local conn = app:connect()

      assert.are.equal("ab", app:get("/stream").body)
      assert.are.equal("", app:get("/empty").body)
      assert.are.equal("chunked", app:request("HEAD", "/stream"):header "transfer-encoding")
      conn:send "GET /stream HTTP/1.0\r\nHost: a\r\n\r\n"
      local res = conn:read_response()
      assert.are.same({ "ab", true }, { res.body, res.until_close })
      conn:close()
    end)

    it("keeps HTTP/1.0 connections when asked to", function()
      local conn = app:connect()

      for _ = 1, 2 do
        conn:send "GET /html HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
        assert.are.equal("keep-alive", conn:read_response():header "connection")
      end
      conn:send "GET /html HTTP/1.0\r\nHost: a\r\n\r\n"
      assert.are.equal("close", conn:read_response():header "connection")
      assert.is_true(conn:is_closed(2))
      conn:close()
    end)
  end)
end

describe("limits", function()
  it("hold for heads, idle connections and their number", function()
    local app <close> = server.start { source = APP, workers = 1, args = {
      "--header-limit", "1K", "--idle-timeout", "0.5", "--max-connections", "4" } }

    assert.are.equal(431, app:get("/html", { headers = { x = ("y"):rep(2000) } }).status)
    local idle = app:connect()
    idle:request("GET", "/html")
    assert.is_true(idle:is_closed(3))

    local conns = {}
    for i = 1, 4 do
      conns[i] = app:connect()
      assert.are.equal(200, conns[i]:request("GET", "/html").status)
    end
    local fifth = app:connect()
    fifth:send(client.format("GET", "/html"))
    assert.is_nil((fifth:read_response { timeout = 0.3 }))
    for i = 1, 4 do conns[i]:close() end
    assert.are.equal(200, fifth:read_response().status)
    fifth:close()
    app:stop { status = 0 }
  end)

  it("let two runtimes share a port only when both want it", function()
    local first <close> = server.start { source = APP, args = { "--share-port" } }
    local second <close> = server.start { source = APP, listen = { first.url },
      args = { "--share-port" } }
    local third = server.fail { source = APP, listen = { first.url } }

    assert.are.equal(1, third.status)
    second:stop { status = 0 }
    first:stop { status = 0 }
  end)
end)
