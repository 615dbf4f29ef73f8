--- Limits of a route: what C has to know before it reads the body.
--
-- Pure: no I/O, never waits.
-- Failure: an unknown name or a bad value raises with the caller's file and line.

local place = require "luaqueduct.place"

local UNITS = { [""] = 1, K = 1 << 10, M = 1 << 20, G = 1 << 30 }
local KNOWN = "body, body_timeout, request_timeout"
local MAX_SECONDS = 1e9

local m = {}

--- A size in bytes, or nil when it is none.
---@param value integer|string
---@return integer?
function m.size(value)
  if math.type(value) == "integer" then return value >= 0 and value or nil end
  if type(value) ~= "string" then return nil end

  local digits, unit = value:match "^(%d+)([KMG]?)$"
  local n = digits and #digits <= 18 and math.tointeger(tonumber(digits))
  if not n or n > math.maxinteger // UNITS[unit] then return nil end
  return n * UNITS[unit]
end

local function size(name, value)
  return m.size(value) or
    place.raise("the limit '%s' is %s; bytes or digits with K, M or G are needed", name,
      tostring(value))
end

local function seconds(name, value)
  if not math.type(value) or not (value >= 0 and value <= MAX_SECONDS) then
    place.raise("the limit '%s' is %s; seconds from 0 on are needed", name, tostring(value))
  end
  return value
end

local checks = { body = size, body_timeout = seconds, request_timeout = seconds }

--- Adds checked limits to those that stand.
---@param into table
---@param limits luaqueduct.Limits
function m.merge(into, limits)
  if type(limits) ~= "table" then
    place.raise("limits must be a table, not a %s; known are %s", type(limits), KNOWN)
  end
  for name, value in pairs(limits) do
    local check = checks[name] or
      place.raise("unknown limit '%s'; known are %s", tostring(name), KNOWN)
    into[name] = check(name, value)
  end
  return into
end

return m
