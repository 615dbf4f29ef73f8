---@meta luaqueduct.core.source
-- luacheck: ignore 212 241

--- The Lua files of a generation, read once for all of its states.
---@class luaqueduct.core.source
local m = {}

--- Compiles the file, text only. Waits for the disk when it is the first to ask.
---@param path string
---@return function? chunk
---@return string? message why there is none
function m.load(path) end

return m
