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

local function check_record(logger, message, list)
  if rawequal(message, logger) then place.raise("call the logger with a dot: log.info(…)") end
  if list ~= nil and type(list) ~= "table" then
    place.raise("the fields of a record must be a table, not a %s", type(list))
  end
end

--- core.log on top of `write(level, message, fields, name)` and `enabled(level)`.
local function log_of(write, enabled)
  local function writer(level, logger, name)
    return function(message, list)
      check_record(logger, message, list)
      if enabled(level) then write(level, message, list, name) end
    end
  end

  return { enabled = enabled, writer = writer }
end

local function is_enabled(level)
  return assert(LEVELS[level], "no level") > LEVELS.debug
end

local function write_line(level, message, list, name)
  local text = tostring(message)
  if name then text = name .. ": " .. text end
  if list then text = text .. " " .. fields.render(list) end
  io.stderr:write(("%-5s %s\n"):format(level, text))
end

local instance_mt = {}

function instance_mt.__index(_, name)
  raise(("aq.instance.%s"):format(name))
end

local modules = {
  ["luaqueduct.core.dispatch"] = { response_mt = function() end },
  ["luaqueduct.core.hub"] = {
    publish = missing "aq.hub.publish",
    send = missing "aq.hub.send",
    stats = missing "aq.hub.stats",
    subscribe = missing "aq.hub.subscribe",
  },
  ["luaqueduct.core.service"] = {
    call = missing "a service",
    cast = missing "a service",
    declare = missing "options:service",
    knows = missing "aq.service",
    path = missing "a service",
    serve = missing "a service",
  },
  ["luaqueduct.core.db"] = { open = missing "aq.db.open" },
  ["luaqueduct.core.instance"] = setmetatable({}, instance_mt),
  ["luaqueduct.core.log"] = log_of(write_line, is_enabled),
  ["luaqueduct.core.task"] = {
    current = missing "waiting for other functions",
    now = missing "aq.now",
    sleep = missing "aq.sleep",
    spawn = missing "starting a task",
    time = missing "aq.time",
  },
  ["luaqueduct.core.listen"] = { open = missing "aq.tcp.listen" },
  ["luaqueduct.core.tcp"] = { connect = missing "aq.tcp.connect" },
  ["luaqueduct.core.websocket"] = { new = missing "aq.websocket" },
}

local m = { log_of = log_of }

--- Puts them where `require` finds them, unless this is a worker.
function m.install()
  if package.preload["luaqueduct.core.task"] then return end
  for name, module in pairs(modules) do
    package.loaded[name] = package.loaded[name] or module
  end
end

return m
