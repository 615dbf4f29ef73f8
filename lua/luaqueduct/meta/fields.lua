---@meta luaqueduct.core.fields
-- luacheck: ignore 212 241

--- Fields of records as text; `aq.log` stands on it.
---@class luaqueduct.core.fields
local fields = {}

--- The fields by name, as they stand in a record: `a=1 b="two words"`, or JSON without braces.
---@param list table
---@param format? "text"|"json" text unless given
---@return string
---@nodiscard
function fields.render(list, format) end

return fields
