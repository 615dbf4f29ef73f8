--- TCP: connections to others, and listeners for others.
--
-- `connect` waits; `listen` does not.
-- Failure: an unknown option or a bad value raises with the caller's file and line,
-- and so does a port that cannot be had; what fails from outside is `nil, err`.

local core = require "luaqueduct.core.tcp"
local core_listen = require "luaqueduct.core.listen"
local live = require "luaqueduct.live"
local place = require "luaqueduct.place"

local FRAMINGS = { raw = true, line = true, u8 = true, u16 = true, u32 = true }

local extra = {
  port = function(into, value)
    local port = math.tointeger(value)
    if not port or port < 0 or port > 65535 then
      place.raise("the option 'port' is %s; 0 (any free one) to 65535 is needed", tostring(value))
    end
    into.port = port
  end,
  address = function(into, value)
    if type(value) ~= "string" or value == "" then
      place.raise("the option 'address' must be an IP address, not a %s", type(value))
    end
    into.address = value == "localhost" and "127.0.0.1" or value
  end,
  framing = function(into, value)
    if not FRAMINGS[value] then
      place.raise("the option 'framing' is %s; it is raw, line, u8, u16 or u32", tostring(value))
    end
    into.framing = value
  end,
  idle_timeout = function(into, value)
    into.quiet = live.seconds("idle_timeout", value)
  end,
}

--- What must not differ between workers, as text.
local function same(normal)
  return ("framing %s, max_message %d, max_buffered %d, idle_timeout %s"):format(normal.framing,
    normal.max_message, normal.max_buffered, normal.quiet)
end

local Listener = {}
Listener.__index = Listener

--- Accepts no more; connections that are open stay.
function Listener:close()
  core_listen.close(self._shell)
end

--- Figures of this worker: open, opened, received, sent, slow.
function Listener:stats()
  return core_listen.stats(self._shell)
end

local m = { connect = core.connect }

--- Listens, with the other workers, on a port.
---@param options luaqueduct.ListenOptions
---@return luaqueduct.Listener
function m.listen(options)
  local normal = live.options(options, { quiet = 0, framing = "raw", address = "127.0.0.1" }, extra)
  if not normal.port then place.raise "the option 'port' is missing; 0 is any free one" end
  normal.same = same(normal)
  local ok, shell = pcall(core_listen.open, normal)
  if not ok then place.raise("%s", shell) end

  return setmetatable({
    port = core_listen.port(shell),
    address = normal.address,
    _shell = shell,
  }, Listener)
end

return m
