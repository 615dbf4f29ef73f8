--- Live: the options that WebSockets and TCP listeners have in common.
--
-- Pure: no I/O, never waits.
-- Failure: an unknown option or a bad value raises with the caller's file and line.

local limits = require "luaqueduct.limits"
local place = require "luaqueduct.place"

local CALLBACKS = { open = true, message = true, drain = true, close = true }
local SIZES = { max_message = true, max_buffered = true }
local MAX_SECONDS = 1e9
local MAX_SIZE = 1 << 31

local m = {}

--- Seconds from 0 on.
function m.seconds(name, value)
  if not math.type(value) or not (value >= 0 and value <= MAX_SECONDS) then
    place.raise("the option '%s' is %s; seconds from 0 on are needed", name, tostring(value))
  end
  return value
end

local function size(name, value)
  local n = limits.size(value)
  if not n or n < 1 or n > MAX_SIZE then
    place.raise("the option '%s' is %s; bytes or digits with K, M or G are needed, at most 2G",
      name, tostring(value))
  end
  return n
end

local function callback(name, value)
  if type(value) ~= "function" then
    place.raise("the option '%s' must be a function, not a %s", name, type(value))
  end
  return value
end

local function known(extra)
  local names = {}
  for _, set in ipairs { CALLBACKS, SIZES, extra } do
    for name in pairs(set) do names[#names + 1] = name end
  end
  table.sort(names)
  return table.concat(names, ", ")
end

--- The options, checked, over what stands in `normal`.
---@param options table
---@param normal table
---@param extra table<string, fun(into: table, value: any)> # options of one kind
function m.options(options, normal, extra)
  if type(options) ~= "table" then
    place.raise("the options must be a table, not a %s", type(options))
  end
  normal.max_message = 1 << 20
  normal.max_buffered = 1 << 20
  for name, value in pairs(options) do
    if CALLBACKS[name] then
      normal[name] = callback(name, value)
    elseif SIZES[name] then
      normal[name] = size(name, value)
    elseif extra[name] then
      extra[name](normal, value)
    else
      place.raise("unknown option '%s'; known are %s", tostring(name), known(extra))
    end
  end
  return normal
end

return m
