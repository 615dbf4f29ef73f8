---@meta luaqueduct.core.json
-- luacheck: ignore 212 241

---@class luaqueduct.core.json
---@field null userdata stands for JSON's null
---@field array_mt table the metatable of arrays
local json = {}

--- Raises for what JSON has no word for, naming the path to it.
---@param value any
---@return string
---@nodiscard
function json.encode(value) end

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

---@param value any
---@return boolean
---@nodiscard
function json.is_array(value) end

return json
