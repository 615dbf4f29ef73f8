--- Plain: what stands in for the worker's C modules when plain Lua loads luaqueduct.
--
-- Routers, responses, JSON and packing work there as they do in a worker, so
-- that handlers can be tested without one. Records of the log go to standard
-- error, from level info on: that is all the I/O there is.
-- Failure: what waits or asks for the worker raises, and says what is missing.

local fields = require "luaqueduct.core.fields"
local place = require "luaqueduct.place"

local LEVELS = { debug = 1, info = 2, warn = 3, error = 4 }

local function raise(what)
  place.raise("%s needs the runtime: this works in an app that `luaqueduct serve` runs; in plain "
    .. "Lua there are routers, responses, JSON, packing and the log", what)
end

--- A function that raises.
local function missing(what)
  return function() raise(what) end
end

local log = {}

function log.enabled(level)
  return assert(LEVELS[level], "no level") > LEVELS.debug
end

function log.write(level, message, record_fields, name)
  if not log.enabled(level) then return end

  local text = tostring(message)
  if name then text = name .. ": " .. text end
  if record_fields then text = text .. " " .. fields.render(record_fields) end
  io.stderr:write(("%-5s %s\n"):format(level, text))
end

local instance_mt = {}

function instance_mt.__index(_, name)
  raise(("aq.instance.%s"):format(name))
end

local modules = {
  ["luaqueduct.core.dispatch"] = { response_mt = function() end },
  ["luaqueduct.core.instance"] = setmetatable({}, instance_mt),
  ["luaqueduct.core.log"] = log,
  ["luaqueduct.core.task"] = {
    current = missing "waiting for other functions",
    now = missing "aq.now",
    sleep = missing "aq.sleep",
    spawn = missing "starting a task",
    time = missing "aq.time",
  },
}

local m = {}

--- Puts them where `require` finds them, unless this is a worker.
function m.install()
  if package.preload["luaqueduct.core.task"] then return end
  for name, module in pairs(modules) do
    package.loaded[name] = package.loaded[name] or module
  end
end

return m
