---@meta luaqueduct.core.task
-- luacheck: ignore 212 241

--- A task: a coroutine that waits. It belongs to its worker.
---@class luaqueduct.Task
local Task = {}

--- Ends it at its wait; does nothing when it is over. A task that cancels itself ends at its
--- next wait. Only its <close> variables run then.
function Task:cancel() end

--- Tasks as far as C makes them, and clocks. Only in a worker.
---@class luaqueduct.core.task
local task = {}

--- Starts a task in this turn of the loop, once the running one waits or ends. An error in it is
--- logged.
---@param fn async fun(...)
---@param ... any
---@return luaqueduct.Task handle
function task.spawn(fn, ...) end

--- The same, and the running task is unparked if the new one fails or is cancelled: whoever parks
--- until another task tells it something learns that it never will.
---@param fn async fun(...)
---@param ... any
---@return luaqueduct.Task handle
function task.spawn_child(fn, ...) end

--- The running task; raises when there is none.
---@return luaqueduct.Task
---@nodiscard
function task.current() end

--- Whether the task is not over yet.
---@param handle luaqueduct.Task
---@return boolean
---@nodiscard
function task.is_live(handle) end

--- Suspends the task until another one calls `unpark`, or for that long. Returns at once when that
--- came before.
---@async
---@param seconds? number
function task.park(seconds) end

--- Lets a task go on that parks, now or next time.
---@param handle luaqueduct.Task
---@return boolean is_live
function task.unpark(handle) end

--- Suspends the task. Raises when `seconds` is negative.
---@async
---@param seconds number
function task.sleep(seconds) end

--- Seconds on a clock that is never set.
---@return number
---@nodiscard
function task.now() end

--- Seconds since 1970, the wall clock.
---@return number
---@nodiscard
function task.time() end

return task
