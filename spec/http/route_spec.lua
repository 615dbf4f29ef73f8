--- The routing table, through luaqueduct.core.router.

local router = require "luaqueduct.core.router"

--- A router of GET patterns, whose tags are their places in the list.
local function table_of(...)
  local r = router.new()

  for tag, pattern in ipairs { ... } do assert(r:add("GET", pattern, tag)) end
  return r
end

--- The tag found for GET, or the kind.
local function found(r, path)
  local kind, tag = r:match("GET", path)

  return tag or kind
end

local function params(pattern, path)
  return select(3, table_of(pattern):match("GET", path))
end

describe("luaqueduct.core.router", function()
  describe("match()", function()
    it("finds literals, and tells /a from /a/", function()
      local r = table_of("/", "/a", "/a/", "/a/b", "/a//b")

      assert.are.equal(1, found(r, "/"))
      assert.are.equal(2, found(r, "/a"))
      assert.are.equal(3, found(r, "/a/"))
      assert.are.equal(4, found(r, "/a/b"))
      assert.are.equal(5, found(r, "/a//b"))
      assert.are.equal("none", found(r, "/a/b/"))
      assert.are.equal("none", found(r, "//a"))
      assert.are.equal("none", found(r, "/A"))
    end)

    it("normalises neither empty nor dot segments", function()
      local r = table_of("/a/b", "/..", "/:x/y")

      assert.are.equal("none", found(r, "/a/./b"))
      assert.are.equal("none", found(r, "/a/../a/b"))
      assert.are.equal(2, found(r, "/.."))
      assert.are.equal(3, found(r, "/%2e%2e/y"))
    end)

    it("gives decoded params under the names of the route", function()
      assert.are.same({ id = "7", name = "a b" }, params("/u/:id/:name", "/u/7/a%20b"))
      assert.are.same({ id = "a+b" }, params("/:id", "/a+b"))
      assert.are.same({ id = "a/b" }, params("/:id", "/a%2Fb"))
    end)

    it("lets patterns of one shape have names of their own", function()
      local r = table_of("/u/:id", "/u/:name/posts")

      assert.are.same({ id = "1" }, (select(3, r:match("GET", "/u/1"))))
      assert.are.same({ name = "1" }, (select(3, r:match("GET", "/u/1/posts"))))
    end)

    it("never gives a variable an empty segment", function()
      local r = table_of("/u/:id", "/v/:id(%d*)")

      assert.are.equal("none", found(r, "/u/"))
      assert.are.equal("none", found(r, "/v/"))
      assert.are.equal("none", found(r, "/u"))
    end)

    it("tries literal, constrained, variable and rest in this order", function()
      local r = table_of("/*", "/:any", "/:n(%d+)", "/7")

      assert.are.equal(4, found(r, "/7"))
      assert.are.equal(3, found(r, "/8"))
      assert.are.equal(2, found(r, "/x"))
      assert.are.equal(1, found(r, "/x/y"))
      assert.are.equal(1, found(r, "/"))
    end)

    it("tries constraints of one place in order of addition", function()
      assert.are.equal(1, found(table_of("/:a(%w+)", "/:b(%d+)"), "/1"))
      assert.are.equal(1, found(table_of("/:b(%d+)", "/:a(%w+)"), "/1"))
      assert.are.equal(2, found(table_of("/:b(%d+)", "/:a(%w+)"), "/x1"))
    end)

    it("steps back when a more specific way leads nowhere", function()
      local r = table_of("/a/b/c", "/a/:x/d", "/:n(%l)/b/e", "/:y/b/f", "/*")

      assert.are.equal(2, found(r, "/a/b/d"))
      assert.are.equal(3, found(r, "/a/b/e"))
      assert.are.equal(4, found(r, "/a/b/f"))
      assert.are.equal(5, found(r, "/a/b/g"))
      assert.are.same({ y = "a" }, (select(3, r:match("GET", "/a/b/f"))))
    end)

    it("gives the rest as it was sent, one segment or more", function()
      assert.are.same({ ["*"] = "x/y%2Fz//" }, params("/f/*", "/f/x/y%2Fz//"))
      assert.are.same({ ["*"] = "" }, params("/f/*", "/f/"))
      assert.is_nil(params("/f/*", "/f"))
      assert.are.same({ id = "1", ["*"] = "b" }, params("/:id/*", "/1/b"))
    end)

    it("matches an optional rest without its segments", function()
      assert.are.same({}, params("/f[/*]", "/f"))
      assert.are.same({ ["*"] = "" }, params("/f[/*]", "/f/"))
      assert.are.same({ ["*"] = "a/b" }, params("/f[/*]", "/f/a/b"))
      assert.is_nil(params("/f[/*]", "/fa"))
    end)

    it("matches each form of optional tails", function()
      local pattern = "/d/:y(%d%d%d%d)[/:m(%d+)[/:d(%d+)]]"

      assert.are.same({ y = "2024" }, params(pattern, "/d/2024"))
      assert.are.same({ y = "2024", m = "2" }, params(pattern, "/d/2024/2"))
      assert.are.same({ y = "2024", m = "2", d = "29" }, params(pattern, "/d/2024/2/29"))
      assert.is_nil(params(pattern, "/d/2024/2/29/1"))
      assert.are.same({}, params("/a[/]", "/a/"))
    end)

    it("decodes segments one by one, after splitting", function()
      local r = table_of("/a/b", "/caf\xC3\xA9", "/x y", "/50%25", "/s%2Ft", "/:n(%d+)/z")

      assert.are.equal(1, found(r, "/%61/%62"))
      assert.are.equal("none", found(r, "/a%2Fb"))
      assert.are.equal(2, found(r, "/caf%C3%a9"))
      assert.are.equal(3, found(r, "/x%20y"))
      assert.are.equal(4, found(r, "/50%25"))
      assert.are.equal(5, found(r, "/s%2ft"))
      assert.are.equal(6, found(r, "/%31%32/z"))
    end)

    for _, path in ipairs { "/%zz", "/%", "/a%2", "/a/%00", "/f/x/%0", "/none/%G1" } do
      it(("answers bad_path for %s, wherever it stands"):format(path), function()
        assert.are.equal("bad_path", found(table_of("/a", "/f/*", "/:x"), path))
      end)
    end

    it("finds nothing for a path without a slash in front", function()
      local r = table_of("/a", "/*")

      assert.are.equal("none", found(r, ""))
      assert.are.equal("none", found(r, "a"))
      assert.are.equal("none", found(r, "*"))
    end)
  end)

  describe("methods", function()
    local function methods(...)
      local r = router.new()

      for tag, entry in ipairs { ... } do assert(r:add(entry[1], entry[2], tag)) end
      return r
    end

    it("pass over a pattern that has no such method", function()
      local r = methods({ "POST", "/users/me" }, { "GET", "/users/:id" })

      assert.are.equal(2, (select(2, r:match("GET", "/users/me"))))
      assert.are.equal(1, (select(2, r:match("POST", "/users/me"))))
    end)

    it("are all told when no match has the one asked for", function()
      local r = methods({ "POST", "/a" }, { "GET", "/:x" }, { "DELETE", "/*" }, { "PUT", "/b" })

      local kind, tag, allow = r:match("PATCH", "/a")

      assert.are.equal("method", kind)
      assert.is_nil(tag)
      assert.are.same({ "GET", "HEAD", "POST", "DELETE", "OPTIONS" }, allow)
      assert.are.same({ "POST", "OPTIONS" },
        (select(3, methods({ "POST", "/a" }):match("GET", "/a"))))
    end)

    it("go before any, which goes before a less specific pattern", function()
      local r = methods({ "ANY", "/a" }, { "GET", "/a" }, { "POST", "/:x" })

      assert.are.equal(2, (select(2, r:match("GET", "/a"))))
      assert.are.equal(1, (select(2, r:match("POST", "/a"))))
      assert.are.equal(1, (select(2, r:match("OPTIONS", "/a"))))
      assert.are.equal(1, (select(2, r:match("PROPFIND", "/a"))))
    end)

    it("fall back from HEAD to GET", function()
      local r = methods({ "GET", "/a" }, { "GET", "/b" }, { "HEAD", "/b" }, { "POST", "/c" },
        { "ANY", "/a" })

      assert.are.equal(1, (select(2, r:match("HEAD", "/a"))))
      assert.are.equal(3, (select(2, r:match("HEAD", "/b"))))
      assert.are.equal("method", (r:match("HEAD", "/c")))
    end)

    it("answer OPTIONS where no route does", function()
      local r = methods({ "GET", "/a" }, { "OPTIONS", "/b" }, { "PUT", "/b" })
      local kind, tag, allow = r:match("OPTIONS", "/a")

      assert.are.equal("options", kind)
      assert.is_nil(tag)
      assert.are.same({ "GET", "HEAD", "OPTIONS" }, allow)
      assert.are.equal(2, (select(2, r:match("OPTIONS", "/b"))))
      assert.are.equal("none", (r:match("OPTIONS", "/c")))
    end)

    it("are those of the whole table for OPTIONS *", function()
      local r = methods({ "GET", "/a" }, { "PUT", "/b" })

      assert.are.same({ "GET", "HEAD", "PUT", "OPTIONS" }, (select(3, r:match("OPTIONS", "*"))))
      assert.is_true(r:add("ANY", "/c", 3))
      assert.are.equal(7, #select(3, r:match("OPTIONS", "*")))
    end)
  end)

  describe("fallback()", function()
    it("is found where nothing else is, but not instead of a 405", function()
      local r = table_of "/a"
      r:fallback(9)

      assert.are.same({ "found", 9, {} }, { r:match("POST", "/b") })
      assert.are.equal("method", (r:match("POST", "/a")))
      assert.are.equal("bad_path", (r:match("GET", "/%")))
    end)
  end)

  describe("add()", function()
    local function conflict(first, second)
      local r = table_of(first)
      local ok, tag = r:add("GET", second, 2)

      assert.is_true(ok == true or tag == 1)
      return not ok
    end

    it("answers the tag of a pattern that differs in names only", function()
      assert.is_true(conflict("/u/:id", "/u/:name"))
      assert.is_true(conflict("/u/:id(%d+)", "/u/:name(%d+)"))
      assert.is_true(conflict("/f/*", "/f/*"))
      assert.is_true(conflict("/%61", "/a"))
    end)

    it("takes patterns that differ in anything else", function()
      assert.is_false(conflict("/u/:id", "/u/:id/"))
      assert.is_false(conflict("/u/:id(%d+)", "/u/:id"))
      assert.is_false(conflict("/u/:id(%d+)", "/u/:id(%d*)"))
      assert.is_false(conflict("/u/*", "/u/:x"))
      assert.is_false(conflict("/u", "/U"))
    end)

    it("counts each form of optional tails", function()
      assert.is_true(conflict("/u[/:id]", "/u"))
      assert.is_true(conflict("/u/:x", "/u[/:id[/z]]"))
      assert.is_false(conflict("/u[/:id]", "/u/x"))
    end)

    it("enters no form of a pattern that is refused", function()
      local r = table_of "/u/:x"

      assert.is_nil((r:add("GET", "/u[/:id[/z]]", 2)))
      assert.are.equal("none", found(r, "/u"))
      assert.are.equal("none", found(r, "/u/1/z"))
    end)

    it("holds another method, or any, for no conflict", function()
      local r = table_of "/u"

      assert.is_true(r:add("POST", "/u", 2))
      assert.is_true(r:add("ANY", "/u", 3))
      assert.are.equal(3, (select(2, r:add("ANY", "/u", 4))))
    end)

    it("raises for a method, a tag or limits that are none", function()
      local r = router.new()

      assert.has_error(function() r:add("BREW", "/a", 1) end)
      assert.has_error(function() r:add("get", "/a", 1) end)
      assert.has_error(function() r:add("GET", "/a", -1) end)
      assert.has_error(function() r:add("GET", "/a", 1, { body = "1M" }) end)
      assert.has_error(function() r:add("GET", "/a", 1, { request_timeout = -1 }) end)
      assert.has_error(function() r:add("GET", "/a", 1, { body_timeout = 0 / 0 }) end)
      assert.is_true(r:add("GET", "/a", 1, { body = 0, request_timeout = 0.5, body_timeout = 60 }))
    end)
  end)
end)
