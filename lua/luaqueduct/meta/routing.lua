---@meta _
-- luacheck: ignore 212 241

--- What C has to know of a route before it reads the body.
---@class luaqueduct.Limits
---@field body? integer|string bytes, or digits with K, M or G; 0: none
---@field body_timeout? number seconds of silence while a body arrives; 0: none
---@field request_timeout? number seconds for the handler; 0: none

--- One route of a router.
---@class luaqueduct.Route
local Route = {}

--- Adds a controller behind those that are there.
---@param controller luaqueduct.Controller
---@return luaqueduct.Route self
function Route:link(controller) end

--- Limits that C applies before it reads the body.
---@param values luaqueduct.Limits
---@return luaqueduct.Route self
function Route:limits(values) end

--- Patterns and their controllers, declared at the start, then frozen. A pattern has segments:
--- `literal`, `:name`, `:name(constraint)`, an optional tail `[/…]`, and `*` for the rest. Bad
--- patterns raise with the caller's place.
---@class luaqueduct.Router
local Router = {}

--- A route for GET, and for HEAD as long as there is no other.
---@param pattern string
---@param ... luaqueduct.Controller
---@return luaqueduct.Route
function Router:get(pattern, ...) end

--- A route for POST.
---@param pattern string
---@param ... luaqueduct.Controller
---@return luaqueduct.Route
function Router:post(pattern, ...) end

--- A route for PUT.
---@param pattern string
---@param ... luaqueduct.Controller
---@return luaqueduct.Route
function Router:put(pattern, ...) end

--- A route for PATCH.
---@param pattern string
---@param ... luaqueduct.Controller
---@return luaqueduct.Route
function Router:patch(pattern, ...) end

--- A route for DELETE.
---@param pattern string
---@param ... luaqueduct.Controller
---@return luaqueduct.Route
function Router:delete(pattern, ...) end

--- A route for OPTIONS, instead of the 204 with `Allow`.
---@param pattern string
---@param ... luaqueduct.Controller
---@return luaqueduct.Route
function Router:options(pattern, ...) end

--- A route for every method; one for the exact method goes before it.
---@param pattern string
---@param ... luaqueduct.Controller
---@return luaqueduct.Route
function Router:any(pattern, ...) end

--- A route for every method, whose controllers follow: `router:route(p):link(c1):link(c2)`.
---@param pattern string
---@return luaqueduct.Route
function Router:route(pattern) end

--- Puts a controller in front of all routes of this router. Runs for matched routes only.
---@param controller luaqueduct.Controller
---@return luaqueduct.Router self
function Router:link(controller) end

--- A router under a prefix. Patterns in it are put behind the prefix as they stand; "" is the
--- prefix itself.
---@param prefix string
---@return luaqueduct.Router group
function Router:group(prefix) end

--- Puts another router under a prefix. The result is a group around it, whose links run before
--- those of the mounted router.
---@param prefix string
---@param router luaqueduct.Router
---@return luaqueduct.Router group
function Router:mount(prefix, router) end

--- Answers what no route matches, instead of the plain 404. In a group or a mounted router it
--- holds under the prefix. No links run in front of it.
---@param controller luaqueduct.Controller
---@return luaqueduct.Router self
function Router:fallback(controller) end

--- What a request would find here, for tests: its handler, links included, and its params. Where
--- none is found: nil, the status of the answer, and the methods that are allowed (405 and 204).
--- Freezes the router.
---@param method string
---@param path string as it is sent, without the query
---@return luaqueduct.Handler? handler
---@return table<string, string>|integer params_or_status
---@return string[]? allowed
---@nodiscard
function Router:match(method, path) end
