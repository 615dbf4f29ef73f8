---@meta luaqueduct.core.coroutine
-- luacheck: ignore 212 241

--- The functions of `coroutine` that let a wait pass through; they stand in for the stock ones.
---@class luaqueduct.core.coroutine
local m = {}

--- Raises for a coroutine that waits in a task.
---@param co thread
---@return boolean ok
---@return any error
function m.close(co) end

--- Suspends the task while the coroutine waits. Raises for one that waits in another task.
---@async
---@param co thread
---@param ... any
---@return boolean ok
---@return any ...
function m.resume(co, ...) end

--- Suspends the task while the coroutine waits.
---@param fn async fun(...): any
---@return fun(...): any
---@nodiscard
function m.wrap(fn) end

return m
