--- Boot: the app's life cycle, one function a step.
--
-- The runtime calls each step in a task; a step suspends that task where the
-- app's function does. Loading the script is the only I/O.
-- Failure: an error passes through to the runtime with its traceback; what the
-- script got wrong raises with a message that says what was expected.

local channel = require "luaqueduct.channel"
local log = require "luaqueduct.log"
local modules = require "luaqueduct.require"
local service = require "luaqueduct.service"
local service_core = require "luaqueduct.core.service"
local source = require "luaqueduct.core.source"

local m = {}

-- ---- loading --------------------------------------------------------------------------------

local function folder_of(script)
  return script:match "^(.*)/[^/]*$" or "."
end

local function with_front(path, front)
  return path:sub(1, #front) == front and path or front .. path
end

--- Puts the folder of the script in front of what `require` searches, once.
local function look_beside(script)
  local folder = folder_of(script)

  package.path = with_front(package.path, ("%s/?.lua;%s/?/init.lua;"):format(folder, folder))
  package.cpath = with_front(package.cpath, folder .. "/?.so;")
end

--- Gives the standard library the meanings that it has in a worker.
local function install()
  modules.install()
  rawset(_G, "print", log.print)
end

local function load_file(path)
  local chunk, err = source.load(path)

  -- The one message of Lua that names no file.
  if not chunk then error(err:find "^attempt to load a" and path .. ": " .. err or err, 0) end
  return chunk
end

--- Loads the script. Suspends the task where its top level does.
---@param script string
---@param context table options.context
---@return luaqueduct.Channel
function m.load(script, context)
  look_beside(script)
  install()

  local chunk = load_file(script)
  local app = channel.from(script, chunk(script))
  app.options = { context = context }
  return app
end

-- ---- steps ----------------------------------------------------------------------------------

--- Runs `App.initialize`.
---@param app luaqueduct.Channel
---@param script? string beside which the scripts of services are
---@return table context for every worker
function m.initialize(app, script)
  local methods = { service = service.declarer(folder_of(script or "")) }

  app.options = setmetatable({ context = app.options.context }, { __index = methods })
  if app.initialize then app.initialize(app.options) end
  if type(app.options.context) ~= "table" then
    error("options.context must stay a table; initialize has made it a "
      .. type(app.options.context), 0)
  end
  return app.options.context
end

--- Runs `App:prepare`.
---@param app luaqueduct.Channel
function m.prepare(app)
  if app.prepare then app:prepare() end
end

--- Runs `App:entry_point` and freezes what it returns.
---@param app luaqueduct.Channel
---@return luaqueduct.Compiled
function m.entry_point(app)
  local compiled = channel.compile(app)

  if app.on_error then
    function compiled.on_error(req, err)
      return app:on_error(req, err)
    end
  end
  return compiled
end

--- Runs `App:ready`.
---@param app luaqueduct.Channel
function m.ready(app)
  if app.ready then app:ready() end
end

--- Runs `App:close`.
---@param app luaqueduct.Channel
function m.close(app)
  if app.close then app:close() end
end

-- ---- services -------------------------------------------------------------------------------

--- Loads the script of this service and runs its `prepare`; from then on it answers.
---@param script string of the app
---@param path string
---@param arg any
---@return table service
function m.service(script, path, arg)
  look_beside(script)
  install()

  local chunk = load_file(path)
  local definition = chunk(path)
  local is_concurrent = service.is_concurrent(definition)
  if is_concurrent == nil then
    error(("%s: the script of a service must return what aq.service() has made, not a %s"):format(
      path, type(definition)), 0)
  end
  if definition.prepare then definition:prepare(arg) end
  service_core.serve(definition, is_concurrent)
  return definition
end

-- ---- the routing table as text --------------------------------------------------------------

local function widths(rows)
  local method, pattern = 0, 0

  for _, row in ipairs(rows) do
    method = math.max(method, #row.method)
    pattern = math.max(pattern, #row.pattern)
  end
  return method, pattern
end

--- One line a route, in order of declaration: method, pattern, place.
---@param compiled luaqueduct.Compiled
---@return string
function m.routes(compiled)
  local rows = table.move(compiled.routes, 1, #compiled.routes, 1, {})
  local lines = {}

  table.move(compiled.fallbacks, 1, #compiled.fallbacks, #rows + 1, rows)
  local method_width, pattern_width = widths(rows)
  local format = ("%%-%ds  %%-%ds  %%s\n"):format(method_width, pattern_width)
  for i, row in ipairs(rows) do
    lines[i] = format:format(row.method, row.pattern, row.place)
  end
  return table.concat(lines)
end

return m
