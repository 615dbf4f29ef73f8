require("spec.support.fake_core").install()

local link = require "luaqueduct.link"

local REQUEST = { path = "/" }

local function pass(req)
  return req
end

local function answer(text)
  return function() return text end
end

describe("luaqueduct.link", function()
  describe("check()", function()
    it("keeps a function as it is", function()
      assert.are.equal(pass, link.check(pass))
    end)

    it("calls handle of a table", function()
      local controller = { name = "mine" }
      function controller:handle(req)
        return self.name .. req.path
      end

      assert.are.equal("mine/", link.check(controller)(REQUEST))
    end)

    it("refuses anything else at the caller's line", function()
      for _, value in ipairs { "x", 1, true, {}, { handle = 1 } } do
        local ok, err = pcall(link.check, value)
        assert.is_false(ok)
        assert.matches("^spec/lua/link_spec.lua:%d+: a controller is a function or a table", err)
      end
    end)

    it("hints at a misspelt name for nil", function()
      local _, err = pcall(link.check, nil)

      assert.matches("not a nil %(a misspelt name", err)
    end)
  end)

  describe("compose()", function()
    it("leaves a single function as it is", function()
      assert.are.equal(pass, link.compose { pass })
    end)

    it("hands the request over until a link answers", function()
      local chain = link.compose { pass, pass, answer "third", answer "fourth" }

      assert.are.equal("third", chain(REQUEST))
    end)

    it("ends with the first answer", function()
      assert.are.equal("first", link.compose { answer "first", answer "second" }(REQUEST))
    end)

    it("returns the request when the last link does", function()
      assert.are.equal(REQUEST, link.compose { pass, pass }(REQUEST))
    end)

    it("returns nil and the second value of any link", function()
      local function failing() return nil, "gone" end

      assert.are.same({ n = 2, nil, "gone" },
        table.pack(link.compose { failing, answer "x" }(REQUEST)))
      assert.are.same({ n = 2, nil, "gone" },
        table.pack(link.compose { pass, failing }(REQUEST)))
    end)

    it("takes another request for an answer", function()
      local other = { path = "/" }

      assert.are.equal(other, link.compose { answer(other), answer "x" }(REQUEST))
    end)

    it("is not changed by the list it was made of", function()
      local links = { pass, answer "old" }
      local chain = link.compose(links)
      links[1] = answer "new"

      assert.are.equal("old", chain(REQUEST))
    end)

    it("lets errors through as they are", function()
      local value = {}
      local ok, err = pcall(link.compose { function() error(value) end, pass }, REQUEST)

      assert.is_false(ok)
      assert.are.equal(value, err)
    end)
  end)
end)
