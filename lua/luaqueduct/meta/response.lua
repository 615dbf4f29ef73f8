---@meta _
-- luacheck: ignore 212 241

--- A string or number as it is, a table as JSON, a function as a stream.
---@alias luaqueduct.Body string|number|table|fun(write: luaqueduct.Write)

--- Sends bytes of a streamed body. Suspends the task while the client is slow; `nil, err` with
--- `closed` once it has left.
---@alias luaqueduct.Write async fun(bytes: string): true|nil, luaqueduct.Error?

--- Name -> value, or a list of values.
---@alias luaqueduct.HeaderFields table<string, string|number|(string|number)[]>

--- What a controller answers with; `aq.response` and its kin make it, functions of
--- `req:on_response` edit it.
---@class luaqueduct.Response
---@field status integer 200 to 599
---@field headers luaqueduct.HeaderFields
---@field body? luaqueduct.Body
local Response = {}

--- Adds a Set-Cookie header. The path is `/` unless given.
---@param name string
---@param value string
---@param options? luaqueduct.CookieOptions
---@return luaqueduct.Response self
function Response:set_cookie(name, value, options) end

--- The attributes of a cookie.
---@class luaqueduct.CookieOptions
---@field path? string `/` unless given
---@field domain? string this host alone unless given
---@field max_age? integer seconds; 0 deletes the cookie
---@field expires? integer seconds since 1970
---@field secure? boolean over TLS only
---@field http_only? boolean not for scripts
---@field same_site? "strict"|"lax"|"none" whether other sites' requests carry it
