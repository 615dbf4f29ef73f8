---@meta luaqueduct.core.router
-- luacheck: ignore 212 241

--- What a match has found; "method" and "options" come with the methods that are allowed.
---@alias luaqueduct.core.MatchKind "found"|"none"|"method"|"bad_path"|"options"

--- A table of routes, matched in C.
---@class luaqueduct.core.Router
local Router = {}

--- Enters a route. Raises for a bad pattern.
---@param method string "GET", or "ANY" for all
---@param pattern string
---@param tag integer given back by `match`
---@param limits? luaqueduct.Limits
---@return true? ok
---@return integer? conflict_tag
function Router:add(method, pattern, tag, limits) end

--- What is found where no route matches.
---@param tag integer
---@param limits? luaqueduct.Limits
function Router:fallback(tag, limits) end

--- What a request with that method and path would find.
---@param method string
---@param path string
---@return luaqueduct.core.MatchKind kind
---@return integer? tag
---@return table<string, string>|string[]? params_or_allow
---@nodiscard
function Router:match(method, path) end

--- Makes tables of routes.
---@class luaqueduct.core.router
local router = {}

--- Raises when the pattern is no good, naming the column.
---@param pattern string
function router.check(pattern) end

--- A table without routes.
---@return luaqueduct.core.Router
---@nodiscard
function router.new() end

return router
