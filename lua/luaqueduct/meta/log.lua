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

--- A function that hands records of that level to the logging thread. It refuses to be called with
--- the logger, which is the table that it stands in, as its message, and with fields that are no
--- table. Otherwise it raises only what the message's own `__tostring` raises, and for memory:
--- whatever is too long or too much is cut, and the record says so (see luaqueduct.Logger).
---@param level luaqueduct.Level
---@param logger table
---@param name? string
---@return fun(message: any, fields?: table)
---@nodiscard
function log.writer(level, logger, name) end

return log
