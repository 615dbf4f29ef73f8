--- Log: records of the app, with a level and fields.
--
-- The records go to the logging thread: no I/O here, never waits.
-- Failure: fields that are no table are a bug in the caller and raise; what
-- cannot be written as a value is written by its type.

local core = require "luaqueduct.core.log"
local place = require "luaqueduct.place"

local LEVELS = { "debug", "info", "warn", "error" }

local m = {}

--- One function a level; nothing is formatted while the level is off.
local function new(name)
  local logger = {}

  for _, level in ipairs(LEVELS) do logger[level] = core.writer(level, logger, name) end
  return logger
end

--- A logger whose records carry a name.
---@param name string
---@return luaqueduct.Logger
function m.logger(name)
  if type(name) ~= "string" or name == "" then
    place.raise("the name of a logger must be a non-empty string")
  end
  return new(name)
end

--- What `print` does in a worker: a record of level info.
---@param ... any
function m.print(...)
  if not core.enabled "info" then return end

  local parts = table.pack(...)
  for i = 1, parts.n do parts[i] = tostring(parts[i]) end
  m.log.info(table.concat(parts, "\t"))
end

---@type luaqueduct.Logger
m.log = new(nil)

return m
