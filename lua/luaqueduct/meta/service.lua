---@meta luaqueduct.core.service
-- luacheck: ignore 212 241

--- Services as apps declare, call and are them.
---@class luaqueduct.core.service
local m = {}

--- Suspends the task until the service has answered, or `timeout` seconds (0: no limit) are over.
---@async
---@param name string
---@param timeout number
---@param method string
---@param ... luaqueduct.Packable
---@return any ... the results, or nil and an error
function m.call(name, timeout, method, ...) end

--- Does not wait.
---@param name string
---@param method string
---@param ... luaqueduct.Packable
---@return true? ok
---@return luaqueduct.Error? err
function m.cast(name, method, ...) end

--- In `initialize` only.
---@param name string
---@param path string of its script
---@param arg luaqueduct.Packable what its `prepare` gets
---@param instances integer
---@param queue integer calls that may wait in each
---@param busy_timeout number seconds; 0: none
function m.declare(name, path, arg, instances, queue, busy_timeout) end

--- Whether it has been declared.
---@param name string
---@return boolean
function m.knows(name) end

--- Of the script of this service.
---@return string path
function m.path() end

--- This service answers with these functions from now on.
---@param methods table
---@param is_concurrent boolean
function m.serve(methods, is_concurrent) end

--- What `aq.service(name)` gives.
---@class luaqueduct.Service
local Service = {}

--- Suspends the task until the service has answered. `nil, err` with the codes `timeout`,
--- `service_down`, `overloaded`, `no_method`, or what the service has raised: `error` for a string.
---@async
---@param method string
---@param ... luaqueduct.Packable
---@return any ... the results, or nil and an error
function Service:call(method, ...) end

--- Does not wait for what becomes of it; errors in it are logged.
---@param method string
---@param ... luaqueduct.Packable
---@return true? ok
---@return luaqueduct.Error? err
function Service:cast(method, ...) end

--- What the script of a service returns, filled with functions: all but `prepare`, `close` and
--- those whose names begin with `_` can be called.
---@class luaqueduct.ServiceDefinition
---@field prepare? async fun(self: any, arg: luaqueduct.Packable) before any worker prepares
---@field close? async fun(self: any) behind the last call

--- What `aq.service` can be told of a service.
---@class luaqueduct.ServiceKind
---@field concurrent? boolean each call has a task of its own

--- What `aq.service(name)` can be told.
---@class luaqueduct.CallOptions
---@field timeout? number seconds a call may take (5; 0: no limit)

--- What `options:service` can be told.
---@class luaqueduct.ServiceOptions
---@field instances? integer threads that share the calls (1)
---@field queue? integer calls that may wait in each (4096)
---@field busy_timeout? number seconds that Lua code may run without waiting (0: no limit)

return m
