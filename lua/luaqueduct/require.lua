--- Require: the standard `require`, for modules that wait while they load.
--
-- Stock `require` is a C function that no task can wait in. This one has its
-- results, errors and tables (package.loaded, preload, searchers).
-- Suspends the task where a module waits at its top level, and while another
-- task loads the same module.
-- Failure: raises as the standard one does; a cycle of modules, in one task or
-- across several, raises and names them. A load that fails is tried again by
-- whoever requires the module next.

local core = require "luaqueduct.core.task"

local package = package
local loaded = package.loaded

-- Outside any task there is one loader, and nothing to wait with.
local NO_TASK = {}

-- Without memory a load may end and not say so: those who wait for it look.
local LOOK_SECONDS = 0.1

---@type table<string, table> the loads under way: name -> { owner, waiters, outer }
local loads = {}
---@type table<any, string> task -> the module it waits for
local awaited = setmetatable({}, { __mode = "k" })
---@type table<any, table> task -> the innermost load it runs
local innermost = setmetatable({}, { __mode = "k" })

local m = {}

local function current()
  local ok, task = pcall(core.current)

  return ok and task or NO_TASK
end

-- ---- one load -------------------------------------------------------------------------------

local load_mt = {}

--- However a load ends, those who wait for it go on.
function load_mt:__close()
  loads[self.name] = nil
  innermost[self.owner] = self.outer
  for i = 1, #self.waiters do core.unpark(self.waiters[i]) end
end

local function new_load(name, task)
  return setmetatable({ name = name, outer = innermost[task], owner = task, waiters = {} },
    load_mt)
end

--- Asks the searchers. Returns a loader and its data, or nil and what they said.
local function find_loader(name)
  local messages = {}

  if type(package.searchers) ~= "table" then
    return nil, "'package.searchers' must be a table"
  end
  for i = 1, math.huge do
    local searcher = rawget(package.searchers, i)
    if searcher == nil then break end
    local loader, data = searcher(name)
    if type(loader) == "function" then return loader, data end
    if type(loader) == "string" or type(loader) == "number" then
      messages[#messages + 1] = "\n\t" .. loader
    end
  end
  return nil, ("module '%s' not found:%s"):format(name, table.concat(messages))
end

--- Returns nil and a message when there is no such module.
local function run_load(name, task)
  local load <close> = new_load(name, task)
  loads[name] = load
  innermost[task] = load
  local loader, data = find_loader(name)

  if not loader then return nil, data end
  local value = loader(name, data)
  if value ~= nil then loaded[name] = value end
  if loaded[name] == nil then loaded[name] = true end
  return true, data
end

-- ---- waiting for another task ---------------------------------------------------------------

--- The names on the way from the load of `name` to what this task is loading: from there it would
--- come back, so they are a cycle. nil when there is none.
local function find_cycle(name, task)
  local names = { name }
  local owner = loads[name].owner

  while owner ~= task do
    local next_name = awaited[owner]
    if not next_name or not loads[next_name] then return nil end
    names[#names + 1] = next_name
    owner = loads[next_name].owner
  end
  return names
end

--- What this task is loading, from the load of `name` inwards; all of it when it is not there.
local function chain_of(task, name)
  local names = {}
  local load = innermost[task]

  while load do
    table.insert(names, 1, load.name)
    if load.name == name then break end
    load = load.outer
  end
  return names
end

local function cycle_text(names, task)
  local chain = chain_of(task, names[#names])

  table.move(names, 1, #names, #chain + 1, chain)
  return "modules require each other in a cycle: " .. table.concat(chain, " -> ")
end

local wait_mt = {}

function wait_mt:__close()
  awaited[self.task] = nil
end

--- Suspends the task until the load of `name` that is under way has ended.
local function wait_for(load, task)
  local wait <close> = setmetatable({ task = task }, wait_mt) -- luacheck: ignore 211

  awaited[task] = load.name
  table.insert(load.waiters, task)
  while loads[load.name] == load do
    if core.is_live(load.owner) then
      core.park(LOOK_SECONDS)
    else
      loads[load.name] = nil
    end
  end
end

-- ---- require --------------------------------------------------------------------------------

--- Waits while another task loads it. Returns the text of an error when that cannot be.
local function wait_until_free(name, task)
  local load = loads[name]

  while load do
    local cycle = find_cycle(name, task)
    if cycle then return not loaded[name] and cycle_text(cycle, task) or nil end
    if task == NO_TASK then return ("module '%s' is being loaded by a task"):format(name) end
    wait_for(load, task)
    load = loads[name]
  end
end

--- As the standard one; suspends the task where the module waits.
---@param name string
---@return any module
---@return any data of the loader, when this call has loaded it
function m.require(name)
  if loaded[name] and not loads[name] then return loaded[name] end
  if type(name) ~= "string" and type(name) ~= "number" then
    error(("bad argument #1 to 'require' (string expected, got %s)"):format(
      name == nil and "no value" or type(name)), 2)
  end
  name = tostring(name)

  local task = current()
  local err = wait_until_free(name, task)
  if err then error(err, 2) end
  if loaded[name] then return loaded[name] end

  local ok, data = run_load(name, task)
  if not ok then error(data, 2) end
  return loaded[name], data
end

--- Puts it into the place of the standard one.
function m.install()
  rawset(_G, "require", m.require)
end

return m
