--- Log: records of the app, with a level and fields.
--
-- The records go to the logging thread: no I/O here, never waits.
-- Failure: fields that are no table are a bug in the caller and raise; what
-- cannot be written as a value is written by its type.

local core = require "luaqueduct.core.log"
local json = require "luaqueduct.core.json"
local place = require "luaqueduct.place"

local LEVELS = { "debug", "info", "warn", "error" }
local ESCAPES = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ['"'] = '\\"', ["\\"] = "\\\\" }

local m = {}

local function escape(byte)
  return ESCAPES[byte] or ("\\x%02X"):format(byte:byte())
end

--- A value behind `key=`: bare when it is one word, else in quotes.
local function text_of(value)
  if type(value) == "table" and not getmetatable(value) then
    local is_json, encoded = pcall(json.encode, value)
    if is_json then return encoded end
  end

  local ok, text = pcall(tostring, value)
  if not ok then return type(value) end
  if text ~= "" and not text:find '[%c%s"=\\]' then return text end
  return '"' .. text:gsub('[%c"\\]', escape) .. '"'
end

local function by_name(a, b)
  return tostring(a) < tostring(b)
end

local function append_fields(parts, fields)
  local keys = {}

  for key in pairs(fields) do keys[#keys + 1] = key end
  table.sort(keys, by_name)
  for _, key in ipairs(keys) do
    parts[#parts + 1] = tostring(key) .. "=" .. text_of(fields[key])
  end
end

local function check_arguments(logger, message, fields)
  if message == logger then place.raise("call the logger with a dot: log.info(…)") end
  if fields ~= nil and type(fields) ~= "table" then
    place.raise("the fields of a record must be a table, not a %s", type(fields))
  end
end

--- One function a level; nothing is formatted while the level is off.
local function writer(logger, level, prefix)
  return function(message, fields)
    check_arguments(logger, message, fields)
    if not core.enabled(level) then return end
    if not fields then return core.write(level, prefix .. tostring(message)) end

    local parts = { prefix .. tostring(message) }
    append_fields(parts, fields)
    core.write(level, table.concat(parts, " "))
  end
end

local function new(prefix)
  local logger = {}

  for _, level in ipairs(LEVELS) do logger[level] = writer(logger, level, prefix) end
  return logger
end

--- A logger whose records carry a name.
---@param name string
---@return luaqueduct.Logger
function m.logger(name)
  if type(name) ~= "string" or name == "" then
    place.raise("the name of a logger must be a non-empty string")
  end
  return new(name .. ": ")
end

--- What `print` does in a worker: a record of level info.
---@param ... any
function m.print(...)
  if not core.enabled "info" then return end

  local parts = table.pack(...)
  for i = 1, parts.n do parts[i] = tostring(parts[i]) end
  core.write("info", table.concat(parts, "\t"))
end

---@type luaqueduct.Logger
m.log = new ""

return m
