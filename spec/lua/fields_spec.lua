--- Fields of records: a Lua table as text and as JSON.

local fields = require "luaqueduct.core.fields"
local json = require "luaqueduct.core.json"

local function text(table)
  return fields.render(table, "text")
end

--- What JSON says of them, read by the project's own decoder.
local function decoded(table)
  return json.decode("{" .. fields.render(table, "json") .. "}")
end

local function failing()
  return setmetatable({}, { __tostring = function() error "no" end })
end

describe("luaqueduct.core.fields", function()
  describe("text", function()
    it("is sorted by name", function()
      assert.are.equal("file=a.txt is_new=true user=7",
        text { user = 7, file = "a.txt", is_new = true })
    end)

    it("sorts many", function()
      local many, expected = {}, {}
      for i = 1, 200 do
        many[("k%03d"):format(i)] = i
        expected[i] = ("k%03d=%d"):format(i, i)
      end

      assert.are.equal(table.concat(expected, " "), text(many))
    end)

    it("quotes what would be taken for something else", function()
      assert.are.equal([[a="two words" b="say \"hi\"" c="" d="k=v" e="1\n2\x00" f="a\\b"]],
        text { a = "two words", b = 'say "hi"', c = "", d = "k=v", e = "1\n2\0", f = "a\\b" })
    end)

    it("quotes names that would be taken for something else", function()
      assert.are.equal([[""=1 "a\nb"=2 "a b"=3 "a\"b"=4 "a=b"=5]],
        text { [""] = 1, ["a\nb"] = 2, ["a b"] = 3, ['a"b'] = 4, ["a=b"] = 5 })
    end)

    it("has numbers, booleans and null", function()
      assert.are.equal("a=1 b=1.5 c=-9223372036854775808 d=false e=null f=1.0 g=0.1",
        text { a = 1, b = 1.5, c = math.mininteger, d = false, e = json.null, f = 1.0, g = 0.1 })
      assert.are.equal("a=inf b=-inf c=nan", text { a = 1 / 0, b = -1 / 0, c = 0 / 0 })
    end)

    it("has plain tables as JSON", function()
      assert.are.equal([==[a=[1,{"b":"x y"}] c={} d=[]]==],
        text { a = { 1, { b = "x y" } }, c = {}, d = json.array {} })
    end)

    it("has other values as tostring has them, or by their type", function()
      local named = setmetatable({}, { __tostring = function() return "my own" end })

      assert.are.equal('a="my own" b=table', text { a = named, b = failing() })
      assert.matches('^a="function: 0x%x+"$', text { a = print })
    end)

    it("has what can be told of a table with other values in it", function()
      assert.are.equal('a=["function"]', text { a = { print } })
    end)

    it("takes any key", function()
      assert.are.equal("1=a 1.5=b table=d true=c",
        text { "a", [1.5] = "b", [true] = "c", [failing()] = "d" })
    end)

    it("has no control character and no stray byte, in names neither", function()
      assert.are.equal([["\n\x1b"="\r\t\x7f" a=\u0085\u2028\xff]],
        text { ["\n\27"] = "\r\t\127", a = "\xC2\x85\xE2\x80\xA8\xFF" })
      assert.are.equal([=[a=["\u007f\u009b\u0001"]]=], text { a = { "\127\xC2\x9B\1" } })
    end)

    it("is empty without fields", function()
      assert.are.equal("", text {})
    end)
  end)

  describe("json", function()
    it("keeps types", function()
      local given = { a = 1, b = "two words", c = true, d = 1.5, e = json.null,
        f = { 1, { g = "h" } }, i = json.array {} }

      assert.are.same(given, decoded(given))
    end)

    it("has what JSON has no word for as a string", function()
      local got = decoded { a = 1 / 0, b = -1 / 0, c = 0 / 0, d = failing(), e = { 1, x = 2 },
        f = "\xFF" }

      assert.are.same({ "inf", "-inf", "nan", "table", "\u{FFFD}" },
        { got.a, got.b, got.c, got.d, got.f })
      assert.are.same({ ["1"] = 1, x = 2 }, got.e)
    end)

    it("loses nothing of a table because of a part of it", function()
      local cycle = { name = "me", list = {} }
      cycle.list[1] = cycle
      local deep = {}
      for _ = 1, 300 do deep = { deep } end

      local got = decoded { name = { "J\xF6rg", 7 }, cycle = cycle, deep = deep,
        numbers = { 0 / 0, 1 / 0, -1 / 0, 1.5, math.mininteger },
        keys = { [1.5] = "a", [true] = "b", [print] = "c", [10] = { json.null }, s = false },
        holes = { x = 1, [2] = 2 } }

      assert.are.same({ "J\u{FFFD}rg", 7 }, got.name)
      assert.are.same({ name = "me", list = { "..." } }, got.cycle)
      assert.are.same({ "nan", "inf", "-inf", 1.5, math.mininteger }, got.numbers)
      assert.are.same({ ["1.5"] = "a", ["true"] = "b", ["function"] = "c",
        ["10"] = { json.null }, s = false }, got.keys)
      assert.are.same({ x = 1, ["2"] = 2 }, got.holes)
      for _ = 1, 31 do got.deep = got.deep[1] end
      assert.are.same({ "..." }, got.deep)
    end)

    it("ends where a table has too much in it, or too many times the same", function()
      local many, same = { print }, { print }
      for i = 2, 100000 do many[i] = "entry " .. i end
      for _ = 1, 30 do same = { same, same, same } end

      assert.are.equal("...", table.remove(decoded { many = many }.many))
      assert.is_true(#fields.render({ same = same }, "json") < 128 * 1024)
    end)

    it("has a bound for the number of fields, and counts the others", function()
      local many = {}
      for i = 1, 600000 do many[i] = i end

      local got = decoded(many)

      assert.are.equal("599000 fields more", got["..."])
      assert.are.equal(1000, got["1000"])
      assert.matches('[^ ]+=[^ ]+ %.%.%.="599000 fields more"$', text(many))
    end)

    it("has a bound for strings and names, and tells what is not there", function()
      local long = ("x"):rep(70000)
      local cut = ("x"):rep(65536) .. "... (4464 bytes more)"

      assert.are.same({ s = cut, [cut] = 1, t = { cut } },
        decoded { s = long, [long] = 1, t = { long } })
      assert.are.equal(('s="%s"'):format(cut), text { s = long })
    end)

    it("cuts no character in two", function()
      local got = decoded { s = "a" .. ("\u{20AC}"):rep(30000) }

      assert.are.equal("a" .. ("\u{20AC}"):rep(21845) .. "... (24465 bytes more)", got.s)
    end)

    it("has a bound for all of them", function()
      local large = {}
      for i = 1, 26 do large[string.char(96 + i)] = ("x"):rep(60000) end

      local got = decoded(large)

      assert.are.equal("21 fields more", got["..."])
      assert.are.same({ 60000, 60000 }, { #got.a, #got.e })
      assert.are.equal("11 fields more", decoded {
        a = ("x"):rep(65000), b = ("x"):rep(65000), c = ("x"):rep(65000), d = ("x"):rep(65000),
        e = ("x"):rep(65000), f = 1, g = 1, h = 1, i = 1, j = 1, k = 1, l = 1, m = 1, n = 1, o = 1,
        p = 1 }["..."])
    end)

    it("writes a table that holds the same many times in bounded time", function()
      local same = { "x" }
      for _ = 1, 30 do same = { same, same, same } end

      assert.is_true(#fields.render({ same = same }, "json") < 128 * 1024)
    end)

    it("survives any bytes", function()
      local all = {}
      for i = 0, 255 do all[i + 1] = string.char(i) end
      local bytes = table.concat(all)

      local rendered = fields.render({ [bytes] = bytes, t = { bytes:sub(1, 128) } }, "json")

      assert.is_nil(rendered:find "[%c]")
      local got = assert(json.decode("{" .. rendered .. "}"))
      assert.are.equal(bytes:sub(1, 128), got.t[1])
      assert.are.equal(bytes:sub(1, 128) .. ("\u{FFFD}"):rep(128),
        got[bytes:sub(1, 128) .. ("\u{FFFD}"):rep(128)])
    end)
  end)

  it("lets a __tostring render other fields", function()
    local inner = setmetatable({}, { __tostring = function() return text { b = 2, c = { 3 } } end })

    assert.are.equal('a="b=2 c=[3]" d={"e":1}', text { a = inner, d = { e = 1 } })
  end)

  it("refuses what is no table, and other formats", function()
    assert.has_error(function() fields.render "x" end)
    assert.has_error(function() fields.render({}, "xml") end)
  end)

  it("leaves nothing behind after a hundred thousand records", function()
    collectgarbage()
    collectgarbage()
    local before = collectgarbage "count"

    for i = 1, 100000 do fields.render({ i = i, s = "text" }, "json") end

    collectgarbage()
    assert.is_true(collectgarbage "count" < before + 1024)
  end)
end)
