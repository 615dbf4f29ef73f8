---@meta luaqueduct
-- luacheck: ignore 212 241

--- What an app sees: `local aq = require "luaqueduct"`.
---@class luaqueduct
---@field hub luaqueduct.core.hub messages to other workers and services
---@field instance luaqueduct.Instance what this worker knows of itself
---@field json luaqueduct.Json encodes and decodes JSON
---@field log luaqueduct.Logger writes records
---@field null userdata JSON's null, where nil would leave a hole
---@field tcp luaqueduct.tcp connections to other servers, and from clients that speak no HTTP
---@field db luaqueduct.db databases
local aq = {}

-- ---- the app --------------------------------------------------------------------------------

--- A channel to be filled with functions: `initialize`, `prepare`, `entry_point`, `ready`, `close`
--- and `on_error`.
---
--- ```lua
--- local App = aq.channel()
--- function App:entry_point() return function(req) return "hello" end end
--- return App
--- ```
---@return luaqueduct.Channel
---@nodiscard
function aq.channel() end

--- A router without routes.
---
--- ```lua
--- local router = aq.router()
--- router:get("/users/:id(%d+)", function(req) return { id = tonumber(req.params.id) } end)
--- return router
--- ```
---@return luaqueduct.Router
---@nodiscard
function aq.router() end

-- ---- responses ------------------------------------------------------------------------------

--- Any response. Wrong arguments of this function and its kin raise with the caller's place.
---@param status integer 200 to 599
---@param headers? luaqueduct.HeaderFields
---@param body? luaqueduct.Body
---@return luaqueduct.Response
---@nodiscard
function aq.response(status, headers, body) end

--- 200 OK.
---@param body? luaqueduct.Body
---@param headers? luaqueduct.HeaderFields
---@return luaqueduct.Response
---@nodiscard
function aq.ok(body, headers) end

--- 201 Created, with its Location.
---@param location string where the new thing is found
---@param body? luaqueduct.Body
---@return luaqueduct.Response
---@nodiscard
function aq.created(location, body) end

--- 202 Accepted: it will be done later.
---@param body? luaqueduct.Body
---@return luaqueduct.Response
---@nodiscard
function aq.accepted(body) end

--- 204 No Content.
---@return luaqueduct.Response
---@nodiscard
function aq.no_content() end

--- 302 Found, or another redirection.
---@param location string
---@param status? integer 300 to 399; 302 unless given
---@return luaqueduct.Response
---@nodiscard
function aq.redirect(location, status) end

--- 304 Not Modified.
---@return luaqueduct.Response
---@nodiscard
function aq.not_modified() end

--- 400 Bad Request.
---@param body? luaqueduct.Body
---@return luaqueduct.Response
---@nodiscard
function aq.bad_request(body) end

--- 401 Unauthorized.
---@param challenge? string the WWW-Authenticate header, `Basic realm="x"`
---@param body? luaqueduct.Body
---@return luaqueduct.Response
---@nodiscard
function aq.unauthorized(challenge, body) end

--- 403 Forbidden.
---@param body? luaqueduct.Body
---@return luaqueduct.Response
---@nodiscard
function aq.forbidden(body) end

--- 404 Not Found.
---@param body? luaqueduct.Body
---@return luaqueduct.Response
---@nodiscard
function aq.not_found(body) end

--- 409 Conflict.
---@param body? luaqueduct.Body
---@return luaqueduct.Response
---@nodiscard
function aq.conflict(body) end

--- 410 Gone.
---@param body? luaqueduct.Body
---@return luaqueduct.Response
---@nodiscard
function aq.gone(body) end

--- 500 Internal Server Error.
---@param body? luaqueduct.Body
---@return luaqueduct.Response
---@nodiscard
function aq.server_error(body) end

--- `text/html; charset=utf-8`.
---@param text string
---@param status? integer 200 unless given
---@return luaqueduct.Response
---@nodiscard
function aq.html(text, status) end

--- A streamed body. `fn` runs when the response goes out; `write` suspends its task while the
--- client is slow, and returns `nil, err` once it has left.
---@param fn fun(write: luaqueduct.Write)
---@param headers? luaqueduct.HeaderFields
---@return luaqueduct.Response
---@nodiscard
function aq.stream(fn, headers) end

