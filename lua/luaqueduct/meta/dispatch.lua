---@meta luaqueduct.core.dispatch
-- luacheck: ignore 212 241

---@class luaqueduct.core.Handling
---@field handlers luaqueduct.Handler[] by tag
---@field finish fun(req: luaqueduct.Request, hooks: function[], value: any): luaqueduct.Response
---@field fail? fun(req: luaqueduct.Request, hooks: function[]?, err: any): luaqueduct.Result

---@class luaqueduct.core.dispatch
local dispatch = {}

--- The metatable by which the core knows a response.
---@param metatable table
function dispatch.response_mt(metatable) end

--- What requests are handled with. Raises in a state that handles none.
---@param handling luaqueduct.core.Handling
function dispatch.set(handling) end

return dispatch
