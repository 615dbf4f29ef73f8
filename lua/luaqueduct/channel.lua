--- Channels: what an app script returns, and the moments of its life.
--
-- Pure: no I/O, never waits.
-- Failure: a script that returns something else raises with a message that
-- says what it may return.

local link = require "luaqueduct.link"
local place = require "luaqueduct.place"
local router = require "luaqueduct.router"

local MOMENTS = { "initialize", "prepare", "entry_point", "ready", "close", "on_error" }

local mt = { __name = "luaqueduct.Channel" }

function mt.__tostring()
  return "luaqueduct.Channel"
end

local m = {}

--- The functions of a channel that the runtime calls.
m.moments = MOMENTS

--- A channel to be filled with functions.
---@return luaqueduct.Channel
function m.new()
  return setmetatable({}, mt)
end

local function is_channel(value)
  return type(value) == "table" and
    (getmetatable(value) == mt or type(value.entry_point) == "function")
end

local function check_moments(app, script)
  for _, name in ipairs(MOMENTS) do
    local fn = app[name]
    if fn ~= nil and type(fn) ~= "function" then
      error(("%s: the channel's %s is a %s; a function is needed"):format(script, name,
        type(fn)), 0)
    end
  end
  if not app.entry_point then
    error(script .. ": the channel has no entry_point; " ..
      "define `function App:entry_point()` and return a router from it", 0)
  end
  return app
end

--- Whether an entry point may return it.
local function is_entry(value)
  return router.is_router(value) or link.as_function(value) ~= nil
end

local function described(count, value)
  if count == 0 then return "nothing (is the `return` at its end missing?)" end
  return "a " .. type(value)
end

--- The channel for what a script has returned: itself, or one around a router or controller.
---@param script string for messages
---@param ... any what it has returned
---@return luaqueduct.Channel
function m.from(script, ...)
  local value = ...

  if is_channel(value) then return check_moments(value, script) end
  if is_entry(value) then
    local app = m.new()
    app.entry_point = function() return value end
    return app
  end
  return error(("%s must return a channel (aq.channel()), a router (aq.router()) or a controller "
    .. "(a function, or a table with `handle`); it returned %s")
    :format(script, described(select("#", ...), value)), 0)
end

--- Calls the entry point and compiles what it returns. Suspends the task where the entry point
--- does.
---@param app luaqueduct.Channel
---@return luaqueduct.Compiled
function m.compile(app)
  local entry = app:entry_point()

  if router.is_router(entry) then return router.compile(entry) end
  if not is_entry(entry) then
    error(("%s: entry_point must return a router or a controller (a function, or a table with "
      .. "`handle`); it returned %s"):format(place.of_function(app.entry_point),
      entry == nil and "nothing" or "a " .. type(entry)), 0)
  end
  return router.compile(router.new():fallback(entry))
end

return m
