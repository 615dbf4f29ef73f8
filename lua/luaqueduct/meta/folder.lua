---@meta luaqueduct.core.folder
-- luacheck: ignore 212 241

--- Folders, for the command line: it waits for the disk.
---@class luaqueduct.core.folder
local folder = {}

--- The names in a folder, in no order, without `.` and `..`.
---@param path string
---@return string[]?
---@return luaqueduct.Error? err
---@nodiscard
function folder.list(path) end

--- Makes a folder, unless it is there; those above it must be.
---@param path string
---@return true?
---@return luaqueduct.Error? err
function folder.make(path) end

return folder
