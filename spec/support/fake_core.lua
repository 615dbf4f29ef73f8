--- The C modules that need a worker, in plain Lua, for specs of the Lua part.
--
-- Tasks run on a scheduler with a clock of its own: `sleep` takes no time.
-- core.json, core.router and core.url are the real ones when the shared object
-- is built, and small stand-ins otherwise.
-- Failure: an error in the task of `run` is raised; other tasks log theirs.

local plain = require "luaqueduct.plain"

local WAIT = {} -- what a task yields: it waits

local fake = { log = {}, level = "debug" }

local LEVELS = { debug = 1, info = 2, warn = 3, error = 4 }

-- ---- core.task ------------------------------------------------------------------------------

local Task = {}
local task_mt = { __index = Task, __name = "luaqueduct.Task" }
local scheduler

local function write(level, message, fields, name)
  fake.log[#fake.log + 1] = { level = level, message = tostring(message), fields = fields,
    name = name }
end

local function check_wait()
  local task = assert(scheduler.current, "this runs outside any task")

  if task.state == "closing" then error("cannot wait while a task is closed (in __close)", 3) end
  return task
end

local function make_ready(task)
  if task.state ~= "waiting" then return end
  task.state = "ready"
  table.insert(scheduler.ready, task)
end

--- One that ends before it could say so itself.
local function tell_parent(task)
  local parent = task.parent

  if not parent or parent.state == "over" then return end
  if parent.state == "waiting" and parent.parks then
    make_ready(parent)
  else
    parent.has_permit = true
  end
end

local function close_task(task, is_well)
  local outer = scheduler.current

  task.state = "closing"
  scheduler.current = task
  local ok, err = coroutine.close(task.co)
  scheduler.current = outer
  task.state = "over"
  if not is_well then tell_parent(task) end
  if not ok and not (task.err and rawequal(err, task.err.value)) then
    write("error", "error while a task was closed: " .. tostring(err))
  end
end

function Task:cancel()
  if self.state == "running" then
    self.is_cancelled = true
  elseif self.state == "ready" or self.state == "waiting" then
    close_task(self)
  end
end

local function end_task(task, err)
  task.err = err
  if task.on_done then
    task.on_done(err)
  elseif err then
    write("error", debug.traceback(task.co, tostring(err.value)))
  end
  close_task(task, not err)
end

local function resume(task)
  local outer = scheduler.current
  local args = task.args

  if task.state ~= "ready" then return end
  task.args = { n = 0 }
  task.state = "running"
  scheduler.current = task
  local ok, value = coroutine.resume(task.co, table.unpack(args, 1, args.n))
  scheduler.current = outer
  if not ok then return end_task(task, { value = value }) end
  if coroutine.status(task.co) == "dead" then return end_task(task) end
  assert(value == WAIT, "a task has yielded something foreign")
  task.state = "waiting"
  if task.is_cancelled then close_task(task) end
end

--- The timers of a wait end with it.
local function wait()
  coroutine.yield(WAIT)
  scheduler.current.waits = scheduler.current.waits + 1
end

local function add_timer(task, seconds)
  table.insert(scheduler.timers, { at = scheduler.now + seconds, task = task, wait = task.waits })
end

local core_task = {}

function core_task.spawn(fn, ...)
  assert(type(fn) == "function", "spawn needs a function")
  local task = setmetatable({
    args = table.pack(...), co = coroutine.create(fn), state = "ready", waits = 0,
  }, task_mt)
  table.insert(scheduler.ready, task)
  return task
end

function core_task.spawn_child(fn, ...)
  local task = core_task.spawn(fn, ...)
  task.parent = scheduler.current
  return task
end

function core_task.current()
  return scheduler.current or error("this runs outside any task", 2)
end

function core_task.is_live(task)
  return task.state ~= "over"
end

function core_task.park(seconds)
  local task = check_wait()

  if not task.has_permit then
    if seconds then add_timer(task, seconds) end
    task.parks = true
    wait()
    task.parks = false
  end
  task.has_permit = false
end

function core_task.unpark(task)
  if task.state == "waiting" and task.parks then
    make_ready(task)
  elseif task.state ~= "over" then
    task.has_permit = true
  end
  return task.state ~= "over"
end

function core_task.sleep(seconds)
  assert(seconds >= 0, "seconds must not be negative")
  local task = check_wait()
  add_timer(task, seconds)
  wait()
end

function core_task.now()
  return scheduler.now
end

function core_task.time()
  return scheduler.now + 1700000000
end

-- ---- the loop -------------------------------------------------------------------------------

--- The first timer of a task that still waits; nil when there is none.
local function next_timer()
  local first

  for i = #scheduler.timers, 1, -1 do
    local timer = scheduler.timers[i]
    if timer.task.state ~= "waiting" or timer.wait ~= timer.task.waits then
      table.remove(scheduler.timers, i)
      first = first and first - 1
    elseif not first or timer.at <= scheduler.timers[first].at then
      first = i
    end
  end
  return first and table.remove(scheduler.timers, first)
end

local function turn()
  local batch = scheduler.ready

  scheduler.ready = {}
  for _, task in ipairs(batch) do resume(task) end
end

