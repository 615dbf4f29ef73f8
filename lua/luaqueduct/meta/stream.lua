---@meta luaqueduct.core.stream
-- luacheck: ignore 212 241

--- The connection that `req:detach()` gives. It closes itself when it is collected or a <close>
--- variable ends.
---@class luaqueduct.Stream
local Stream = {}

--- Closes it; what was written goes out first.
function Stream:close() end

--- `n` bytes, a line without its end, or what is there ("some", unless given). Suspends the task
--- until they are there; at the end `nil, err` with `eof`.
---@async
---@param what? integer|"line"|"some"
---@param timeout? number seconds
---@return string?
---@return luaqueduct.Error? err
function Stream:read(what, timeout) end

--- Suspends the task while the other side is slow.
---@async
---@param bytes string
---@return true?
---@return luaqueduct.Error? err
function Stream:write(bytes) end
