---@meta luaqueduct.core.websocket
-- luacheck: ignore 212 241

--- The C part of WebSockets; apps use `aq.websocket`.
---@class luaqueduct.core.websocket
local websocket = {}

--- A handler for requests, and what its connections have in common. The options have been checked.
---@param options table
---@return function handle
---@return userdata spec
function websocket.new(options) end

--- Figures of this worker.
---@param spec userdata
---@return luaqueduct.ConnectionStats
function websocket.stats(spec) end

return websocket