--- Runs until `is_over()` or nothing can happen any more.
local function run_until(is_over)
  while not is_over() do
    if #scheduler.ready == 0 then
      local timer = next_timer()
      if not timer then return end
      scheduler.now = math.max(scheduler.now, timer.at)
      make_ready(timer.task)
    end
    turn()
  end
end

--- Runs `fn(...)` in a task and the loop until it has ended. Returns its results, raises its
--- error. Other tasks stay as they are.
function fake.run(fn, ...)
  local results, failure

  local task = core_task.spawn(function(...)
    results = table.pack(fn(...))
  end, ...)
  function task.on_done(err)
    failure = err
  end
  run_until(function() return task.state == "over" end)
  if failure then error(failure.value, 0) end
  assert(results, "the task never ends: it waits for nothing")
  return table.unpack(results, 1, results.n)
end

--- Runs all tasks until none can go on.
function fake.settle()
  run_until(function() return false end)
end

-- ---- stand-ins for modules of C ---------------------------------------------------------------

local function new_error(code, message)
  return setmetatable({ code = code, message = message }, {
    __tostring = function(self) return self.message end,
  })
end

local function segments(path)
  local list = {}

  for segment in path:gmatch "/([^/]*)" do list[#list + 1] = segment end
  return list
end

--- The forms of a pattern with one optional tail.
local function forms(pattern)
  local head, tail = pattern:match "^(.-)%[(/.*)%]$"

  if not head then return { pattern } end
  return { head, head .. tail }
end

local function match_form(form, path)
  local wanted, given, params = segments(form), segments(path), {}

  for i, segment in ipairs(wanted) do
    if segment == "*" and given[i] then
      params["*"] = table.concat(given, "/", i)
      return params
    end
    local name = segment:match "^:([%w_]+)"
    if name and given[i] and given[i] ~= "" then
      params[name] = given[i]
    elseif segment ~= given[i] then
      return nil
    end
  end
  return #wanted == #given and params or nil
end

local StubRouter = {}
StubRouter.__index = StubRouter

function StubRouter:add(method, pattern, tag)
  for _, form in ipairs(forms(pattern)) do
    local key = method .. " " .. form:gsub(":[%w_]+", ":")
    if self.keys[key] then return nil, self.keys[key] end
    self.keys[key] = tag
    table.insert(self.routes, { form = form, method = method, tag = tag })
  end
  return true
end

function StubRouter:fallback(tag)
  self.otherwise = tag
end

--- Of several matches the longest pattern wins, which is the more specific one in the specs.
function StubRouter:match(method, path)
  local best, best_params, other

  for _, route in ipairs(self.routes) do
    local params = match_form(route.form, path)
    other = other or params
    if params and (route.method == method or route.method == "ANY") and
        (not best or #route.form > #best.form) then
      best, best_params = route, params
    end
  end
  if best then return "found", best.tag, best_params end
  if other then return "method" end
  if self.otherwise then return "found", self.otherwise, {} end
  return "none"
end

local stub_router = {}

function stub_router.check(pattern)
  if pattern:sub(1, 1) ~= "/" then error("a pattern begins with a slash (column 1)", 0) end
end

function stub_router.new()
  return setmetatable({ keys = {}, routes = {} }, StubRouter)
end

local function stub_json()
  local mt = {}

  return {
    array = function(list) return setmetatable(list or {}, mt) end,
    array_mt = mt,
    decode = function() error "core.json is not built" end,
    encode = function(value)
      if type(value) == "table" then return "{}" end
      return tostring(value)
    end,
    is_array = function(value) return getmetatable(value) == mt end,
    null = io.stdout,
  }
end

-- ---- install --------------------------------------------------------------------------------

local function real_or(name, substitute)
  local ok, module = pcall(require, name)

  if ok then return module end
  return substitute
end

local function reset()
  scheduler = { now = 0, ready = {}, timers = {} }
  for i = #fake.log, 1, -1 do fake.log[i] = nil end
  fake.level = "debug"
end

local modules = {
  ["luaqueduct.core.task"] = core_task,
  ["luaqueduct.core.log"] = plain.log_of(write, function(level)
    return LEVELS[level] >= LEVELS[fake.level]
  end),
  ["luaqueduct.core.errors"] = { new = new_error },
  ["luaqueduct.core.service"] = { knows = function() return false end },
  ["luaqueduct.core.instance"] = {
    id = 1, workers = 1, restarts = 0, generation = 1, stop = function() end,
  },
  ["luaqueduct.core.dispatch"] = { response_mt = function() end, set = function() end },
  ["luaqueduct.core.json"] = real_or("luaqueduct.core.json", stub_json()),
  ["luaqueduct.core.source"] = { load = function(path) return loadfile(path, "t") end },
  ["luaqueduct.core.router"] = real_or("luaqueduct.core.router", stub_router),
}

--- Makes the modules loadable and starts with an empty scheduler, log and clock.
function fake.install()
  reset()
  for name, module in pairs(modules) do package.loaded[name] = module end
  return fake
end

--- The messages of the log of one level, or of all.
function fake.messages(level)
  local list = {}

  for _, record in ipairs(fake.log) do
    if not level or record.level == level then list[#list + 1] = record.message end
  end
  return list
end

return fake
