--- Constraints of variables, through the router: `/:x(constraint)`.

local router = require "luaqueduct.core.router"
local scale = require "spec.support.scale"
local url = require "luaqueduct.core.url"

local function compile(constraint)
  local r = router.new()

  assert(r:add("GET", "/:x(" .. constraint .. ")", 1))
  return r
end

local function encoded(text)
  return (text:gsub(".", function(c) return ("%%%02x"):format(c:byte()) end))
end

--- Whether the constraint takes the text, which is not empty.
local function matches(constraint, text)
  local r = compile(constraint)
  local plain = r:match("GET", "/" .. url.encode(text)) == "found"

  assert.are.equal(plain, r:match("GET", "/" .. encoded(text)) == "found")
  return plain
end

local function lua_matches(constraint, text)
  return text:find("^" .. constraint .. "$") ~= nil
end

local function message_of(constraint)
  local ok, message = pcall(router.check, "/:x(" .. constraint .. ")")

  assert.is_false(ok)
  return message
end

describe("http.pattern", function()
  it("is anchored at both ends", function()
    assert.is_true(matches("%d+", "123"))
    assert.is_false(matches("%d+", "a123"))
    assert.is_false(matches("%d+", "123a"))
  end)

  it("has Lua's character classes for every byte", function()
    for class in ("adlsuwxpcgADLSUWXPCG."):gmatch "." do
      local item = class == "." and "." or "%" .. class
      local r = compile(item)
      for byte = 1, 255 do
        local found = r:match("GET", ("/%%%02X"):format(byte)) == "found"
        assert.are.equal(lua_matches(item, string.char(byte)), found, item .. " " .. byte)
      end
    end
  end)

  it("has Lua's sets for every byte", function()
    for _, set in ipairs { "[abc]", "[^abc]", "[a-f0-9]", "[%d_]", "[^%s/]", "[]]", "[^]]", "[]-a]",
      "[a-]", "[-a]", "[%]%-%^]", "[a^]", "[+--]", "[%w.-]", "[%S]", "[^%S]", "[()]", "[.*]",
      "[\x80-\xFF]", "[[]", "[a%]]" } do
      local r = compile(set)
      for byte = 1, 255 do
        local found = r:match("GET", ("/%%%02X"):format(byte)) == "found"
        assert.are.equal(lua_matches(set, string.char(byte)), found, set .. " " .. byte)
      end
    end
  end)

  it("has the quantifiers * + - ?", function()
    assert.is_true(matches("ab*c", "ac"))
    assert.is_true(matches("ab*c", "abbbc"))
    assert.is_false(matches("ab+c", "ac"))
    assert.is_true(matches("ab-c", "abbc"))
    assert.is_true(matches("ab?c", "ac"))
    assert.is_false(matches("ab?c", "abbc"))
  end)

  it("finds a way where a greedy reading needs to step back", function()
    assert.is_true(matches("a*a*aab", "aaaab"))
    assert.is_true(matches("%d+%-?%d%d", "1234"))
    assert.is_false(matches("%d+%-?%d%d", "12"))
  end)

  it("takes escapes and quantifiers in front as characters, like Lua", function()
    assert.is_true(matches("%%", "%"))
    assert.is_true(matches("%(%)", "()"))
    assert.is_true(matches("*a", "*a"))
    assert.is_true(matches("%d+-%d+", "10-20"))
    assert.is_true(matches("%$", "$"))
  end)

  it("sees the decoded segment, an encoded slash in it too", function()
    assert.are.equal("found", (compile "a/b":match("GET", "/a%2Fb")))
    assert.are.equal("none", (compile "a/b":match("GET", "/a/b")))
  end)

  it("has up to 64 items", function()
    assert.is_true(matches(("%d"):rep(64), ("1"):rep(64)))
    assert.is_false(matches(("%d"):rep(64), ("1"):rep(63)))
    assert.is_false(matches(("%d"):rep(64), ("1"):rep(65)))
    assert.is_true(matches(("a?"):rep(64), ("a"):rep(64)))
    assert.is_false(matches(("a?"):rep(64), ("a"):rep(65)))
    assert.is_true(matches(("a*"):rep(63) .. "b+", ("a"):rep(99) .. "bbb"))
    assert.matches("at most 64 items", message_of(("%d"):rep(65)), 1, true)
  end)

  for constraint, why in pairs {
    [""] = "cannot be empty (column 5",
    ["a(b)"] = "no captures (column 6",
    ["()"] = "no captures (column 5",
    ["%1"] = "no captures (column 5",
    ["a%b()"] = "%b and %f do not exist in constraints (column 6",
    ["%f[a]"] = "%b and %f do not exist in constraints (column 5",
    ["[%q]"] = "no such character class (column 6",
    ["[a-%d]"] = "a range cannot end in a class (column 6",
    ["[z-a]"] = "this range is empty (column 6",
    ["^a"] = "anchored anyway; '^' is written '%^' (column 5",
    ["ab$"] = "anchored anyway; '$' is written '%$' (column 7",
    ["%%$"] = "anchored anyway; '$' is written '%$' (column 7",
    ["a[bc"] = "a constraint is not closed (column 4",
    ["a%"] = "a constraint is not closed (column 4",
  } do
    it(("refuses '%s' and says where"):format(constraint), function()
      assert.matches(why, message_of(constraint), 1, true)
    end)
  end

  it("answers in linear time where backtracking would take forever", function()
    local evil = compile(("a*"):rep(63) .. "b")
    local long = "/" .. ("a"):rep(30000)
    local start = os.clock()

    for _ = 1, 100 do assert.are.equal("none", (evil:match("GET", long))) end

    assert.is_true(os.clock() - start < 5)
  end)

  it("agrees with string.find about random constraints", function()
    local items = { "a", "b", "1", "-", ".", "%a", "%d", "%W", "%.", "%%", "[ab]", "[^a]", "[a-z1]",
      "[%d-]", "[^%w]", "[]a]" }
    local quantifiers = { "", "", "", "*", "+", "-", "?" }
    local bytes = { "a", "b", "1", "-", ".", "%", "\xFF" }
    local function any(list) return list[math.random(#list)] end
    local hits = 0

    math.randomseed(11)
    for _ = 1, scale(3000) do
      local parts, text = {}, {}
      for i = 1, math.random(1, 6) do parts[i] = any(items) .. any(quantifiers) end
      local constraint = table.concat(parts)
      for i = 1, math.random(1, 7) do text[i] = any(bytes) end
      text = table.concat(text)
      local expected = lua_matches(constraint, text)

      assert.are.equal(expected, matches(constraint, text), constraint .. " on " .. text)
      hits = hits + (expected and 1 or 0)
    end

    assert.is_true(hits > scale(3000) / 50, "the texts are too far from the constraints")
  end)
end)
