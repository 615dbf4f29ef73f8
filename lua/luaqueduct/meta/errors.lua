---@meta luaqueduct.core.errors
-- luacheck: ignore 212 241

--- What has failed outside the program. `tostring` gives the message.
---@class luaqueduct.Error
---@field code string `timeout`, `closed` …, the system's as `ECONNREFUSED`
---@field message string

--- Makes errors as C does.
---@class luaqueduct.core.errors
local errors = {}

--- An error whose `tostring` is the message.
---@param code string
---@param message string
---@return luaqueduct.Error
---@nodiscard
function errors.new(code, message) end

return errors
