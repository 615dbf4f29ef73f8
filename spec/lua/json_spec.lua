local json = require "luaqueduct.core.json"
local corpus = require "spec.support.json_corpus"
local values = require "spec.support.values"

local null, array = json.null, json.array

local function nested(levels)
  return ("["):rep(levels) .. ("]"):rep(levels)
end

local function chain(levels)
  local t = {}
  for _ = 2, levels do t = { t } end
  return t
end

--- Members are named and elements are not holes, so JSON can say it.
local function random_value(depth)
  local makers = {
    function() return math.random(2) == 1 end,
    function() return null end,
    values.integer, values.float, values.text,
  }
  if depth > 0 then
    makers[#makers + 1] = function()
      local t = array()
      for i = 1, math.random(0, 70) do t[i] = random_value(depth - 2) end
      return t
    end
    makers[#makers + 1] = function()
      local t = {}
      for _ = 1, math.random(0, 70) do t[values.text()] = random_value(depth - 2) end
      return t
    end
  end
  return values.one_of(makers)
end

describe("luaqueduct.core.json", function()
  describe("decode()", function()
    for i, case in ipairs(corpus.accept) do
      it(("takes accept[%d]: %q"):format(i, case[1]:sub(1, 40)), function()
        local value, err = json.decode(case[1])

        assert.is_nil(err)
        assert.is_true(values.same(case[2], value))
      end)
    end

    for why, texts in pairs(corpus.reject) do
      for _, text in ipairs(texts) do
        it(("refuses, as %s, %q"):format(why, text:sub(1, 40)), function()
          local value, err = json.decode(text)

          assert.is_nil(value)
          assert.equal("invalid", err.code)
          assert.matches("^invalid JSON at byte %d+: %g", tostring(err))
        end)
      end
    end

    it("names the byte where UTF-8 or a surrogate pair breaks", function()
      local _, not_utf8 = json.decode '["a\xFF"]'
      local _, lone = json.decode '["ab\\ud800"]'

      assert.equal("invalid JSON at byte 4: not UTF-8", not_utf8.message)
      assert.equal("invalid JSON at byte 5: half of a surrogate pair", lone.message)
    end)

    it("names the byte it has got to when a token is wrong", function()
      local _, err = json.decode '{"a": 1, "b" 2}'

      assert.matches("^invalid JSON at byte 14: ", err.message)
    end)

    it("takes 200 levels and no more", function()
      assert.is_table(json.decode(nested(200)))
      assert.is_nil(json.decode(nested(201)))
      assert.is_nil(json.decode(nested(100000)))
      assert.is_nil(json.decode(('{"a":'):rep(201) .. "1" .. ("}"):rep(201)))
    end)

    it("keeps arrays arrays, empty ones too", function()
      local text = '{"a":[],"b":{},"c":[[],{}],"d":[1]}'
      local value = json.decode(text)

      assert.is_true(json.is_array(value.a))
      assert.is_false(json.is_array(value.b))
      assert.equal("[[],{}]", json.encode(value.c))
      assert.is_true(json.is_array(value.d))
    end)

    it("reads tables of every size around its buffer", function()
      for _, count in ipairs { 1, 2, 31, 32, 33, 63, 64, 65, 1000 } do
        local list, map = array(), {}
        for i = 1, count do
          list[i] = i
          map["k" .. i] = i
        end
        assert.is_true(values.same(list, json.decode(json.encode(list))))
        assert.is_true(values.same(map, json.decode(json.encode(map))))
      end
    end)

    it("lets the last of equal names win in an object larger than its buffer", function()
      local members = {}
      for i = 1, 100 do members[i] = ('"k%d":%d'):format(i % 40, i) end
      local value = json.decode("{" .. table.concat(members, ",") .. "}")

      for i = 61, 100 do assert.equal(i, value["k" .. i % 40]) end
    end)

    it("does not crash on any part of a text, or on changed bytes", function()
      math.randomseed(1)
      local text = json.encode { a = { 1, 2.5, "é\n", null }, b = { c = "\u{10FFFF}", d = false } }

      for i = 0, #text - 1 do assert.is_nil(json.decode(text:sub(1, i))) end
      for _ = 1, 20000 do
        local at = math.random(#text)
        json.decode(text:sub(1, at - 1) .. values.bytes(3) .. text:sub(at + math.random(0, 2)))
      end
    end)

    it("takes a string and nothing else", function()
      assert.has_error(function() json.decode() end)
      assert.has_error(function() json.decode {} end)
    end)

    it("keeps nothing after failures", function()
      local function used()
        collectgarbage()
        collectgarbage()
        return collectgarbage "count"
      end

      local function fail_often()
        for _ = 1, 200 do json.decode('{"a":["' .. ("x\\n"):rep(1000) .. '",1e999]}') end
      end

      fail_often()
      local before = used()
      fail_often()
      assert.is_true(used() - before < 16)
    end)
  end)

  describe("encode()", function()
    local cases = {
      { nil, "null" }, { null, "null" }, { true, "true" }, { false, "false" },
      { 0, "0" }, { -1, "-1" }, { 9, "9" }, { 10, "10" }, { 99, "99" }, { 100, "100" },
      { math.maxinteger, "9223372036854775807" }, { math.mininteger, "-9223372036854775808" },
      { 1.0, "1.0" }, { 0.0, "0.0" }, { -0.0, "-0.0" }, { -2.0, "-2.0" }, { 0.1, "0.1" },
      { 0.5, "0.5" }, { 12.34, "12.34" }, { -12.34, "-12.34" }, { 0.01, "0.01" },
      { 1 / 3, "0.3333333333333333" },
      { 0.1 + 0.2, "0.30000000000000004" }, { 123456789.125, "123456789.125" },
      { 1e14, "100000000000000.0" }, { 2.0 ^ 53, "9007199254740992.0" }, { 1e300, "1e+300" },
      { 1e-300, "1e-300" },
      { 1.7976931348623157e308, "1.7976931348623157e+308" },
      { "", '""' }, { "a", '"a"' }, { '"\\/', '"\\"\\\\/"' }, { "\b\t\n\f\r", '"\\b\\t\\n\\f\\r"' },
      { "\0\1\v\x1F\x7F", '"\\u0000\\u0001\\u000b\\u001f\x7F"' }, { "é€😀", '"é€😀"' },
      { "12345678\"12345678\n", '"12345678\\"12345678\\n"' },
      { {}, "{}" }, { array(), "[]" }, { array { 1 }, "[1]" }, { { 1, 2 }, "[1,2]" },
      { { { 1 }, {} }, "[[1],{}]" }, { { a = 1 }, '{"a":1}' }, { { ["1"] = 1 }, '{"1":1}' },
      { { [""] = null }, '{"":null}' }, { { ['"'] = 1 }, '{"\\"":1}' }, { { null, 1 }, "[null,1]" },
      { { [1] = "a", [2] = "b" }, '["a","b"]' },
    }
    for i, case in ipairs(cases) do
      it(("writes case %d: %s"):format(i, case[2]), function()
        assert.equal(case[2], json.encode(case[1]))
      end)
    end

    it("writes lists that were filled in any order", function()
      local backwards, odd_first = {}, {}
      for i = 20, 1, -1 do backwards[i] = i end
      for i = 1, 19, 2 do odd_first[i] = i end
      for i = 2, 20, 2 do odd_first[i] = i end
      local expected = "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]"

      assert.equal(expected, json.encode(backwards))
      assert.equal(expected, json.encode(odd_first))
    end)

    it("reads no metatable but the array's", function()
      local strange = setmetatable({ a = 1 }, {
        __index = error, __pairs = error, __len = error, __tostring = error,
      })

      assert.equal('{"a":1}', json.encode(strange))
    end)

    it("takes 200 levels and no more", function()
      assert.equal(nested(199):gsub("%]", "{}]", 1), json.encode(chain(200)))
      assert.error_matches(function() json.encode(chain(201)) end,
        "more than 200 levels at %[1%]%[1%]")
    end)

    it("stays whole after an error", function()
      pcall(json.encode, { "a", print })

      assert.equal("[1]", json.encode { 1 })
    end)
  end)

  describe("encode() raises", function()
    local looped = { a = { b = {} } }
    looped.a.b.c = looped.a
    local ring = {}
    local last = ring
    for _ = 2, 200 do
      last.next = {}
      last = last.next
    end
    last.next = ring

    local cases = {
      { "a function", print, "a function$" },
      { "a function inside", { users = { { name = "a" }, { name = print } } },
        "a function at users%[2%]%.name$" },
      { "a userdata", { file = io.stdout }, "a userdata at file$" },
      { "a coroutine", { coroutine.create(print) }, "a thread at %[1%]$" },
      { "a mixed table", { x = { 1, 2, a = 3 } }, "a list with other keys than indices at x$" },
      { "a name in an array", array { a = 1 }, "a list with other keys than indices$" },
      { "holes", { x = { 1, nil, 3 } }, "a list with holes at x$" },
      { "a list without its start", { x = { [5] = 1 } }, "a list with holes at x$" },
      { "a sparse list", { [1] = 1, [1 << 40] = 2 }, "a list with holes$" },
      { "an index of 0", { [0] = 1 }, "a list with an index below 1$" },
      { "a boolean key", { x = { [true] = 1 } }, "a table with a boolean as key at x$" },
      { "a float key", { [1.5] = 1 }, "a table with a float as key$" },
      { "a table as key", { [{}] = 1 }, "a table with a key that is no string$" },
      { "a cycle", looped, "a cycle at a%.b%.c$" },
      { "a long cycle", ring, "a cycle at next%.next%." },
      { "NaN", { x = 0 / 0 }, "a NaN at x$" },
      { "infinity", { x = { math.huge } }, "an infinite number at x%[1%]$" },
      { "minus infinity", -math.huge, "an infinite number$" },
      { "invalid UTF-8", { x = "\xFF" }, "a string that is not UTF%-8 at x$" },
      { "a surrogate", "\xED\xA0\x80", "a string that is not UTF%-8$" },
      { "invalid UTF-8 in a name", { ["\xFFa"] = 1 },
        'a string that is not UTF%-8 at %["\\255a"%]$' },
      { "below odd names", { ["a b"] = { ["1"] = print } }, 'a function at %["a b"%]%["1"%]$' },
      { "below a name with a line end", { ["a\nb"] = print }, 'a function at %["a\\10b"%]$' },
      { "below a long name", { [("x"):rep(1000)] = print }, 'a function at %["x+%.%.%."%]$' },
    }
    for _, case in ipairs(cases) do
      it("and names the place of " .. case[1], function()
        assert.error_matches(function() json.encode(case[2]) end, "cannot encode JSON: " .. case[3])
      end)
    end

    it("when nothing is given", function()
      assert.has_error(function() json.encode() end)
    end)
  end)

  describe("a round trip", function()
    it("keeps random values", function()
      math.randomseed(20)
      for _ = 1, 300 do
        local value = random_value(4)
        assert.is_true(values.same(value, json.decode(json.encode(value))))
      end
    end)

    it("keeps every float, and shows that it is one", function()
      math.randomseed(21)
      for i = 1, 20000 do
        local value = values.float()
        if i % 2 == 0 then value = math.random(-10 ^ 9 // 1 | 0,
          10 ^ 9 // 1 | 0) / 10 ^ math.random(0, 12) end
        local text = json.encode(value)
        assert.is_true(values.same(value, json.decode(text)))
        assert.matches("[.e]", text)
      end
    end)

    it("keeps every integer", function()
      math.randomseed(22)
      for _ = 1, 20000 do
        local value = values.integer()
        assert.is_true(values.same(value, json.decode(json.encode(value))))
      end
    end)

    it("keeps every character", function()
      local chars = {}
      for code = 0, 0x10FFFF, 7 do
        if code < 0xD800 or code > 0xDFFF then chars[#chars + 1] = utf8.char(code) end
      end
      local text = table.concat(chars)

      assert.is_true(text == json.decode(json.encode(text)))
    end)

    it("reads floats as Lua does", function()
      math.randomseed(23)
      for _ = 1, 20000 do
        local text = ("%d.%de%d"):format(math.random(0, 10 ^ math.random(0, 15) // 1 | 0),
          math.random(0, 10 ^ math.random(0, 15) // 1 | 0), math.random(-340, 280))
        assert.is_true(values.same(tonumber(text), json.decode(text)))
      end
    end)
  end)

  describe("array()", function()
    it("makes an empty array, or an array of its argument", function()
      local t = { 1 }

      assert.equal(json.array_mt, getmetatable(array()))
      assert.equal(t, array(t))
      assert.is_true(json.is_array(t))
    end)

    it("takes a table and nothing else", function()
      assert.has_error(function() array(1) end)
    end)
  end)

  describe("is_array()", function()
    it("tells arrays by their metatable", function()
      assert.is_true(json.is_array(array()))
      assert.is_false(json.is_array {})
      assert.is_false(json.is_array { 1 })
      assert.is_false(json.is_array(setmetatable({}, {})))
      assert.is_false(json.is_array "a")
      assert.is_false(json.is_array(nil))
    end)
  end)
end)
