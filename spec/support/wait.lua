--- Waiting for something to become true, with a deadline.
--
-- Specs call this where they would sleep otherwise.
-- Failure: raises when the deadline passes, saying what was awaited.

local socket = require "socket"
local proc = require "spec.proc"

local wait = {}

--- Calls `fn` until it returns something true, at most for `seconds`.
---@param fn fun(): any
---@param seconds? number 5 unless given
---@param what? string what is awaited, for the message
---@return any what `fn` returned
function wait.till(fn, seconds, what)
  local deadline = proc.now() + (seconds or 5)
  local pause = 0.001

  while true do
    local result = fn()
    if result then return result end
    if proc.now() >= deadline then
      error(("waited %g s for %s"):format(seconds or 5, what or "a condition"), 2)
    end
    socket.select(nil, nil, pause)
    pause = math.min(pause * 2, 0.05)
  end
end

--- Waits until `sock` (a LuaSocket object) can be read.
---@return boolean whether it can, before `seconds` have passed
function wait.readable(sock, seconds)
  return next((socket.select({ sock }, nil, seconds))) ~= nil
end

--- Waits until `sock` takes bytes.
---@return boolean whether it does, before `seconds` have passed
function wait.writable(sock, seconds)
  return next((select(2, socket.select(nil, { sock }, seconds)))) ~= nil
end

--- What is left until `deadline` (of `proc.now()`), never negative.
function wait.left(deadline)
  return math.max(0, deadline - proc.now())
end

return wait
