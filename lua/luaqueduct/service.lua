--- Services: what a service's script returns, and what calls one.
--
-- `call` suspends the task until the reply is there. The rest does no I/O.
-- Failure: `call` and `cast` return nil and an error; misuse, an unknown name
-- and arguments that cannot be packed raise with the caller's place.

local core = require "luaqueduct.core.service"
local place = require "luaqueduct.place"

local m = {}

local DEFAULT_TIMEOUT = 5
local DEFAULT_QUEUE = 4096

-- ---- checks ---------------------------------------------------------------------------------

local function check_options(options, known, what)
  if options == nil then return {} end
  if type(options) ~= "table" then
    place.raise("the options of %s must be a table, not a %s", what, type(options))
  end
  for name in pairs(options) do
    if not known[name] then
      local names = {}
      for other in pairs(known) do names[#names + 1] = other end
      table.sort(names)
      place.raise("unknown option %s of %s; known are %s", tostring(name), what,
        table.concat(names, ", "))
    end
  end
  return options
end

local function check_name(name)
  if type(name) ~= "string" or name == "" or #name > 63 or name:find "%z" then
    place.raise("a service's name must be a string of 1 to 63 bytes")
  end
end

local function count_of(value, default, what, most)
  if value == nil then return default end
  local count = math.type(value) and math.tointeger(value)
  if not count or count < 1 or count > most then
    place.raise("%s must be an integer from 1 to %d", what, most)
  end
  return count
end

local function seconds_of(value, default, what)
  if value == nil then return default end
  if not math.type(value) or not (value >= 0 and value <= 1e9) then
    place.raise("%s must be seconds, 0 or more", what)
  end
  return value
end

-- ---- what a script returns ------------------------------------------------------------------

---@type table<table, table> definition -> its options
local definitions = setmetatable({}, { __mode = "k" })

local function define(options)
  check_options(options, { concurrent = true }, "aq.service")
  local definition = {}

  definitions[definition] = { concurrent = options and options.concurrent and true or false }
  return definition
end

--- Whether each call of this definition has a task of its own; nil when it is none.
---@param value any
---@return boolean?
function m.is_concurrent(value)
  local options = definitions[value]

  return options and options.concurrent
end

-- ---- what calls one -------------------------------------------------------------------------

local Service = {}
local service_mt = { __index = Service, __name = "luaqueduct.Service" }

function service_mt.__tostring(self)
  return "luaqueduct.Service (" .. self.name .. ")"
end

--- Suspends the task until the service has answered.
---@param method string
---@param ... luaqueduct.Packable
---@return any ... the results, or nil and an error
function Service:call(method, ...)
  return core.call(self.name, self.timeout, method, ...)
end

--- Does not wait for what becomes of it.
---@param method string
---@param ... luaqueduct.Packable
---@return true? ok
---@return luaqueduct.Error? err
function Service:cast(method, ...)
  return core.cast(self.name, method, ...)
end

local function connect(name, options)
  check_name(name)
  check_options(options, { timeout = true }, "aq.service")
  if not core.knows(name) then
    place.raise("there is no service %q: in App.initialize options:service(%q, \"file.lua\") "
      .. "declares one", name, name)
  end
  local timeout = seconds_of(options and options.timeout, DEFAULT_TIMEOUT, "the timeout")
  return setmetatable({ name = name, timeout = timeout }, service_mt)
end

--- A definition to be filled with functions, or, by its name, a service to be called.
---@param name? string|luaqueduct.ServiceKind
---@param options? luaqueduct.CallOptions
---@return luaqueduct.ServiceDefinition|luaqueduct.Service
function m.service(name, options)
  if type(name) == "string" then return connect(name, options) end
  if options ~= nil then place.raise "the name of a service must be a string" end
  return define(name)
end

-- ---- in initialize --------------------------------------------------------------------------

local KNOWN = { instances = true, queue = true, busy_timeout = true }

--- Makes the function behind `options:service`.
---@param folder string of the app
---@return function service
function m.declarer(folder)
  return function(self, name, path, arg, options)
    if type(self) ~= "table" or type(path) ~= "string" or path == "" then
      place.raise "options:service(name, path, arg, options): the path must be a string"
    end
    check_name(name)
    check_options(options, KNOWN, "a service")
    options = options or {}
    core.declare(name, path:sub(1, 1) == "/" and path or folder .. "/" .. path, arg,
      count_of(options.instances, 1, "instances", 1024),
      count_of(options.queue, DEFAULT_QUEUE, "queue", 1 << 24),
      seconds_of(options.busy_timeout, 0, "busy_timeout"))
  end
end

return m
