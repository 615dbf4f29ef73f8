--- Many routes and hostile paths: the tree against a slow matcher, and its cost.

local oracle = require "spec.support.route_oracle"
local router = require "luaqueduct.core.router"
local scale = require "spec.support.scale"

--- The tag found for GET, or the kind.
local function found(r, path)
  local kind, tag = r:match("GET", path)

  return tag or kind
end

describe("http.tree", function()
  describe("hostile paths", function()
    --- Seconds of the processor that `count` matches take.
    local function seconds(r, path, count)
      local start = os.clock()

      for _ = 1, count do r:match("GET", path) end
      return os.clock() - start
    end

    it("cost no more than the routes, however many ways there are", function()
      local r = router.new()
      for depth = 1, 9 do
        for bits = 0, (1 << depth) - 1 do
          local parts = {}
          for i = 1, depth do parts[i] = bits >> (i - 1) & 1 == 0 and "a" or ":v" .. i end
          assert(r:add("GET", "/" .. table.concat(parts, "/") .. "/end", bits))
        end
      end

      assert.are.equal("none", found(r, ("/a"):rep(9) .. "/no"))
      assert.is_true(seconds(r, ("/a"):rep(9) .. "/no", 100) < 2)
      assert.is_true(seconds(r, ("/a"):rep(16000), 100) < 2)
    end)

    it("with very many slashes are matched at once", function()
      local r = router.new()
      assert(r:add("GET", "/a/b", 1))
      assert(r:add("GET", "/*", 2))

      assert.are.same({ ["*"] = ("/"):rep(30000) },
        (select(3, r:match("GET", ("/"):rep(30001)))))
      assert.is_true(seconds(r, ("/"):rep(30001), 1000) < 2)
    end)

    it("find nothing when they would cost more than the budget", function()
      local r = router.new()
      for i = 1, 60 do assert(r:add("GET", ("/:x(.*%s)/r%d"):format(("a?"):rep(i), i), i)) end
      assert(r:add("GET", "/*", 99))
      local long = "/" .. ("a"):rep(30000) .. "/none"

      assert.are.equal("none", found(r, long))
      assert.is_true(seconds(r, long, 20) < 2)
      assert.are.equal(99, found(r, "/a/none"))
    end)
  end)

  it("finds each of 2,000 literals", function()
    local r = router.new()

    for i = 1, 2000 do assert(r:add("GET", ("/r%d/x"):format(i), i)) end

    for i = 1, 2000 do assert.are.equal(i, found(r, ("/r%d/x"):format(i))) end
    assert.are.equal("none", found(r, "/r2001/x"))
  end)

  it("agrees with a slow matcher about random tables", function()
    local SEGMENTS = { "a", "b", "ab", "", "a%62", ":v", ":v", ":v(%d+)", ":v(%a+)", ":v([ab]+)",
      ":v(a?b-%d*)" }
    local GIVEN = { "a", "b", "ab", "", "1", "12", "a1", "%61", "a%62", "%2F", "b%31", "-" }
    local METHODS = { "GET", "GET", "POST", "HEAD", "OPTIONS", "DELETE" }
    local kinds = {}
    local function any(list) return list[math.random(#list)] end

    local function pattern()
      local text, close, depth = "", "", math.random(0, 4)

      for i = 1, depth do
        local part = any(SEGMENTS):gsub("^:v", ":v" .. i)
        if text ~= "" and text:sub(-1) ~= "/" and math.random(4) == 1 then
          text, close = text .. "[", close .. "]"
        end
        text = text .. "/" .. part
      end
      if depth == 0 or math.random(8) == 1 then
        local opens = text ~= "" and text:sub(-1) ~= "/" and math.random(2) == 1
        text = text .. (opens and "[/*]" or "/*")
      end
      return text .. close
    end

    local function path()
      local parts = {}

      for i = 1, math.random(1, 5) do parts[i] = any(GIVEN) end
      return "/" .. table.concat(parts, "/") .. (math.random(50) == 1 and "%4" or "")
    end

    math.randomseed(23)
    for _ = 1, scale(400) do
      local quick, slow, declared = router.new(), oracle.new(), {}
      for tag = 1, math.random(1, 14) do
        local method, text = math.random(6) == 1 and "ANY" or any(METHODS), pattern()
        declared[tag] = method .. " " .. text
        assert.are.same({ slow:add(method, text, tag) }, { quick:add(method, text, tag) }, text)
      end
      for _ = 1, 25 do
        local method, given = any(METHODS), path()
        local expected = { slow:match(method, given) }
        assert.are.same(expected, { quick:match(method, given) },
          method .. " " .. given .. "\n" .. table.concat(declared, "\n"))
        kinds[expected[1]] = (kinds[expected[1]] or 0) + 1
      end
    end

    for _, kind in ipairs { "found", "none", "method", "options", "bad_path" } do
      assert.is_true((kinds[kind] or 0) > 0, kind .. " never came up")
    end
  end)
end)
