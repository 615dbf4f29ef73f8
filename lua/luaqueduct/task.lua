--- Tasks: timers, and tasks that wait for others.
--
-- Built on luaqueduct.core.task: no I/O. A cancelled task ends at its wait;
-- only its <close> variables run then, and they may not wait.
-- Failure: errors of what is run are raised where it is waited for, and logged
-- where nobody waits; wrong arguments raise with the caller's file and line.

local core = require "luaqueduct.core.task"
local errors = require "luaqueduct.core.errors"
local log = require "luaqueduct.log".log
local place = require "luaqueduct.place"

local m = {}

-- ---- checks ---------------------------------------------------------------------------------

local function check_function(what, value)
  if type(value) ~= "function" then
    place.raise("%s must be a function, not a %s", what, type(value))
  end
end

local function check_seconds(value, is_allowed)
  if not math.type(value) or not is_allowed(value) then
    place.raise("%s are no seconds to wait", tostring(value))
  end
end

local function from_zero(value)
  return value >= 0
end

local function above_zero(value)
  return value > 0
end

--- Message handler: the error with its traceback, for the log.
local function traced(err)
  return { value = err, trace = debug.traceback(tostring(err), 2) }
end

-- ---- timers ---------------------------------------------------------------------------------

local function run_after(seconds, fn, ...)
  core.sleep(seconds)
  fn(...)
end

--- Runs `fn(...)` in a task of its own after some time.
---@param seconds number
---@param fn async fun(...)
---@param ... any
---@return luaqueduct.Task handle its `cancel` also ends a function that has begun
function m.after(seconds, fn, ...)
  check_seconds(seconds, from_zero)
  check_function("what runs after some time", fn)
  return core.spawn(run_after, seconds, fn, ...)
end

--- The next time on the grid that begins at `due`: what was missed is left out.
local function next_due(due, seconds)
  local late = core.now() - due

  return late < seconds and due + seconds or due + seconds * (late // seconds + 1)
end

local function run_every(seconds, fn, from)
  local due = core.now() + seconds

  while true do
    core.sleep(math.max(due - core.now(), 0))
    local ok, err = xpcall(fn, traced)
    if not ok then
      log.error(("error in aq.every of %s: %s"):format(from, err.trace))
    end
    due = next_due(due, seconds)
  end
end

--- Runs `fn()` again and again, in one task: a run that takes longer delays the next one. An
--- error is logged, and it goes on.
---@param seconds number more than 0
---@param fn async fun()
---@return luaqueduct.Task handle
function m.every(seconds, fn)
  check_seconds(seconds, above_zero)
  check_function("what runs every so often", fn)
  return core.spawn(run_every, seconds, fn, place.caller())
end

-- ---- all ------------------------------------------------------------------------------------

-- A group belongs to the task that waits for it; closing it cancels what still runs.
local group_mt = {}

function group_mt:__close()
  if self.left == 0 then return end
  for _, handle in ipairs(self.handles) do
    if handle then handle:cancel() end
  end
end

local function run_member(group, i, fn)
  local ok, result = pcall(fn)

  if ok then
    group.results[i] = result
    group.left = group.left - 1
  elseif not group.has_failed then
    group.has_failed, group.err = true, result
  end
  group.has_told[i] = true
  if group.left == 0 or not ok then core.unpark(group.waiter) end
end

--- Whether a member has ended and will not tell: it was cancelled, or had no memory for that.
local function has_lost(group)
  for i, handle in ipairs(group.handles) do
    if not group.has_told[i] and not core.is_live(handle) then return true end
  end
end

--- Runs the functions side by side and waits. Returns the table of their first results.
local function run_all(fns, count)
  local group <close> = setmetatable({
    err = false, handles = {}, has_failed = false, has_told = {}, left = count,
    results = {}, waiter = core.current(),
  }, group_mt)

  for i = 1, count do
    group.has_told[i], group.handles[i] = false, false
    group.handles[i] = core.spawn_child(run_member, group, i, fns[i])
  end
  while group.left > 0 and not group.has_failed do
    if has_lost(group) then
      error(errors.new("cancelled", "a function of aq.all was cancelled"), 0)
    end
    core.park()
  end
  if group.has_failed then error(group.err, 0) end
  return group.results
end

local function check_all(fns, count)
  for i = 1, count do check_function(("argument %d of aq.all"):format(i), fns[i]) end
end

--- Runs functions side by side, each in a task of its own, and waits for all. Returns each one's
--- first result, nils in their places; for a list of functions, a list. The first error cancels
--- the rest and is raised. Suspends the task until all have ended.
---@param ... (async fun(): any)|(async fun(): any)[]
---@return any ...
function m.all(...)
  local count = select("#", ...)
  local list = ...

  if count == 1 and type(list) == "table" then
    check_all(list, #list)
    return run_all(list, #list)
  end
  local fns = { ... }
  check_all(fns, count)
  return table.unpack(run_all(fns, count), 1, count)
end

-- ---- shield ---------------------------------------------------------------------------------

-- What the task that waits and the one that works share, closed by the one that waits.
local waiting_mt = {}

function waiting_mt:__close()
  self.is_left = true
end

local function run_shielded(box, fn, ...)
  local results = table.pack(xpcall(fn, traced, ...))

  box.results = results
  core.unpark(box.waiter)
  if not results[1] and box.is_left then
    log.error("error in aq.shield, after its caller was cancelled: " .. results[2].trace)
  end
end

--- Runs `fn(...)` in a task of its own and waits for it: cancelling the caller does not end it.
--- Returns its results, raises its error. Suspends the task until it has ended.
---@generic T
---@param fn async fun(...): T
---@param ... any
---@return T ...
function m.shield(fn, ...)
  check_function("what aq.shield runs", fn)

  local box <close> = setmetatable({
    is_left = false, results = false, waiter = core.current(),
  }, waiting_mt)
  local handle = core.spawn_child(run_shielded, box, fn, ...)
  while not box.results do
    if not core.is_live(handle) then
      error(errors.new("cancelled", "the shielded task was cancelled"), 0)
    end
    core.park()
  end
  if not box.results[1] then error(box.results[2].value, 0) end
  return table.unpack(box.results, 2, box.results.n)
end

return m
