--- Cookies: read the Cookie header, write Set-Cookie (RFC 6265).
--
-- Pure: no I/O, no state, never waits. Safe to call from any task.
-- Failure: unreadable input is passed over, never an error; a bad argument to
-- `bake` is a bug in the caller and raises.

local place = require "luaqueduct.place"

local TOKEN = "^[%w!#$%%&'*+%-.^_`|~]+$"
local NOT_IN_VALUE = '[^\x21-\x7E]'
local SPECIAL = '[",;\\]'
local ATTRIBUTE = "^[\x20-\x3A\x3C-\x7E]+$"
local DAYS = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" }
local MONTHS = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov",
  "Dec" }
local SAME_SITE = { strict = "Strict", lax = "Lax", none = "None" }
local OPTIONS = "domain, expires, http_only, max_age, path, same_site, secure"

local m = {}

--- The time as a header has it; names of its own, as os.date knows locales.
local function http_date(time)
  local t = os.date("!*t", time)

  return ("%s, %02d %s %04d %02d:%02d:%02d GMT"):format(DAYS[t.wday], t.day, MONTHS[t.month],
    t.year, t.hour, t.min, t.sec)
end

-- One function an option: value -> text of the attribute, or nil to leave it out. They raise
-- through `bad`.
local function bad(name, value, wanted)
  place.raise("cookie option '%s' is %s; %s", name, tostring(value), wanted)
end

local function plain(label, name)
  return function(value)
    if type(value) ~= "string" or not value:find(ATTRIBUTE) then
      bad(name, value, "a string without ';' and control characters is needed")
    end
    return "; " .. label .. "=" .. value
  end
end

local function flag(label, name)
  return function(value)
    if type(value) ~= "boolean" then bad(name, value, "true or false is needed") end
    return value and "; " .. label or nil
  end
end

local function whole_number(name, value)
  local n = math.type(value) and math.tointeger(value)

  return n or bad(name, value, "an integer is needed")
end

local attributes = {
  domain = plain("Domain", "domain"),
  expires = function(value)
    return "; Expires=" .. http_date(whole_number("expires", value))
  end,
  http_only = flag("HttpOnly", "http_only"),
  max_age = function(value)
    return "; Max-Age=" .. whole_number("max_age", value)
  end,
  path = plain("Path", "path"),
  same_site = function(value)
    local name = SAME_SITE[type(value) == "string" and value:lower()]
    return "; SameSite=" .. (name or bad("same_site", value, "strict, lax or none is needed"))
  end,
  secure = flag("Secure", "secure"),
}

local order = { "path", "domain", "max_age", "expires", "secure", "http_only", "same_site" }

local function check_pair(name, value)
  if type(name) ~= "string" or not name:find(TOKEN) then
    place.raise("cookie name %s is no token: letters, digits and !#$%%&'*+-.^_`|~ are allowed",
      type(name) == "string" and ("%q"):format(name) or tostring(name))
  end
  if type(value) ~= "string" then
    place.raise("the value of cookie '%s' is a %s; a string is needed", name, type(value))
  end
  value = value:match '^"(.*)"$' or value
  if value:find(NOT_IN_VALUE) or value:find(SPECIAL) then
    place.raise("the value of cookie '%s' has a blank, a control character, a byte above 127 or "
      .. "one of \" , ; \\ and must be encoded first", name)
  end
end

local function check_options(options)
  if type(options) ~= "table" then
    place.raise("the options of a cookie must be a table, not a %s", type(options))
  end
  for name in pairs(options) do
    if not attributes[name] then
      place.raise("unknown cookie option '%s'; known are %s", tostring(name), OPTIONS)
    end
  end
end

--- Cookies of a Cookie header: name -> value. The first of equal names counts; quotes around a
--- value are taken off.
---@param header? string
---@return table<string, string>
function m.parse(header)
  local cookies = {}

  for pair in (header or ""):gmatch "[^;]+" do
    local name, value = pair:match "^%s*([^=]-)%s*=%s*(.-)%s*$"
    if name and name ~= "" and not cookies[name] then
      cookies[name] = value:match '^"(.*)"$' or value
    end
  end
  return cookies
end

--- The value of a Set-Cookie header.
---@param name string a token
---@param value string
---@param options? luaqueduct.CookieOptions
---@return string
function m.bake(name, value, options)
  options = options or {}
  check_pair(name, value)
  check_options(options)

  local parts = { name .. "=" .. value }
  for _, key in ipairs(order) do
    local option = options[key]
    if key == "path" and option == nil then option = "/" end
    if option ~= nil then parts[#parts + 1] = attributes[key](option) end
  end
  return table.concat(parts)
end

return m
