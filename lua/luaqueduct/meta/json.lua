---@meta luaqueduct.core.json
-- luacheck: ignore 212 241

--- JSON as text (RFC 8259); `aq.json`, `aq.null` and `aq.array` are taken from it.
---@class luaqueduct.core.json
---@field null userdata stands for JSON's null
---@field array_mt table the metatable of arrays
local json = {}

--- Raises for what JSON has no word for, naming the path to it.
---@param value any
---@return string
---@nodiscard
function json.encode(value) end

--- Arrays stay arrays, integers integers; null becomes `null`.
---@param text string
---@return any value
---@return luaqueduct.Error? err
---@nodiscard
function json.decode(text) end

--- Marks a table as an array, so that it is `[]` when empty. Makes one when none is given.
---@generic T
---@param list? T[]
---@return T[]
function json.array(list) end

--- Whether a table carries the mark of an array.
---@param value any
---@return boolean
---@nodiscard
function json.is_array(value) end

return json
