---@meta luaqueduct.core.pack
-- luacheck: ignore 212 241

--- Values as bytes, to cross threads.
---@class luaqueduct.core.pack
local pack = {}

--- A value as bytes. Raises for what cannot cross threads, naming the path to it.
---@param value any
---@return string
---@nodiscard
function pack.pack(value) end

--- The value of bytes that `pack` has made; `nil, err` for others.
---@param bytes string
---@return any value
---@return luaqueduct.Error? err
---@nodiscard
function pack.unpack(bytes) end

return pack
