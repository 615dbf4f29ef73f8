---@meta luaqueduct.core
-- luacheck: ignore 212 241

--- What of the core needs no worker, in C; plain Lua 5.4 can load it, too. Each part is also a
--- module of its own name afterwards, `luaqueduct.core.json` and so on.
---@class luaqueduct.core
---@field errors luaqueduct.core.errors
---@field fields luaqueduct.core.fields
---@field json luaqueduct.core.json
---@field pack luaqueduct.core.pack
---@field router luaqueduct.core.router
---@field url luaqueduct.core.url
---@field version string of luaqueduct
local core = {}

return core
