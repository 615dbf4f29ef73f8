require("spec.support.fake_core").install()

local routers = require "luaqueduct.router"

local function pass(req)
  return req
end

local function answer(text)
  return function() return text end
end

--- A link that writes its name into the request's trail.
local function mark(name)
  return function(req)
    req.trail[#req.trail + 1] = name
    return req
  end
end

local function error_of(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return err
end

--- What the compiled router answers: the handler's result, or the kind of no match.
local function ask(compiled, method, path)
  local kind, tag = compiled.router:match(method, path)
  local req = { path = path, trail = {} }

  if kind == "none" and compiled.router.otherwise then tag = compiled.router.otherwise end
  if not tag then return kind, req end
  local result = compiled.handlers[tag](req)
  return result == req and "passed on" or result, req
end

describe("luaqueduct.router", function()
  local router

  before_each(function() router = routers.new() end)

  local function compile()
    return routers.compile(router)
  end

  describe("get(), post() and the others", function()
    it("declare a route for their method", function()
      for _, name in ipairs { "get", "post", "put", "patch", "delete", "options" } do
        router[name](router, "/x", answer(name))
      end

      local compiled = compile()

      for _, name in ipairs { "get", "post", "put", "patch", "delete", "options" } do
        assert.are.equal(name, (ask(compiled, name:upper(), "/x")))
      end
    end)

    it("declare a route for every method with any() and route()", function()
      router:any("/a", answer "a")
      router:route("/b"):link(pass):link(answer "b")
      local compiled = compile()

      assert.are.equal("a", (ask(compiled, "DELETE", "/a")))
      assert.are.equal("b", (ask(compiled, "PUT", "/b")))
    end)

    it("chain their controllers", function()
      router:get("/x", mark "1", mark "2"):link(answer "x")

      local result, req = ask(compile(), "GET", "/x")

      assert.are.equal("x", result)
      assert.are.same({ "1", "2" }, req.trail)
    end)

    it("keep a single function as it is", function()
      local fn = answer "x"
      router:get("/x", fn)

      assert.are.equal(fn, compile().handlers[1])
    end)
  end)

  describe("patterns", function()
    it("are checked at once, at the caller's line", function()
      local line = debug.getinfo(1, "l").currentline + 1
      local err = error_of(function() router:get("users", pass) end)

      assert.are.equal("spec/lua/router_spec.lua:" .. line, err:match "^[^:]+:%d+")
    end)

    it("must be strings", function()
      assert.matches("a pattern must be a string, not a nil", error_of(router.get, router))
    end)

    it("may be empty in a group only", function()
      router:group("/api"):get("", answer "index")
      error_of(router.get, router, "", pass)

      assert.are.equal("index", (ask(compile(), "GET", "/api")))
    end)
  end)

  describe("controllers", function()
    it("are checked at once, at the caller's line", function()
      local err = error_of(function() router:get("/x", nil) end)

      assert.matches("^spec/lua/router_spec.lua:%d+: a controller is a function", err)
    end)

    it("must be there when the table is frozen", function()
      router:route("/x"):limits { body = 1 }

      assert.matches("^spec/lua/router_spec.lua:%d+: the route /x has no controller",
        error_of(compile))
    end)
  end)

  describe("group()", function()
    it("puts routes under a prefix, its links in front, outermost first", function()
      router:link(mark "top")
      local api = router:group("/api"):link(mark "api")
      local users = api:group("/users"):link(mark "users")
      users:get("/:id", mark "route", answer "user")

      local result, req = ask(compile(), "GET", "/api/users/7")

      assert.are.equal("user", result)
      assert.are.same({ "top", "api", "users", "route" }, req.trail)
    end)

    it("puts links in front of routes that were declared before", function()
      router:get("/x", answer "x")
      router:link(mark "late")

      local _, req = ask(compile(), "GET", "/x")

      assert.are.same({ "late" }, req.trail)
    end)

    it("does not run its links for the routes of others", function()
      router:group("/api"):link(answer "refused"):get("/x", answer "x")
      router:get("/x", answer "x")
      local compiled = compile()

      assert.are.equal("x", (ask(compiled, "GET", "/x")))
      assert.are.equal("none", (ask(compiled, "GET", "/api/y")))
    end)

    it("takes / for no prefix", function()
      router:group("/"):get("/x", answer "x")

      assert.are.equal("x", (ask(compile(), "GET", "/x")))
    end)

    it("refuses prefixes that are none", function()
      for _, prefix in ipairs { "api", "/api/", "/a[/b]", "/a/*" } do
        assert.matches("^spec/lua/router_spec.lua:%d+: ", error_of(function()
          router:group(prefix)
        end))
      end
      assert.matches("not a nil", error_of(router.group, router))
    end)

    it("allows sets and brackets in the constraints of a prefix", function()
      router:group("/:id([%d*]+)"):get("/x", answer "x")

      assert.are.equal("x", (ask(compile(), "GET", "/7/x")))
    end)

    it("knows parentheses that a constraint escapes from those that close it", function()
      router:group("/:id(%(*[(*]+)"):get("/x", answer "x")

      assert.are.equal("x", (ask(compile(), "GET", "/((*/x")))
      for _, prefix in ipairs { "/:a(%()[/:b(%))]", "/:a([(])/*" } do
        assert.matches("must leave room for a route", error_of(router.group, routers.new(), prefix))
      end
    end)
  end)

  describe("mount()", function()
    it("puts another router under a prefix, twice if need be", function()
      local admin = routers.new():link(mark "inner")
      admin:get("/x", answer "x")
      router:mount("/a", admin):link(mark "outer")
      router:mount("/b", admin)
      local compiled = compile()

      local result, req = ask(compiled, "GET", "/a/x")
      assert.are.equal("x", result)
      assert.are.same({ "outer", "inner" }, req.trail)
      assert.are.same({ "inner" }, select(2, ask(compiled, "GET", "/b/x")).trail)
    end)

    it("refuses what is no router, and a router inside itself", function()
      local inner = routers.new()
      router:mount("/a", inner)

      assert.matches("needs a router, not a function", error_of(router.mount, router, "/", pass))
      assert.matches("inside itself", error_of(router.mount, router, "/", router))
      assert.matches("inside itself", error_of(inner.mount, inner, "/", router))
    end)
  end)

  describe("fallback()", function()
    it("answers what no route matches", function()
      router:get("/x", answer "x")
      router:fallback(answer "nothing here")

      local compiled = compile()

      assert.are.equal("x", (ask(compiled, "GET", "/x")))
      assert.are.equal("nothing here", (ask(compiled, "GET", "/y")))
      assert.are.equal("method", (ask(compiled, "POST", "/x")))
    end)

    it("holds under the prefix of a mounted router", function()
      local admin = routers.new()
      admin:get("/x", answer "x")
      admin:fallback(answer "nothing in admin")
      router:mount("/admin", admin)
      local compiled = compile()

      assert.are.equal("nothing in admin", (ask(compiled, "GET", "/admin/y/z")))
      assert.are.equal("nothing in admin", (ask(compiled, "GET", "/admin")))
      assert.are.equal("passed on", (ask(compiled, "GET", "/administrator")))
      assert.are.equal("method", (ask(compiled, "POST", "/admin/x")))
    end)

    it("is asked for the innermost prefix, the whole table's last", function()
      router:fallback(answer "top")
      local api = router:group("/api"):fallback(answer "api")
      api:group("/v1"):fallback(answer "v1")
      local compiled = compile()

      assert.are.equal("v1", (ask(compiled, "GET", "/api/v1/x")))
      assert.are.equal("api", (ask(compiled, "GET", "/api/x")))
      assert.are.equal("top", (ask(compiled, "GET", "/x")))
    end)

    it("may be declared once in a router", function()
      router:fallback(pass)

      assert.matches("has a fallback already, declared at spec/lua/router_spec.lua:%d+",
        error_of(router.fallback, router, pass))
    end)

    it("may be declared once for a prefix", function()
      router:group("/a"):fallback(pass)
      router:group("/a"):fallback(pass)

      assert.matches("is the same as FALLBACK /a", error_of(compile))
    end)
  end)

  describe("limits()", function()
    local function limits_of(values)
      router:route("/x"):limits(values):link(pass)
      return compile().routes[1].limits
    end

    it("takes sizes with units and seconds", function()
      assert.are.same({ body = 100 << 20, body_timeout = 0.5, request_timeout = 0 },
        limits_of { body = "100M", body_timeout = 0.5, request_timeout = 0 })
    end)

    it("takes sizes in bytes", function()
      assert.are.same({ body = 0 }, limits_of { body = 0 })
    end)

    it("adds up over several calls", function()
      router:get("/x", pass):limits({ body = 1 }):limits({ request_timeout = 2 })

      assert.are.same({ body = 1, request_timeout = 2 }, compile().routes[1].limits)
    end)

    it("names the known limits when one is unknown", function()
      local err = error_of(function() router:route("/x"):limits { bdy = 1 } end)

      assert.matches("^spec/lua/router_spec.lua:%d+: unknown limit 'bdy'; known are body, "
        .. "body_timeout, request_timeout", err)
    end)

    it("refuses bad values", function()
      for _, body in ipairs { -1, 1.5, "1T", "M", "1.5M", "99999999999G", true } do
        assert.matches("the limit 'body' is", error_of(limits_of, { body = body }))
      end
      for _, seconds in ipairs { -1, "1", 0 / 0, math.huge } do
        assert.matches("seconds from 0 on",
          error_of(limits_of, { request_timeout = seconds }))
      end
      assert.matches("limits must be a table", error_of(limits_of, 1))
    end)
  end)

  describe("compile()", function()
    it("raises for two routes in conflict and names both places", function()
      router:get("/users/:id", pass)
      router:group("/users"):get("/:name", pass)

      local err = error_of(compile)

      local first, second = err:match "^(%S+): GET /users/:name is the same as .* at (%S+)$"
      assert.matches("router_spec.lua:%d+$", first)
      assert.matches("router_spec.lua:%d+$", second)
      assert.are_not.equal(first, second)
    end)

    it("freezes the router and all in it", function()
      local admin = routers.new()
      local group = router:group "/x"
      local route = router:get("/", pass)
      router:mount("/admin", admin)
      compile()

      for _, declare in ipairs {
        function() router:get("/y", pass) end,
        function() router:link(pass) end,
        function() router:group "/y" end,
        function() router:fallback(pass) end,
        function() group:get("/y", pass) end,
        function() admin:get("/y", pass) end,
        function() route:link(pass) end,
        function() route:limits { body = 1 } end,
      } do
        assert.matches("^spec/lua/router_spec.lua:%d+: the routing table is frozen",
          error_of(declare))
      end
    end)
  end)

  describe("match()", function()
    it("gives the handler with its links, and the params", function()
      router:link(mark "first")
      router:get("/users/:id", function(req) return req.trail[1] .. " " .. req.params.id end)

      local handler, params = router:match("GET", "/users/a%20b")

      assert.are.same({ id = "a b" }, params)
      assert.are.equal("first a b", handler { params = params, trail = {} })
    end)

    it("gives the status where there is no handler, and what is allowed", function()
      router:get("/x", pass)

      assert.are.same({ n = 3, nil, 404 }, table.pack(router:match("GET", "/y")))
      local handler, status, allowed = router:match("POST", "/x")
      assert.is_nil(handler)
      assert.are.equal(405, status)
      assert.are.same({ "GET", "HEAD", "OPTIONS" }, allowed)
      assert.are.equal(204, select(2, router:match("OPTIONS", "/x")))
      assert.are.equal(400, select(2, router:match("GET", "/%zz")))
    end)

    it("finds the fallback", function()
      router:fallback(answer "elsewhere")

      assert.are.equal("elsewhere", (router:match("GET", "/x"))())
    end)

    it("freezes the router", function()
      router:match("GET", "/x")

      assert.matches("frozen", error_of(router.get, router, "/x", pass))
    end)
  end)

  it("tells a dot from a colon", function()
    assert.matches("call its methods with a colon", error_of(function() router.get("/x", pass) end))
  end)
end)
