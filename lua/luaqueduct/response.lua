--- Responses: what a controller answers with, by name.
--
-- Pure: no I/O, never waits. A response is a table { status, headers, body }
-- that C encodes: body may be a string, a table (JSON) or a function (stream).
-- Failure: a wrong status, header or body is a bug in the caller and raises
-- with the caller's file and line.

local cookie = require "luaqueduct.cookie"
local dispatch = require "luaqueduct.core.dispatch"
local place = require "luaqueduct.place"

local TOKEN = "^[%w!#$%%&'*+%-.^_`|~]+$"
local CONTROL = "[\0-\8\10-\31\127]"
local RESERVED = {
  ["connection"] = true,
  ["content-length"] = true,
  ["date"] = true,
  ["transfer-encoding"] = true,
}
local BODY_TYPES = { ["nil"] = true, string = true, number = true, table = true,
  ["function"] = true }

local Response = {}

local mt = { __index = Response, __name = "luaqueduct.Response" }

local m = {}

-- ---- checks ---------------------------------------------------------------------------------

local function check_name(name)
  if type(name) ~= "string" or not name:find(TOKEN) then
    place.raise("the header name %s is no token", type(name) == "string" and
      ("%q"):format(name) or tostring(name))
  end
  if RESERVED[name:lower()] then
    place.raise("the header %s is the server's: it is set by itself", name)
  end
end

local function check_value(name, value)
  local kind = type(value)

  if kind ~= "string" and kind ~= "number" then
    place.raise("the value of the header %s is a %s; a string, a number or a list of them is "
      .. "needed", name, kind)
  end
  if kind == "string" and value:find(CONTROL) then
    place.raise("the value of the header %s has a line break or another control character", name)
  end
end

local function copy_list(name, list)
  local copy = {}

  for i, value in ipairs(list) do
    check_value(name, value)
    copy[i] = value
  end
  return copy
end

--- A checked copy: the table given may be one for all requests, and hooks edit the copy.
local function copy_headers(headers)
  local copy = {}

  if headers == nil then return copy end
  if type(headers) ~= "table" then
    place.raise("headers must be a table, not a %s", type(headers))
  end
  for name, value in pairs(headers) do
    check_name(name)
    if type(value) == "table" then
      copy[name] = copy_list(name, value)
    else
      check_value(name, value)
      copy[name] = value
    end
  end
  return copy
end

local function check_status(status, low, high)
  local n = math.type(status) and math.tointeger(status)

  if not n or n < low or n > high then
    place.raise("a status must be an integer from %d to %d, not %s", low, high, tostring(status))
  end
  return n
end

local function check_body(body)
  if not BODY_TYPES[type(body)] then
    place.raise("a body must be a string, a table (JSON) or a function (stream), not a %s",
      type(body))
  end
  if getmetatable(body) == mt then place.raise("a response cannot be the body of a response") end
  return body
end

local function check_string(what, value)
  if type(value) ~= "string" then
    place.raise("%s must be a string, not a %s", what, type(value))
  end
  return value
end

local function make(status, headers, body)
  return setmetatable({
    status = status, headers = copy_headers(headers), body = check_body(body),
  }, mt)
end

-- ---- methods --------------------------------------------------------------------------------

--- The key under which `name` stands in the table, whatever its case.
local function find_key(headers, name)
  for key in pairs(headers) do
    if type(key) == "string" and key:lower() == name then return key end
  end
end

--- Adds a Set-Cookie header. The path is `/` unless given.
---@param name string
---@param value string
---@param options? luaqueduct.CookieOptions
---@return luaqueduct.Response self
function Response:set_cookie(name, value, options)
  local line = cookie.bake(name, value, options)
  local key = find_key(self.headers, "set-cookie") or "Set-Cookie"
  local list = self.headers[key]

  list = type(list) == "table" and table.move(list, 1, #list, 1, {}) or { list }
  list[#list + 1] = line
  self.headers[key] = list
  return self
end

function mt:__tostring()
  return ("luaqueduct.Response (%s)"):format(tostring(self.status))
end

-- ---- constructors ---------------------------------------------------------------------------

--- Any response.
---@param status integer 200 to 599
---@param headers? luaqueduct.HeaderFields
---@param body? luaqueduct.Body
---@return luaqueduct.Response
function m.response(status, headers, body)
  return make(check_status(status, 200, 599), headers, body)
end

---@param body? luaqueduct.Body
---@param headers? luaqueduct.HeaderFields
---@return luaqueduct.Response
function m.ok(body, headers)
  return make(200, headers, body)
end

---@param location string where the new thing is found
---@param body? luaqueduct.Body
---@return luaqueduct.Response
function m.created(location, body)
  return make(201, { Location = check_string("the location", location) }, body)
end

---@param body? luaqueduct.Body
---@return luaqueduct.Response
function m.accepted(body)
  return make(202, nil, body)
end

---@return luaqueduct.Response
function m.no_content()
  return make(204)
end

---@param location string
---@param status? integer 300 to 399; 302 unless given
---@return luaqueduct.Response
function m.redirect(location, status)
  return make(check_status(status or 302, 300, 399),
    { Location = check_string("the location", location) })
end

---@return luaqueduct.Response
function m.not_modified()
  return make(304)
end

---@param body? luaqueduct.Body
---@return luaqueduct.Response
function m.bad_request(body)
  return make(400, nil, body)
end

---@param challenge? string the WWW-Authenticate header, `Basic realm="x"`
---@param body? luaqueduct.Body
---@return luaqueduct.Response
function m.unauthorized(challenge, body)
  return make(401, { ["WWW-Authenticate"] = challenge }, body)
end

---@param body? luaqueduct.Body
---@return luaqueduct.Response
function m.forbidden(body)
  return make(403, nil, body)
end

---@param body? luaqueduct.Body
---@return luaqueduct.Response
function m.not_found(body)
  return make(404, nil, body)
end

---@param body? luaqueduct.Body
---@return luaqueduct.Response
function m.conflict(body)
  return make(409, nil, body)
end

---@param body? luaqueduct.Body
---@return luaqueduct.Response
function m.gone(body)
  return make(410, nil, body)
end

---@param body? luaqueduct.Body
---@return luaqueduct.Response
function m.server_error(body)
  return make(500, nil, body)
end

---@param text string
---@param status? integer 200 unless given
---@return luaqueduct.Response
function m.html(text, status)
  return make(check_status(status or 200, 200, 599),
    { ["Content-Type"] = "text/html; charset=utf-8" }, check_string("the HTML", text))
end

--- A streamed body. `fn` runs when the response goes out; `write` suspends its task while the
--- client is slow, and returns `nil, err` once it has left.
---@param fn fun(write: luaqueduct.Write)
---@param headers? luaqueduct.HeaderFields
---@return luaqueduct.Response
function m.stream(fn, headers)
  if type(fn) ~= "function" then
    place.raise("aq.stream needs a function, not a %s", type(fn))
  end
  return make(200, headers, fn)
end

-- ---- for the runtime ------------------------------------------------------------------------

---@param value any
---@return boolean
function m.is_response(value)
  return getmetatable(value) == mt
end

--- A response of one's own to edit, from whatever a controller has returned.
---@param value any
---@return luaqueduct.Response
function m.editable(value)
  if m.is_response(value) then
    return setmetatable({
      status = value.status, headers = copy_headers(value.headers), body = value.body,
    }, mt)
  end
  if type(value) ~= "string" and type(value) ~= "table" then
    error(("a handler returned a %s; it returns a string, a table (JSON) or a response")
      :format(type(value)), 0)
  end
  return make(200, nil, value)
end

dispatch.response_mt(mt)

return m
