--- Places: the file and line of the app's code that called into luaqueduct.
--
-- Pure: reads the stack of the running coroutine, no I/O, never waits.
-- Failure: where no such frame is left (a tail call), the place is "?".

local own_folder = debug.getinfo(1, "S").source:match "^(.*[/\\])" or "@"

local m = {}

--- Whether a stack frame is neither C nor one of luaqueduct's own files.
local function is_app_frame(info)
  return info.currentline > 0 and info.source:sub(1, #own_folder) ~= own_folder
end

local function name_of(info)
  return info.source:match "^@(.*)" or info.short_src
end

--- The nearest frame outside luaqueduct, as `file:line`.
---@return string
function m.caller()
  local level = 2
  local info = debug.getinfo(level, "Sl")

  while info do
    if is_app_frame(info) then return name_of(info) .. ":" .. info.currentline end
    level = level + 1
    info = debug.getinfo(level, "Sl")
  end
  return "?"
end

--- Where a function is defined, as `file:line`.
---@param fn function
---@return string
function m.of_function(fn)
  local info = debug.getinfo(fn, "S")

  return name_of(info) .. ":" .. math.max(info.linedefined, 0)
end

--- Raises an error that names the app's line, however deep inside luaqueduct it is found.
---@param format string
---@param ... any
function m.raise(format, ...)
  error(m.caller() .. ": " .. format:format(...), 0)
end

return m
