--- How a pattern of a route is written, through luaqueduct.core.router's check().

local router = require "luaqueduct.core.router"

local function message_of(pattern)
  local ok, message = pcall(router.check, pattern)

  assert.is_false(ok)
  return message
end

local function many_variables(count)
  local parts = {}

  for i = 1, count do parts[i] = "/:v" .. i end
  return table.concat(parts)
end

describe("http.syntax", function()
  for _, pattern in ipairs { "/", "/a", "/:a", "/:a_1(%d+)", "/*", "/a[/*]", "/a[/b[/:c]]",
    "/a[/]", "/v1/items:batch", "/Lua_(language)", "/:a([^/()]+)/b", "/:a(%(%d%))[/:b(]?)]", "/a//",
    "/:x(%))", "/caf\xC3\xA9" } do
    it(("takes %s"):format(pattern), function()
      assert.has_no_error(function() router.check(pattern) end)
    end)
  end

  for pattern, why in pairs {
    [""] = "begins with '/' (column 1",
    ["a"] = "begins with '/' (column 1",
    ["[/a]"] = "begins with '/' (column 1",
    ["/:"] = "a variable has a name of letters, digits and '_' (column 3 of '/:')",
    ["/:1"] = "a variable has a name of letters, digits and '_' (column 3",
    ["/:a.json"] = "a variable fills its segment (column 4",
    ["/:a?"] = "a variable fills its segment (column 4",
    ["/:a(%d)x"] = "a variable fills its segment (column 8",
    ["/:a(%d"] = "a constraint is not closed (column 4",
    ["/:a/:a"] = "this name is there already",
    ["/*.js"] = "'*' must be a segment of its own (column 2",
    ["/a*"] = "'*' must be a segment of its own (column 3",
    ["/*/a"] = "nothing can stand behind '*' (column 3",
    ["/*[/a]"] = "nothing can stand behind '*' (column 3",
    ["/a[b]"] = "an optional tail begins with '[/' (column 3",
    ["/a[/b"] = "an optional tail is not closed (column 6",
    ["/a]"] = "']' closes nothing (column 3",
    ["/a[/b]]"] = "']' closes nothing (column 7",
    ["/a[/b]/c"] = "nothing can stand behind an optional tail (column 7",
    ["/a[/b][/c]"] = "nothing can stand behind an optional tail (column 7",
    ["/[/a]"] = "an optional tail cannot stand behind a slash (column 2",
    ["/%zz"] = "'%' begins an escape such as %2F (column 2",
    ["/%00"] = "a pattern has no zero byte (column 2",
    ["/a\0"] = "a pattern has no zero byte (column 3",
    ["/a?b=1"] = "the query is no part of a pattern",
    ["/a#b"] = "'#' is written '%23' (column 3",
    [("/a"):rep(129)] = "at most 128 segments",
    [many_variables(33)] = "at most 32 variables",
    ["/" .. ("a"):rep(1024)] = "at most 1024 bytes",
  } do
    it(("refuses %s"):format(pattern:sub(1, 30):gsub("%z", "\\0")), function()
      assert.matches(why, message_of(pattern), 1, true)
    end)
  end

  it("raises without a place in front, which the caller knows better", function()
    assert.are.equal("a pattern begins with '/' (column 1 of 'a')", message_of "a")
  end)
end)
