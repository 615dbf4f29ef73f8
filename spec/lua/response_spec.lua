require("spec.support.fake_core").install()

local hooks = require "luaqueduct.hooks"
local response = require "luaqueduct.response"

local function error_of(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return err
end

describe("luaqueduct.response", function()
  it("names the usual responses", function()
    local made = {
      [200] = response.ok "x", [202] = response.accepted "x", [204] = response.no_content(),
      [304] = response.not_modified(), [400] = response.bad_request "x",
      [403] = response.forbidden "x", [404] = response.not_found "x",
      [409] = response.conflict "x", [410] = response.gone "x", [500] = response.server_error "x",
    }

    for status, res in pairs(made) do
      assert.is_true(response.is_response(res))
      assert.are.equal(status, res.status)
      if status ~= 204 and status ~= 304 then assert.are.equal("x", res.body) end
    end
  end)

  it("puts what a response is about into its headers", function()
    assert.are.same({ Location = "/x" }, response.created("/x").headers)
    assert.are.same({ Location = "/x" }, response.redirect("/x").headers)
    assert.are.same({ ["WWW-Authenticate"] = "Basic" }, response.unauthorized("Basic").headers)
    assert.are.same({}, response.unauthorized().headers)
    assert.are.same({ ["Content-Type"] = "text/html; charset=utf-8" }, response.html("").headers)
  end)

  it("lets the status of redirect and html be chosen", function()
    assert.are.equal(302, response.redirect("/x").status)
    assert.are.equal(308, response.redirect("/x", 308).status)
    assert.are.equal(404, response.html("gone", 404).status)
    assert.matches("from 300 to 399, not 200", error_of(response.redirect, "/x", 200))
  end)

  it("takes a function as streamed body", function()
    local fn = function() end

    assert.are.equal(fn, response.stream(fn, { ["X-A"] = "1" }).body)
    assert.matches("needs a function", error_of(response.stream, "x"))
  end)

  describe("response()", function()
    it("keeps status, headers and body", function()
      local res = response.response(201, { ["X-A"] = "1", ["X-B"] = { "2", 3 } }, { a = 1 })

      assert.are.equal(201, res.status)
      assert.are.same({ ["X-A"] = "1", ["X-B"] = { "2", 3 } }, res.headers)
      assert.are.same({ a = 1 }, res.body)
    end)

    it("copies the headers, as the table may be shared", function()
      local shared = { ["X-List"] = { "1" } }

      local res = response.ok("", shared)
      res.headers["X-More"] = "2"
      table.insert(res.headers["X-List"], "3")

      assert.are.same({ ["X-List"] = { "1" } }, shared)
    end)

    it("refuses a status outside 200 to 599", function()
      for _, status in ipairs { 199, 600, 200.5, "200", 0 / 0 } do
        assert.matches("a status must be", error_of(response.response, status))
      end
      assert.matches("not nil", error_of(response.response))
    end)

    it("refuses headers that are the server's", function()
      for _, name in ipairs { "Content-Length", "transfer-encoding", "CONNECTION", "Date" } do
        assert.matches("is the server's", error_of(response.ok, "", { [name] = "1" }))
      end
    end)

    it("refuses names and values that would break the head", function()
      assert.matches("is no token", error_of(response.ok, "", { ["a b"] = "1" }))
      assert.matches("is no token", error_of(response.ok, "", { [1] = "1" }))
      assert.matches("line break", error_of(response.ok, "", { a = "1\r\nb: 2" }))
      assert.matches("line break", error_of(response.ok, "", { a = { "ok", "\0" } }))
      assert.matches("line break", error_of(response.redirect, "/\nx"))
      assert.matches("is a boolean", error_of(response.ok, "", { a = true }))
    end)

    it("refuses headers and bodies of other types", function()
      assert.matches("headers must be a table, not a string", error_of(response.response, 200, "x"))
      assert.matches("a body must be .* not a boolean", error_of(response.ok, true))
      assert.matches("cannot be the body", error_of(response.ok, response.ok()))
    end)

    it("names the caller's line", function()
      assert.matches("^spec/lua/response_spec.lua:%d+: ", error_of(response.response, 1))
    end)
  end)

  describe("set_cookie()", function()
    it("adds a header for each cookie", function()
      local res = response.ok():set_cookie("a", "1"):set_cookie("b", "2", { secure = true })

      assert.are.same({ "a=1; Path=/", "b=2; Path=/; Secure" }, res.headers["Set-Cookie"])
    end)

    it("keeps a Set-Cookie header that was there, whatever its case", function()
      local res = response.ok("", { ["set-cookie"] = "a=1" }):set_cookie("b", "2")

      assert.are.same({ ["set-cookie"] = { "a=1", "b=2; Path=/" } }, res.headers)
    end)

    it("raises at the caller for a bad cookie", function()
      local err = error_of(function() response.ok():set_cookie("a", "b c") end)

      assert.matches("^spec/lua/response_spec.lua:%d+: the value of cookie 'a'", err)
    end)
  end)

  it("reads well as an uncaught error", function()
    assert.are.equal("luaqueduct.Response (404)", tostring(response.not_found()))
  end)
end)

describe("luaqueduct.hooks", function()
  describe("finish()", function()
    it("runs the last hook first", function()
      local order = {}

      hooks.finish(nil, {
        function() table.insert(order, "first") end,
        function() table.insert(order, "second") end,
      }, "x")

      assert.are.same({ "second", "first" }, order)
    end)

    it("makes a response to edit of a string and of a table", function()
      for _, value in ipairs { "x", { a = 1 } } do
        local res = hooks.finish(nil, { function(res) res.status = 299 end }, value)

        assert.are.equal(299, res.status)
        assert.are.equal(value, res.body)
      end
    end)

    it("does not touch a response that may be shared", function()
      local shared = response.ok("x", { ["X-A"] = "1" })

      local res = hooks.finish(nil, { function(res) res:set_cookie("a", "1") end }, shared)

      assert.are.same({ ["X-A"] = "1" }, shared.headers)
      assert.are.same({ "a=1; Path=/" }, res.headers["Set-Cookie"])
    end)

    it("refuses what is no response", function()
      assert.matches("a handler returned a boolean", error_of(hooks.finish, nil, {}, true))
    end)
  end)

  describe("fail()", function()
    it("takes the first response, the last hook before the first, the channel last", function()
      local asked = {}
      local function hook(name, result)
        return function(err)
          table.insert(asked, name .. " " .. err)
          return result
        end
      end
      local fail = hooks.fail(function(_, err) return hook "channel"(err) or "from the channel" end)

      assert.are.equal("from the channel", fail(nil, { hook "first", hook "second" }, "oops"))
      assert.are.same({ "second oops", "first oops", "channel oops" }, asked)
      assert.are.equal("mine", fail(nil, { hook("first", "mine") }, "oops"))
    end)

    it("leaves the error to the core when nobody answers", function()
      assert.is_nil(hooks.fail()(nil, nil, "oops"))
    end)
  end)
end)
