---@meta luaqueduct.core.log
-- luacheck: ignore 212 241

--- From the least to the most urgent.
---@alias luaqueduct.Level "debug"|"info"|"warn"|"error"

--- Records; `aq.log` stands on it. Only in a worker.
---@class luaqueduct.core.log
local log = {}

--- Whether records of that level are written.
---@param level luaqueduct.Level
---@return boolean
---@nodiscard
function log.enabled(level) end

--- Hands a record to the logging thread.
---@param level luaqueduct.Level
---@param message any
---@param fields? table
---@param logger? string
function log.write(level, message, fields, logger) end

return log
