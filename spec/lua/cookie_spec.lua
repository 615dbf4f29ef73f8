require("spec.support.fake_core").install()

local cookie = require "luaqueduct.cookie"

local function error_of(...)
  local ok, err = pcall(cookie.bake, ...)
  assert.is_false(ok)
  return err
end

describe("luaqueduct.cookie", function()
  describe("parse()", function()
    it("reads names and values", function()
      assert.are.same({ a = "1", b = "x=y" }, cookie.parse "a=1; b=x=y")
    end)

    it("takes blanks and quotes away", function()
      assert.are.same({ a = "1", b = "two words" }, cookie.parse ' a = 1 ;b="two words"')
    end)

    it("keeps the first of equal names", function()
      assert.are.same({ a = "1" }, cookie.parse "a=1; a=2")
    end)

    it("passes over what it cannot read", function()
      assert.are.same({ b = "" }, cookie.parse "junk;;=x; b=; ")
      assert.are.same({}, cookie.parse(nil))
      assert.are.same({}, cookie.parse "")
    end)
  end)

  describe("bake()", function()
    it("sets the path to / unless given", function()
      assert.are.equal("a=1; Path=/", cookie.bake("a", "1"))
      assert.are.equal("a=1; Path=/x", cookie.bake("a", "1", { path = "/x" }))
    end)

    it("writes every option", function()
      local line = cookie.bake("a", "1", {
        domain = "example.org", expires = 784111777, http_only = true, max_age = 60,
        same_site = "lax", secure = true,
      })

      assert.are.equal("a=1; Path=/; Domain=example.org; Max-Age=60; "
        .. "Expires=Sun, 06 Nov 1994 08:49:37 GMT; Secure; HttpOnly; SameSite=Lax", line)
    end)

    it("leaves out flags that are false", function()
      assert.are.equal("a=; Path=/", cookie.bake("a", "", { secure = false, http_only = false }))
    end)

    it("allows a quoted value", function()
      assert.are.equal('a="b"; Path=/', cookie.bake("a", '"b"'))
    end)

    it("refuses names that are no tokens", function()
      for _, name in ipairs { "", "a b", "a=b", "a;b", "ä", "a\n" } do
        assert.matches("is no token", error_of(name, "1"))
      end
      assert.matches("cookie name nil is no token", error_of(nil, "1"))
    end)

    it("refuses values that would break out of the header", function()
      for _, value in ipairs { "a b", "a;b", "a,b", 'a"b', "a\\b", "a\r\nX: y", "\0", "\127" } do
        assert.matches("must be encoded first", error_of("a", value))
      end
      assert.matches("a string is needed", error_of("a", 1))
    end)

    it("refuses attributes that would break out of the header", function()
      assert.matches("cookie option 'path'", error_of("a", "1", { path = "/;x" }))
      assert.matches("cookie option 'domain'", error_of("a", "1", { domain = "a\r\nb" }))
    end)

    it("names the known options when one is unknown", function()
      local err = error_of("a", "1", { httponly = true })

      assert.matches("unknown cookie option 'httponly'; known are .*http_only", err)
    end)

    it("refuses wrong types of options", function()
      assert.matches("'secure' is 1", error_of("a", "1", { secure = 1 }))
      assert.matches("'max_age' is 1.5", error_of("a", "1", { max_age = 1.5 }))
      assert.matches("'same_site' is never", error_of("a", "1", { same_site = "never" }))
      assert.matches("must be a table, not a string", error_of("a", "1", "secure"))
    end)

    it("names the caller's line", function()
      assert.matches("^spec/lua/cookie_spec.lua:%d+: ", error_of("a b", "1"))
    end)
  end)
end)
