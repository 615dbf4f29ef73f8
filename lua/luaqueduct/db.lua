--- Databases: PostgreSQL through a pool of connections.
--
-- What asks the server suspends the task until the answer is there; opening
-- does not wait.
-- Failure: what the server or the network refuses is nil and an error; wrong
-- arguments and options raise with the caller's place.

local core = require "luaqueduct.core.db"
local place = require "luaqueduct.place"

local m = {}

-- ---- options --------------------------------------------------------------------------------

local function is_seconds(value)
  return math.type(value) and value > 0 and value <= 1e9
end

local function is_count(most)
  return function(value) return math.type(value) == "integer" and value >= 1 and value <= most end
end

local function is_boolean(value)
  return type(value) == "boolean"
end

-- What each option is unless given, whether a value will do, and what it must be.
local OPTIONS = {
  url = { nil, function(value) return type(value) == "string" end, "a string" },
  size = { 4, is_count(1000), "an integer from 1 to 1000" },
  shared = { false, is_boolean, "a boolean" },
  query_timeout = { 30, is_seconds, "seconds, more than 0" },
  acquire_timeout = { 5, is_seconds, "seconds, more than 0" },
  connect_timeout = { 5, is_seconds, "seconds, more than 0" },
  max_waiting = { 10000, is_count(1 << 30), "an integer from 1 on" },
  prepare = { true, is_boolean, "a boolean" },
  statement_cache = { 256, is_count(1 << 20), "an integer from 1 on" },
  null = { false, is_boolean, "a boolean" },
}

local function check_names(options)
  for name in pairs(options) do
    if not OPTIONS[name] then
      local names = {}
      for other in pairs(OPTIONS) do names[#names + 1] = other end
      table.sort(names)
      place.raise("unknown option %s of aq.db.open; known are %s", tostring(name),
        table.concat(names, ", "))
    end
  end
end

local function read_options(options)
  if type(options) ~= "table" then
    place.raise("the options of aq.db.open must be a table, not a %s", type(options))
  end
  check_names(options)
  local result = {}
  for name, rule in pairs(OPTIONS) do
    local value = options[name]
    if value == nil then value = rule[1] end
    if not rule[2](value) then
      place.raise("option %s of aq.db.open must be %s", name, rule[3])
    end
    result[name] = value
  end
  return result
end

-- ---- opening --------------------------------------------------------------------------------

--- Opens a database: connects when there is something to ask.
---@param options luaqueduct.DatabaseOptions
---@return luaqueduct.Database
function m.open(options)
  local checked = read_options(options)
  local ok, result = pcall(core.open, checked)

  if not ok then place.raise("aq.db.open: %s", result) end
  return result
end

return m
