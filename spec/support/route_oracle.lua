--- What the router must answer, the slow way: every form of every pattern is
--- held against the path, and the most specific one that has the method wins.
--
-- Pure: no I/O. Patterns must be good; optional tails are told by brackets
-- outside of parentheses.

local oracle = {}
oracle.__index = oracle

local RANKS = { literal = 0, variable = 1 << 20, rest = 1 << 21 }

local function decode(text)
  return (text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

--- The texts of all forms: "/a[/b[/c]]" -> "/a", "/a/b", "/a/b/c".
local function forms_of(pattern)
  local forms, text = {}, ""
  local masked = pattern:gsub("%b()", function(s) return ("\0"):rep(#s) end)

  for i = 1, #pattern do
    local c = masked:sub(i, i)
    if c == "[" then
      forms[#forms + 1] = text
    elseif c ~= "]" then
      text = text .. pattern:sub(i, i)
    end
  end
  forms[#forms + 1] = text
  return forms
end

local function split(text)
  local list = {}

  for part in text:gmatch "/([^/]*)" do list[#list + 1] = part end
  return list
end

local function segment_of(text)
  local name, constraint = text:match "^:([%w_]+)%((.*)%)$"

  if name then return { kind = "constrained", name = name, constraint = constraint } end
  if text:sub(1, 1) == ":" then return { kind = "variable", name = text:sub(2) } end
  if text == "*" then return { kind = "rest", name = "*" } end
  return { kind = "literal", literal = decode(text) }
end

--- Numbers constraints by their first addition and writes down what two forms
--- have in common when only names differ.
local function read_form(self, text)
  local form, key = { segments = {} }, ""

  for i, part in ipairs(split(text)) do
    local segment = segment_of(part)
    key = key .. "/" .. segment.kind .. (segment.literal or segment.constraint or "")
    if segment.kind == "constrained" and not self.order[key] then
      self.count = self.count + 1
      self.order[key] = self.count
    end
    segment.rank = self.order[key] or RANKS[segment.kind]
    form.segments[i] = segment
  end
  form.key = key
  return form
end

function oracle.new()
  return setmetatable({ count = 0, forms = {}, order = {} }, oracle)
end

--- true, or nil and the tag of the route that is the same.
function oracle:add(method, pattern, tag)
  local new = {}

  for i, text in ipairs(forms_of(pattern)) do
    new[i] = read_form(self, text)
    new[i].method, new[i].tag = method, tag
    for _, other in ipairs(self.forms) do
      if other.key == new[i].key and other.method == method then return nil, other.tag end
    end
  end
  for _, form in ipairs(new) do self.forms[#self.forms + 1] = form end
  return true
end

local function takes(segment, given)
  if segment.kind == "literal" then return decode(given) == segment.literal end
  if given == "" then return false end
  return segment.kind == "variable" or decode(given):find("^" .. segment.constraint .. "$") ~= nil
end

--- The params, or nil when the form does not match.
local function match_form(form, given)
  local params = {}

  for i, segment in ipairs(form.segments) do
    if not given[i] then return nil end
    if segment.kind == "rest" then
      params["*"] = table.concat(given, "/", i)
      return params
    end
    if not takes(segment, given[i]) then return nil end
    if segment.name then params[segment.name] = decode(given[i]) end
  end
  return #given == #form.segments and params or nil
end

local function method_rank(form, method)
  if form.method == method then return 1 end
  if form.method == "GET" and method == "HEAD" then return 2 end
  return form.method == "ANY" and 3 or nil
end

local function is_better(a, b, method)
  if not b then return true end
  for i, segment in ipairs(a.segments) do
    if segment.rank ~= b.segments[i].rank then return segment.rank < b.segments[i].rank end
  end
  return method_rank(a, method) < method_rank(b, method)
end

local function is_bad(path)
  return path:gsub("%%%x%x", ""):find("%", 1, true) or path:find("%00", 1, true)
end

local function allow_list(set)
  local list = {}

  set.HEAD = set.HEAD or set.GET
  set.OPTIONS = true
  for _, name in ipairs { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" } do
    if set[name] then list[#list + 1] = name end
  end
  return list
end

--- kind, tag, params | methods: as luaqueduct.core.router's match.
function oracle:match(method, path)
  local best, best_params, others = nil, nil, {}
  local given = split(path)

  if is_bad(path) then return "bad_path" end
  for _, form in ipairs(self.forms) do
    local params = match_form(form, given)
    if params and not method_rank(form, method) then
      others[form.method] = true
    elseif params and is_better(form, best, method) then
      best, best_params = form, params
    end
  end
  if best then return "found", best.tag, best_params end
  if not next(others) then return "none" end
  return method == "OPTIONS" and "options" or "method", nil, allow_list(others)
end

return oracle
