---@meta luaqueduct.core.listen
-- luacheck: ignore 212 241

--- The C part of listening; apps use `aq.tcp.listen`.
---@class luaqueduct.core.listen
local listen = {}

--- Accepts no more in this worker.
---@param listener userdata
function listen.close(listener) end

--- Raises when the port cannot be had. The options have been checked.
---@param options table
---@return userdata listener
function listen.open(options) end

--- The real port.
---@param listener userdata
---@return integer
function listen.port(listener) end

--- Figures of this worker.
---@param listener userdata
---@return luaqueduct.ConnectionStats
function listen.stats(listener) end

return listen