-- ---- connections that stay -----------------------------------------------------------------

--- A controller for WebSockets.
---
--- ```lua
--- router:get("/echo", aq.websocket { message = function(ws, data) ws:send(data) end })
--- ```
---@param options luaqueduct.WebSocketOptions
---@return luaqueduct.WebSocketController
---@nodiscard
function aq.websocket(options) end

-- ---- services -----------------------------------------------------------------------------

--- A service to be called, by its name; or, without one, what the script of a service returns, to
--- be filled with functions. Raises for a name that nobody has declared.
---@param name? string|luaqueduct.ServiceKind
---@param options? luaqueduct.CallOptions
---@return luaqueduct.ServiceDefinition|luaqueduct.Service
function aq.service(name, options) end

-- ---- waiting --------------------------------------------------------------------------------

--- Suspends the task. Raises when `seconds` is negative.
---@async
---@param seconds number
function aq.sleep(seconds) end

--- Starts a task in this turn of the loop, once the running one waits or ends. An error in it is
--- logged.
---@param fn async fun(...)
---@param ... any arguments of `fn`
---@return luaqueduct.Task handle
function aq.spawn(fn, ...) end

--- Runs `fn(...)` in a task of its own after some time.
---@param seconds number
---@param fn async fun(...)
---@param ... any arguments of `fn`
---@return luaqueduct.Task handle its `cancel` also ends a function that has begun
function aq.after(seconds, fn, ...) end

--- Runs `fn()` again and again, in one task: a run that takes longer delays the next one. An
--- error is logged, and it goes on.
---@param seconds number more than 0
---@param fn async fun()
---@return luaqueduct.Task handle
function aq.every(seconds, fn) end

--- Runs functions side by side, each in a task of its own, and waits for all. Returns each one's
--- first result, nils in their places; for a list of functions, a list. The first error cancels
--- the rest and is raised. Suspends the task until all have ended.
---@async
---@param ... (async fun(): any)|(async fun(): any)[]
---@return any ...
function aq.all(...) end

--- Runs `fn(...)` in a task of its own and waits for it: cancelling the caller does not end it.
--- Returns its results, raises its error. Suspends the task until it has ended.
---@async
---@generic T
---@param fn async fun(...): T
---@param ... any arguments of `fn`
---@return T ...
function aq.shield(fn, ...) end

--- Seconds on a clock that is never set.
---@return number
---@nodiscard
function aq.now() end

--- Seconds since 1970, the wall clock.
---@return number
---@nodiscard
function aq.time() end

-- ---- data and logging -----------------------------------------------------------------------

--- Marks a table as an array, so that it is `[]` in JSON when empty. Makes one when none is given.
---@generic T
---@param list? T[]
---@return T[]
function aq.array(list) end

--- A logger whose records carry a name.
---@param name string not empty
---@return luaqueduct.Logger
---@nodiscard
function aq.logger(name) end

--- JSON as text: `aq.json`.
---@class luaqueduct.Json
local json = {}

--- Raises for what JSON has no word for, naming the path to it.
---@param value any
---@return string
---@nodiscard
function json.encode(value) end

--- Arrays stay arrays, integers integers; null becomes `aq.null`.
---@param text string
---@return any value
---@return luaqueduct.Error? err
---@nodiscard
function json.decode(text) end

--- Writes records: `log.info("served", { count = 3 })`. Nothing is formatted while the level is
--- off; it never waits. Any value may stand in the fields, a table also when JSON would refuse it.
---
--- A record has a bound, and says what is not there: of a message the first 256 KiB are written, of
--- a string or table among the fields 64 KiB (tables 32 levels deep), of the fields 1,000 with
--- 256 KiB together. A string ends with `... (1234 bytes more)` then, a table with `"..."`, and the
--- last field is `...="7 fields more"`.
---@class luaqueduct.Logger
local log = {}

--- What helps to find a fault.
---@param message any
---@param fields? table<string, any>
function log.debug(message, fields) end

--- What happens as it is meant to.
---@param message any
---@param fields? table<string, any>
function log.info(message, fields) end

--- What should be looked at.
---@param message any
---@param fields? table<string, any>
function log.warn(message, fields) end

--- What has failed.
---@param message any
---@param fields? table<string, any>
function log.error(message, fields) end

return aq
