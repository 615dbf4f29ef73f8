--- A server that a spec plays itself: it accepts when told to.
--
--   local peer <close> = spec_peer.listen()
--   local conn <close> = peer:accept()       -- as client.lua has them
--
-- Every wait has a deadline. Failure: raises.

local socket = require "socket"
local client = require "spec.support.client"
local wait = require "spec.support.wait"

local peer = {}
local methods = {}

--- The next connection.
---@param seconds? number 5 unless given
function methods:accept(seconds)
  if not wait.readable(self.socket, seconds or 5) then error("nobody has connected", 2) end
  return client.adopt(assert(self.socket:accept()))
end

--- Whether somebody has connected and was not accepted, by now or within `seconds`.
function methods:is_called(seconds)
  return wait.readable(self.socket, seconds or 0)
end

function methods:close()
  for _, sock in ipairs(self.fillers) do sock:close() end
  self.socket:close()
end

--- Takes all places in the queue: who connects from now on gets no answer.
function methods:stall()
  repeat
    local sock = assert(socket.tcp4())
    sock:settimeout(0.1)
    self.fillers[#self.fillers + 1] = sock
    local _, err = sock:connect(self.host, self.port)
  until err == "timeout"
end

local Peer = { __name = "spec.peer", __index = methods, __close = methods.close }

--- Listens.
---@param options? table { host ("127.0.0.1"), port (0: a free one), backlog (32) }
function peer.listen(options)
  options = options or {}
  local host = options.host or "127.0.0.1"
  local sock = assert((host:find(":", 1, true) and socket.tcp6 or socket.tcp4)())
  assert(sock:setoption("reuseaddr", true))
  assert(sock:bind(host, options.port or 0))
  assert(sock:listen(options.backlog or 32))
  local _, port = sock:getsockname()
  return setmetatable({ socket = sock, host = host, port = tonumber(port), fillers = {} }, Peer)
end

--- A port of 127.0.0.1 where nobody listens: it is bound, until the result is closed.
function peer.deaf()
  local sock = assert(socket.tcp4())
  assert(sock:bind("127.0.0.1", 0))
  local _, port = sock:getsockname()
  return setmetatable({ socket = sock, port = tonumber(port), fillers = {} }, Peer)
end

return peer
