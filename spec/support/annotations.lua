--- Reads LuaCATS annotations, as far as the project's own files use them.
--
-- Pure but for reading the file.
-- Failure: raises with file and line for a tag that it does not know, so that
-- nothing is passed over.

local annotations = {}

---@class spec.Annotation what a @param, @field or @return says
---@field name? string
---@field optional boolean
---@field type string
---@field text string

---@class spec.AnnotatedFunction
---@field name string
---@field args string[] as written in the code
---@field is_method boolean
---@field params spec.Annotation[]
---@field returns spec.Annotation[]
---@field text string its description
---@field line integer

---@class spec.AnnotatedClass
---@field name string
---@field parent? string
---@field text string
---@field fields table<string, spec.Annotation>
---@field functions table<string, spec.AnnotatedFunction>
---@field place string

-- Tags that say nothing about names and types.
local PLAIN_TAGS = { async = true, generic = true, nodiscard = true }

-- ---- pieces of a line -----------------------------------------------------------------------

--- Whether a blank behind `text` is inside the type: brackets are open, or more has to come.
local function goes_on(text)
  local _, open = text:gsub("[%(<{%[]", "")
  local _, shut = text:gsub("[%)>}%]]", "")

  return open > shut or text:find "[:,|]$" or text:find "%f[%w]async$"
end

--- Splits "fun(a: integer): string what it is" behind the type.
local function split_type(text)
  local position = 1

  repeat
    local blank = text:find("%s", position)
    if not blank then return text, "" end
    position = blank + 1
  until not goes_on(text:sub(1, blank - 1))
  return text:sub(1, position - 2), text:sub(position)
end

local function named(text)
  local name, mark, rest = text:match "^([%w_.]+)(%??)%s+(.+)$"
  local kind, description = split_type(rest)

  return { name = name, optional = mark == "?", type = kind, text = description }
end

local function returned(text)
  local kind, description = split_type(text)

  return { optional = kind:find "%?$" ~= nil, type = kind, text = description }
end

-- ---- a file ---------------------------------------------------------------------------------

local function new_block()
  return { fields = {}, params = {}, returns = {}, text = {} }
end

local readers = {
  alias = function(file, block, text)
    local name, kind = text:match "^(%S+)%s+(.+)$"
    file.aliases[name] = { type = kind, text = table.concat(block.text, " "), place = file.place }
  end,
  class = function(file, block, text)
    local name, colon, rest = text:match "^([%w_.]+)(:?)%s*(.*)$"
    local parent
    if colon ~= "" then parent, rest = rest:match "^(%S+)%s*(.*)$" end
    table.insert(block.text, rest ~= "" and rest or nil)
    block.class = {
      name = name, parent = parent, text = table.concat(block.text, " "),
      fields = block.fields, functions = {}, place = file.place,
    }
    table.insert(file.classes, block.class)
  end,
  field = function(_, block, text)
    local field = named(text)
    block.fields[field.name] = field
  end,
  meta = function(file, _, text) file.meta = text end,
  param = function(_, block, text) table.insert(block.params, named(text)) end,
  ["return"] = function(_, block, text) table.insert(block.returns, returned(text)) end,
  type = function() end,
}

local function read_comment(file, block, line)
  local tag, rest = line:match "^%-%-%-@(%a+)%s*(.*)$"

  if not tag then
    table.insert(block.text, (line:match "^%-%-%-?%s?(.*)$"))
  elseif readers[tag] then
    readers[tag](file, block, rest)
  elseif not PLAIN_TAGS[tag] then
    error(("%s: unknown tag @%s"):format(file.place, tag), 0)
  end
end

local function read_function(file, block, line, number)
  local owner, mark, name, args = line:match "^function ([%w_]+)([.:])([%w_]+)%((.-)%)"

  if not owner then return end
  local fn = {
    name = name, args = {}, is_method = mark == ":", line = number, params = block.params,
    returns = block.returns, text = table.concat(block.text, " "),
  }
  for arg in args:gmatch "[^%s,]+" do table.insert(fn.args, arg) end
  file.functions[number] = fn
  if file.variables[owner] then file.variables[owner].functions[name] = fn end
end

--- Everything a file declares.
---@param path string
---@return table { path, meta = module's name, classes = list, aliases = by name, functions = by
---  line, result = class of what it returns }
function annotations.read(path)
  local file = { path = path, classes = {}, aliases = {}, functions = {}, variables = {} }
  local block, number = new_block(), 0

  for line in io.lines(path) do
    number = number + 1
    file.place = path .. ":" .. number
    if line:find "^%-%-%-" or (line:find "^%-%- " and next(block.text)) then
      read_comment(file, block, line)
    else
      local variable = line:match "^local ([%w_]+) = "
      if variable and block.class then file.variables[variable] = block.class end
      read_function(file, block, line, number)
      local result = line:match "^return ([%w_]+)$"
      if result then file.result = file.variables[result] end
      block = new_block()
    end
  end
  return file
end

return annotations
