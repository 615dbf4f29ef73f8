--- Routers: patterns and their controllers, declared at the start, then frozen.
--
-- No I/O, never waits. Matching itself is done in C; `compile` turns a tree of
-- routers into one core router and the list of its handlers.
-- Failure: bad patterns and wrong controllers raise at once with the caller's
-- file and line; two routes in conflict raise when the routers are compiled,
-- naming both places.

local core = require "luaqueduct.core.router"
local limits = require "luaqueduct.limits"
local link = require "luaqueduct.link"
local place = require "luaqueduct.place"

-- { links, method, pattern, place, router, values = its limits }
local Route = {}

local route_mt = { __index = Route, __name = "luaqueduct.Route" }

-- { entries = routes, groups and mounts in order of declaration, compiled = made by `match`,
-- frozen, is_group = stands under a prefix, so that "" is a pattern, links, otherwise = its
-- fallback }
local Router = {}

local router_mt = { __index = Router, __name = "luaqueduct.Router" }

local m = {}

-- ---- checks ---------------------------------------------------------------------------------

local function check_router(router)
  if getmetatable(router) ~= router_mt then
    place.raise("a router is needed: call its methods with a colon, router:get(…)")
  end
end

local function check_open(router)
  check_router(router)
  if router.frozen then
    place.raise("the routing table is frozen: declare routes before entry_point returns")
  end
end

local function check_syntax(pattern)
  local ok, err = pcall(core.check, pattern)

  if not ok then place.raise("%s", tostring(err)) end
end

local function check_pattern(router, pattern)
  if type(pattern) ~= "string" then
    place.raise("a pattern must be a string, not a %s", type(pattern))
  end
  if router.is_group and (pattern == "" or pattern:sub(1, 2) == "[/") then
    pattern = "/group" .. pattern
  end
  check_syntax(pattern)
end

--- A prefix is a pattern of whole segments behind which another one can stand; "/" is the same as
--- none.
local function check_prefix(prefix)
  if type(prefix) ~= "string" then
    place.raise("a prefix must be a string, not a %s", type(prefix))
  end
  if prefix == "/" or prefix == "" then return "" end
  check_syntax(prefix)
  if prefix:sub(-1) == "/" then place.raise("the prefix '%s' must not end with a slash", prefix) end
  if not pcall(core.check, prefix .. "/x") then
    place.raise("the prefix '%s' must leave room for a route: no optional tail, no '*'", prefix)
  end
  return prefix
end

-- ---- routes ---------------------------------------------------------------------------------

