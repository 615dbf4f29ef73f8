---@meta luaqueduct.core.dispatch
-- luacheck: ignore 212 241

--- How requests are handled, as `set` takes it.
---@class luaqueduct.core.Handling
---@field handlers luaqueduct.Handler[] by tag
---@field finish fun(req: luaqueduct.Request, hooks: function[], value: any): luaqueduct.Response
---@field fail? fun(req: luaqueduct.Request, hooks: function[]?, err: any): luaqueduct.Result

--- What C has to know to call into Lua. Only in a worker.
---@class luaqueduct.core.dispatch
local dispatch = {}

--- The metatable by which the core knows a response.
---@param metatable table
function dispatch.response_mt(metatable) end

--- What requests are handled with. Raises in a state that handles none.
---@param handling luaqueduct.core.Handling
function dispatch.set(handling) end

return dispatch
