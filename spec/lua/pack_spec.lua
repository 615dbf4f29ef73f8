local json = require "luaqueduct.core.json"
local pack = require "luaqueduct.core.pack"
local values = require "spec.support.values"

local null = json.null

local function trip(value)
  local result, err = pack.unpack(pack.pack(value))
  assert.is_nil(err)
  return result
end

local function chain(levels)
  local t = {}
  for _ = 2, levels do t = { t } end
  return t
end

local function random_key()
  return values.one_of {
    function() return values.bytes(80) end,
    function() return math.random(2) == 1 end,
    function() return math.random(20) end,
    values.integer, values.float,
  }
end

local function random_value(depth)
  local makers = {
    function() return math.random(2) == 1 end,
    function() return null end,
    function() return values.bytes(300) end,
    values.integer, values.float,
  }
  if depth > 0 then
    makers[#makers + 1] = function()
      local t = {}
      for i = 1, math.random(0, 20) do t[i] = random_value(depth - 1) end
      for _ = 1, math.random(0, 20) do t[random_key()] = random_value(depth - 1) end
      return t
    end
  end
  return values.one_of(makers)
end

describe("luaqueduct.core.pack", function()
  describe("a round trip", function()
    local cases = {
      n = nil, yes = true, no = false, null = null, zero = 0, small = 127, larger = 128, minus = -1,
      int8 = -128, int16 = -129, int16_max = 32767, int32 = 32768, int32_min = -2147483648,
      int64 = 2147483648, int64_min = math.mininteger, int64_max = math.maxinteger,
      float = 0.1, integral = 1.0, minus_zero = -0.0, nan = 0 / 0, infinity = math.huge,
      minus_infinity = -math.huge, least = 5e-324, empty = "", nul = "\0",
      any_bytes = "\xFF\xFE\0a",
      s63 = ("x"):rep(63), s64 = ("x"):rep(64), s255 = ("x"):rep(255), s256 = ("x"):rep(256),
      s70000 = ("x"):rep(70000), table = {}, list = { 1, 2, 3 }, map = { a = 1 },
      mixed = { 1, 2, a = { b = {} } },
      holes = { 1, nil, 3, nil, 5 }, with_null = { null, null },
      booleans = { [true] = 1, [false] = 2 },
      floats = { [1.5] = 1, [-math.huge] = 2, [2 ^ 60] = 3 },
      integers = { [-1] = 1, [0] = 2, [1 << 50] = 3 },
      powers = { [1] = 1, [2] = 2, [4] = 4, [8] = 8, [1 << 40] = 5 },
    }
    for name, value in pairs(cases) do
      it("keeps " .. name, function()
        assert.is_true(values.same(value, trip(value)))
      end)
    end

    it("keeps nil", function()
      assert.is_nil(trip(nil))
    end)

    it("keeps long lists and large maps", function()
      local t = { list = {}, map = {} }
      for i = 1, 1000 do
        t.list[i] = i
        t.map["k" .. i] = i
      end

      assert.is_true(values.same(t, trip(t)))
    end)

    it("keeps random values", function()
      math.randomseed(30)
      for _ = 1, 300 do
        local value = random_value(4)
        assert.is_true(values.same(value, trip(value)))
      end
    end)

    it("makes two tables of one that is reached twice, and leaves metatables behind", function()
      local shared = setmetatable({ 1 }, { __index = error })
      local result = trip { a = shared, b = shared }

      assert.is_true(values.same({ a = { 1 }, b = { 1 } }, result))
      assert.not_equal(result.a, result.b)
      assert.is_nil(getmetatable(result.a))
      assert.is_nil(getmetatable(trip(json.array())))
    end)

    it("takes 32 levels", function()
      assert.is_true(values.same(chain(32), trip(chain(32))))
    end)

    it("takes 16 MiB", function()
      local largest = ("x"):rep(16 * 1024 * 1024 - 5)

      assert.is_true(largest == trip(largest))
    end)
  end)

  describe("pack() raises", function()
    local looped = { a = { b = {} } }
    looped.a.b.c = looped.a
    local doubling = {}
    for _ = 1, 30 do doubling = { doubling, doubling } end

    local cases = {
      { "a function", print, "a function$" },
      { "a function inside", { users = { { name = print } } }, "a function at users%[1%]%.name$" },
      { "a value below other keys", { [1.5] = { [true] = { [-3] = print } } },
        "a function at %[1%.5%]%[true%]%[%-3%]$" },
      { "a userdata", { x = io.stdout }, "a userdata at x$" },
      { "a coroutine", { coroutine.create(print) }, "a thread at %[1%]$" },
      { "a table as key", { x = { [{}] = 1 } }, "a table with a table as key at x$" },
      { "a function as key", { [print] = 1 }, "a table with a function as key$" },
      { "null as key", { [null] = 1 }, "a table with a userdata as key$" },
      { "a cycle", looped, "a cycle at a%.b%.c$" },
      { "33 levels", chain(33), "more than 32 levels at %[1%]" },
      { "a long string", { x = { ("x"):rep(16 * 1024 * 1024) } }, "more than 16 MiB at x%[1%]$" },
      { "a table that doubles itself", doubling, "more than 16 MiB at %[1%]" },
    }
    for _, case in ipairs(cases) do
      it("and names the place of " .. case[1], function()
        assert.error_matches(function() pack.pack(case[2]) end, "cannot pack: " .. case[3])
      end)
    end

    it("and works on", function()
      pcall(pack.pack, { "a", print })

      assert.is_true(values.same({ 1 }, trip { 1 }))
    end)
  end)

  describe("unpack()", function()
    it("refuses every part of packed bytes, and anything behind them", function()
      local bytes = pack.pack { 1, 1.5, "abc", -70000, { a = true, b = ("x"):rep(100) } }

      for i = 0, #bytes - 1 do
        local value, err = pack.unpack(bytes:sub(1, i))
        assert.is_nil(value)
        assert.equal("invalid", err.code)
      end
      assert.matches("wrong at byte", select(2, pack.unpack(bytes .. "\0")).message)
    end)

    it("refuses keys that no table can have, deep tables and false lengths", function()
      local nan = "\4" .. string.pack("<d", 0 / 0)
      local texts = {
        "\11\0\0\0" .. nan .. "\x81\0", "\11\0\0\0\11\0\0\0\0\x81\0", "\11\0\0\0\3\x81\0",
        "\11\0\0\0\x81\0\0",
        ("\11\0\0"):rep(33) .. ("\0\0"):rep(33), "\10\xFF\xFF\xFF\xFF", "\9\5abcd", "\12", "\x3F",
        "\11\xFF\xFF",
      }

      for _, text in ipairs(texts) do assert.equal("invalid", select(2, pack.unpack(text)).code) end
    end)

    it("refuses more than 16 MiB", function()
      assert.matches("16 MiB", select(2, pack.unpack(("\0"):rep(16 * 1024 * 1024 + 1))).message)
    end)

    it("survives random bytes", function()
      math.randomseed(31)
      for _ = 1, 20000 do pack.unpack(values.bytes(60)) end
    end)

    it("survives packed values with changed bytes", function()
      math.randomseed(32)
      for _ = 1, 200 do
        local bytes = pack.pack(random_value(4))
        for _ = 1, 50 do
          local at = math.random(#bytes)
          pack.unpack(bytes:sub(1, at - 1) .. values.bytes(3) .. bytes:sub(at + math.random(0, 2)))
        end
      end
    end)

    it("makes no more room than there are bytes", function()
      local before = collectgarbage "count"

      pack.unpack(("\11\xFF\xFF"):rep(30))
      assert.is_true(collectgarbage "count" - before < 64)
    end)

    it("takes a string and nothing else", function()
      assert.has_error(function() pack.unpack() end)
      assert.has_error(function() pack.unpack {} end)
    end)
  end)
end)
