---@meta luaqueduct.core.pack
-- luacheck: ignore 212 241

---@class luaqueduct.core.pack
local pack = {}

--- A value as bytes. Raises for what cannot cross threads, naming the path to it.
---@param value any
---@return string
---@nodiscard
function pack.pack(value) end

---@param bytes string
---@return any value
---@return luaqueduct.Error? err
---@nodiscard
function pack.unpack(bytes) end

return pack
