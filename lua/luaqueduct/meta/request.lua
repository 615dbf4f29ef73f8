---@meta luaqueduct.core.request
-- luacheck: ignore 212 241

--- A request. It is valid until its answer is complete; using it afterwards raises, and so does
--- assigning a field.
---@class luaqueduct.Request
---@field context table for links to pass things on
---@field cookies table<string, string>
---@field headers table<string, string> any case; repeated ones are joined with ", "
---@field host? string the authority as it was sent, or as a trusted proxy tells it
---@field id string
---@field method string
---@field params table<string, string> what the pattern's variables have matched; "*" the rest
---@field path string as it was sent, without the query
---@field query table<string, string> the first value of each name
---@field remote_address string of the client, as far as trusted proxies tell it: an IP address,
---  "unix:", or "unknown" or a name with "_" in front when the proxy does not tell more
---@field remote_port? integer of the same
---@field scheme string "http", or "https" when a trusted proxy says so
---@field target string
---@field version string "1.1" or "1.0"
local Request = {}

--- The whole body, "" when there is none; kept. Suspends the task until it is there.
---@async
---@return string?
---@return luaqueduct.Error? err
function Request:body() end

--- Iterates over the body's bytes as they come; once, and not after `body`. Suspends the task in
--- each step. A body that is too large, malformed, late or cut off ends the loop early: the
--- iterator gives nil and an error, and an answer of success becomes 413, 400 or 408.
---@async
---@return fun(): string?, luaqueduct.Error?
function Request:chunks() end

--- Takes the connection out of HTTP. The handler returns nil afterwards.
---@return luaqueduct.Stream?
---@return luaqueduct.Error? err
function Request:detach() end

--- The first value of each field of a form. Suspends the task until the body is there.
---@async
---@return table<string, string>?
---@return luaqueduct.Error? err
function Request:form() end

--- All values of each field of a form. Suspends the task until the body is there.
---@async
---@return table<string, string[]>?
---@return luaqueduct.Error? err
function Request:form_all() end

--- All values of a header, in order.
---@param name string
---@return string[]
---@nodiscard
function Request:header_all(name) end

--- The body decoded, whatever its Content-Type. Suspends the task until the body is there.
---@async
---@return any value
---@return luaqueduct.Error? err
function Request:json() end

--- `fn` may turn an error into a response; nil leaves it to the next one. The last one added is
--- asked first, the channel's on_error at the end.
---@param fn fun(err: any, req: luaqueduct.Request): luaqueduct.Result
function Request:on_error(fn) end

--- `fn` edits the response on its way out. The last one added runs first.
---@param fn fun(res: luaqueduct.Response, req: luaqueduct.Request)
function Request:on_response(fn) end

--- All values of a name in the query, in order.
---@param name string
---@return string[]
---@nodiscard
function Request:query_all(name) end