--- Adds a controller behind those that are there.
---@param controller luaqueduct.Controller
---@return luaqueduct.Route self
function Route:link(controller)
  check_open(self.router)
  self.links[#self.links + 1] = link.check(controller)
  return self
end

--- Limits that C applies before it reads the body.
---@param values luaqueduct.Limits
---@return luaqueduct.Route self
function Route:limits(values)
  check_open(self.router)
  self.values = limits.merge(self.values or {}, values)
  return self
end

function route_mt:__tostring()
  return ("luaqueduct.Route (%s %s)"):format(self.method, self.pattern)
end

local function add_route(router, method, pattern, ...)
  check_open(router)
  check_pattern(router, pattern)

  local route = setmetatable({
    links = {}, method = method, pattern = pattern, place = place.caller(), router = router,
  }, route_mt)
  for i = 1, select("#", ...) do route:link((select(i, ...))) end
  router.entries[#router.entries + 1] = route
  return route
end

--- A route for GET, and for HEAD as long as there is no other.
---@param pattern string
---@param ... luaqueduct.Controller
---@return luaqueduct.Route
function Router:get(pattern, ...)
  return (add_route(self, "GET", pattern, ...))
end

---@param pattern string
---@param ... luaqueduct.Controller
---@return luaqueduct.Route
function Router:post(pattern, ...)
  return (add_route(self, "POST", pattern, ...))
end

---@param pattern string
---@param ... luaqueduct.Controller
---@return luaqueduct.Route
function Router:put(pattern, ...)
  return (add_route(self, "PUT", pattern, ...))
end

---@param pattern string
---@param ... luaqueduct.Controller
---@return luaqueduct.Route
function Router:patch(pattern, ...)
  return (add_route(self, "PATCH", pattern, ...))
end

---@param pattern string
---@param ... luaqueduct.Controller
---@return luaqueduct.Route
function Router:delete(pattern, ...)
  return (add_route(self, "DELETE", pattern, ...))
end

---@param pattern string
---@param ... luaqueduct.Controller
---@return luaqueduct.Route
function Router:options(pattern, ...)
  return (add_route(self, "OPTIONS", pattern, ...))
end

--- A route for every method; one for the exact method goes before it.
---@param pattern string
---@param ... luaqueduct.Controller
---@return luaqueduct.Route
function Router:any(pattern, ...)
  return (add_route(self, "ANY", pattern, ...))
end

--- A route for every method, whose controllers follow: `router:route(p):link(c1):link(c2)`.
---@param pattern string
---@return luaqueduct.Route
function Router:route(pattern)
  return (add_route(self, "ANY", pattern))
end

-- ---- routers --------------------------------------------------------------------------------

local function new(is_group)
  return setmetatable({ entries = {}, is_group = is_group, links = {} }, router_mt)
end

---@param value any
---@return boolean
function m.is_router(value)
  return getmetatable(value) == router_mt
end

---@return luaqueduct.Router
function m.new()
  return new(false)
end

--- Puts a controller in front of all routes of this router. Runs for matched routes only.
---@param controller luaqueduct.Controller
---@return luaqueduct.Router self
function Router:link(controller)
  check_open(self)
  self.links[#self.links + 1] = link.check(controller)
  return self
end

--- A router under a prefix. Patterns in it are put behind the prefix as they stand; "" is the
--- prefix itself.
---@param prefix string
---@return luaqueduct.Router group
function Router:group(prefix)
  check_open(self)
  prefix = check_prefix(prefix)

  local group = new(prefix ~= "" or self.is_group)
  self.entries[#self.entries + 1] = { prefix = prefix, router = group }
  return group
end

--- Whether `router` is `wanted` or has it inside.
local function contains(router, wanted)
  if router == wanted then return true end
  for _, entry in ipairs(router.entries) do
    if m.is_router(entry.router) and entry.prefix and contains(entry.router, wanted) then
      return true
    end
  end
  return false
end

--- Puts another router under a prefix. The result is a group around it, whose links run before
--- those of the mounted router.
---@param prefix string
---@param router luaqueduct.Router
---@return luaqueduct.Router group
function Router:mount(prefix, router)
  check_open(self)
  if not m.is_router(router) then
    place.raise("mount needs a router, not a %s", type(router))
  end
  if contains(router, self) then place.raise("a router cannot be mounted inside itself") end

  local group = self:group(prefix)
  group.entries[1] = { prefix = "", router = router }
  return group
end

--- Answers what no route matches, instead of the plain 404. In a group or a mounted router it
--- holds under the prefix. No links run in front of it.
---@param controller luaqueduct.Controller
---@return luaqueduct.Router self
function Router:fallback(controller)
  check_open(self)
  if self.otherwise then
    place.raise("this router has a fallback already, declared at %s", self.otherwise.place)
  end
  self.otherwise = { handler = link.check(controller), place = place.caller() }
  return self
end

function router_mt:__tostring()
  return ("luaqueduct.Router (%d entries)"):format(#self.entries)
end

-- ---- compiling ------------------------------------------------------------------------------

local function joined(first, second)
  return table.move(second, 1, #second, #first + 1, table.move(first, 1, #first, 1, {}))
end

local function flatten_route(route, prefix, links, out)
  if #route.links == 0 then
    error(("%s: the route %s has no controller; put one behind it with :link(controller)")
      :format(route.place, route.pattern), 0)
  end
  out.routes[#out.routes + 1] = {
    handler = link.compose(joined(links, route.links)),
    limits = route.values,
    method = route.method,
    pattern = prefix .. route.pattern,
    place = route.place,
  }
end

--- Freezes a tree of routers and writes it down as two lists: routes and fallbacks.
local function flatten(router, prefix, links, out)
  router.frozen = true
  links = joined(links, router.links)
  if router.otherwise then
    out.fallbacks[#out.fallbacks + 1] = {
      handler = router.otherwise.handler, method = "FALLBACK", pattern = prefix .. "[/*]",
      place = router.otherwise.place, prefix = prefix,
    }
  end
  for _, entry in ipairs(router.entries) do
    if entry.prefix then
      flatten(entry.router, prefix .. entry.prefix, links, out)
    else
      flatten_route(entry, prefix, links, out)
    end
  end
  return out
end

local function conflict(route, other)
  error(("%s: %s %s is the same as %s %s, declared at %s"):format(route.place, route.method,
    route.pattern, other.method, other.pattern, other.place), 0)
end

--- Enters a route under a tag, its place in `list`.
local function add(target, method, list, tag)
  local route = list[tag]
  local ok, done, other = pcall(target.add, target, method, route.pattern, tag, route.limits)

  if not ok then error(("%s: %s"):format(route.place, tostring(done)), 0) end
  if not done then conflict(route, list[other]) end
end

--- The fallback of the whole table, taken out of the list of those that have a prefix.
local function split_fallbacks(list)
  local whole, prefixed = nil, {}

  for _, fallback in ipairs(list) do
    if fallback.prefix ~= "" then
      prefixed[#prefixed + 1] = fallback
    elseif whole then
      conflict(fallback, whole)
    else
      whole = fallback
    end
  end
  return whole, prefixed
end

--- One function for all fallbacks: the one with the most specific prefix answers. It runs only
--- for what no route matches, so a method that is not allowed stays a 405.
local function fallback_handler(list)
  local whole, prefixed = split_fallbacks(list)
  local by_prefix = core.new()

  if #prefixed == 0 then return whole and whole.handler end
  for tag = 1, #prefixed do add(by_prefix, "ANY", prefixed, tag) end
  return function(req)
    local kind, tag = by_prefix:match("GET", req.path)
    if kind == "found" then return prefixed[tag].handler(req) end
    if whole then return whole.handler(req) end
    return req
  end
end

---@class luaqueduct.Compiled
---@field fallbacks table[]
---@field handlers luaqueduct.Handler[] by tag
---@field router luaqueduct.core.Router
---@field routes table[] { method, pattern, place }

--- Freezes a router with all in it.
---@param router luaqueduct.Router
---@return luaqueduct.Compiled
function m.compile(router)
  local out = flatten(router, "", {}, { fallbacks = {}, routes = {} })
  local compiled = {
    fallbacks = out.fallbacks, handlers = {}, router = core.new(), routes = out.routes,
  }

  for tag, route in ipairs(out.routes) do
    add(compiled.router, route.method, out.routes, tag)
    compiled.handlers[tag] = route.handler
  end
  local fallback = fallback_handler(out.fallbacks)
  if fallback then
    compiled.handlers[#out.routes + 1] = fallback
    compiled.router:fallback(#out.routes + 1)
  end
  return compiled
end

local STATUS_OF = { bad_path = 400, method = 405, none = 404, options = 204 }

--- What a request would find here, for tests: its handler, links included, and its params. Where
--- none is found: nil, the status of the answer, and the methods that are allowed (405 and 204).
--- Freezes the router.
---@param method string
---@param path string as it is sent, without the query
---@return luaqueduct.Handler? handler
---@return table<string, string>|integer params_or_status
---@return string[]? allowed
function Router:match(method, path)
  check_router(self)
  self.compiled = self.compiled or m.compile(self)

  local kind, tag, found = self.compiled.router:match(method, path)
  if kind == "found" then return self.compiled.handlers[tag], found end
  return nil, STATUS_OF[kind], found
end

return m
