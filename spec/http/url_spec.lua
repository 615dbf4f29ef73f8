--- Percent-encoding and queries, through luaqueduct.core.url.

local scale = require "spec.support.scale"
local url = require "luaqueduct.core.url"

local function every_byte()
  local bytes = {}

  for byte = 0, 255 do bytes[#bytes + 1] = string.char(byte) end
  return table.concat(bytes)
end

describe("luaqueduct.core.url", function()
  describe("decode()", function()
    it("replaces escapes of either case by their bytes", function()
      assert.are.equal("a/b\xC3\xA9~", url.decode "a%2Fb%c3%A9%7e")
    end)

    it("keeps a plus unless told that it is a space", function()
      assert.are.equal("a+b", url.decode "a+b")
      assert.are.equal("a b+", url.decode("a+b%2B", true))
    end)

    it("decodes once only", function()
      assert.are.equal("%41", url.decode "%2541")
    end)

    it("lets a zero byte through", function()
      assert.are.equal("\0", url.decode "%00")
    end)

    for _, broken in ipairs { "%", "%4", "a%4", "%zz", "%4g", "%g4", "%%41", "%+1", "% 1" } do
      it(("answers nil and an error for '%s'"):format(broken), function()
        local text, err = url.decode(broken)

        assert.is_nil(text)
        assert.are.equal("invalid", err.code)
        assert.are.equal("broken percent-encoding", tostring(err))
      end)
    end

    it("raises for what is no string", function()
      assert.has_error(function() url.decode {} end)
    end)
  end)

  describe("encode()", function()
    it("leaves unreserved bytes alone and no others", function()
      local encoded = url.encode(every_byte())

      assert.are.equal("", (encoded:gsub("%%%x%x", ""):gsub("[%w%-._~]", "")))
      assert.are.equal("%20%2F%C3%A9", url.encode " /\xC3\xA9")
    end)

    it("is undone by decode", function()
      assert.are.equal(every_byte(), url.decode(url.encode(every_byte())))
      assert.are.equal("", url.decode(url.encode ""))
    end)
  end)

  describe("parse_query()", function()
    local function pairs_of(text)
      local first, list = assert(url.parse_query(text))

      return list, first
    end

    it("gives the first value of each name, and all pairs in order", function()
      local list, first = pairs_of "a=1&b=2&a=3"

      assert.are.same({ a = "1", b = "2" }, first)
      assert.are.same({ { "a", "1" }, { "b", "2" }, { "a", "3" } }, list)
    end)

    it("splits before it decodes, and reads a plus as a space", function()
      assert.are.same({ { "a&b", "c=d e" } }, (pairs_of "a%26b=c%3Dd+e"))
    end)

    it("splits a pair at the first equals sign", function()
      assert.are.same({ { "a", "b=c" } }, (pairs_of "a=b=c"))
    end)

    it("gives a name without equals sign an empty value", function()
      assert.are.same({ { "flag", "" }, { "x", "" } }, (pairs_of "flag&x="))
    end)

    it("keeps an empty name", function()
      assert.are.same({ { "", "1" }, { "", "" } }, (pairs_of "=1&="))
    end)

    it("passes over empty pairs", function()
      assert.are.same({}, (pairs_of ""))
      assert.are.same({}, (pairs_of "&&"))
      assert.are.same({ { "a", "" }, { "b", "" } }, (pairs_of "&a&&b&"))
    end)

    it("answers nil and an error for a broken escape", function()
      local first, err = url.parse_query "a=1&b=%zz"

      assert.is_nil(first)
      assert.are.equal("invalid", err.code)
    end)

    it("takes 1,000 pairs and no more", function()
      local at_limit = ("a&"):rep(1000)

      assert.are.equal(1000, #pairs_of(at_limit))
      local first, err = url.parse_query(at_limit .. "a")
      assert.is_nil(first)
      assert.are.equal("too_large", err.code)
    end)

    it("reads back what was encoded", function()
      math.randomseed(4)
      for _ = 1, scale(300) do
        local parts, expected = {}, {}
        for i = 1, math.random(0, 5) do
          local name, value = {}, {}
          for k = 1, math.random(1, 4) do name[k] = string.char(math.random(0, 255)) end
          for k = 1, math.random(0, 4) do value[k] = string.char(math.random(0, 255)) end
          expected[i] = { table.concat(name), table.concat(value) }
          parts[i] = url.encode(expected[i][1]) .. "=" .. url.encode(expected[i][2])
        end

        assert.are.same(expected, (pairs_of(table.concat(parts, "&"))))
      end
    end)
  end)
end)
