--- WebSocket: the controller that turns a request into a WebSocket.
--
-- Never waits; what it returns is a controller (`handle`), which does.
-- Failure: an unknown option or a bad value raises with the caller's file and line.

local core = require "luaqueduct.core.websocket"
local live = require "luaqueduct.live"
local place = require "luaqueduct.place"

local m = {}

local function list_of(name, value)
  if value == nil then return nil end
  if type(value) ~= "table" or #value == 0 then
    place.raise("the option '%s' must be a list of strings", name)
  end
  for _, item in ipairs(value) do
    if type(item) ~= "string" then
      place.raise("the option '%s' must be a list of strings, not of a %s", name, type(item))
    end
  end
  return value
end

--- true, false or { context_takeover =, window_bits = }.
local function read_deflate(into, value)
  if value == nil then value = true end
  local options = type(value) == "table" and value or {}
  into.deflate = value and true or false
  into.context_takeover = options.context_takeover or false
  into.window_bits = options.window_bits or 15
  if type(value) ~= "table" and type(value) ~= "boolean" then
    place.raise("the option 'deflate' is true, false or "
      .. "{ context_takeover = true, window_bits = 15 }, not a %s", type(value))
  end
  local bits = math.tointeger(into.window_bits)
  if not bits or bits < 9 or bits > 15 then
    place.raise("deflate.window_bits are from 9 to 15, not %s", tostring(into.window_bits))
  end
  for name in pairs(options) do
    if name ~= "context_takeover" and name ~= "window_bits" then
      place.raise("unknown option 'deflate.%s'; known are context_takeover, window_bits",
        tostring(name))
    end
  end
end

local extra = {
  ping_interval = function(into, value)
    into.quiet = live.seconds("ping_interval", value)
  end,
  deflate = read_deflate,
  protocols = function(into, value) into.protocols = list_of("protocols", value) end,
  origins = function(into, value) into.origins = list_of("origins", value) end,
}

local Controller = {}
Controller.__index = Controller

--- Answers the request: it becomes a WebSocket, or is refused.
function Controller:handle(req)
  return self._handle(req)
end

--- Figures of this worker: open, opened, received, sent, slow.
function Controller:stats()
  return core.stats(self._spec)
end

--- A controller for WebSockets.
---@param options luaqueduct.WebSocketOptions
---@return luaqueduct.WebSocketController
function m.websocket(options)
  local normal = live.options(options, { quiet = 30 }, extra)
  if normal.deflate == nil then read_deflate(normal, nil) end
  local handle, spec = core.new(normal)

  return setmetatable({ _handle = handle, _spec = spec }, Controller)
end

return m
