--- What clients send, checked before the database sees it.
--
-- Pure but for reading the body, which suspends the task.
-- Failure: nil and a response that says what is wrong with which field.

local aq = require "luaqueduct"

local m = {}

local PAGE, PAGE_MAX = 20, 100

--- Whether PostgreSQL takes it for a text: UTF-8 without NUL.
local function is_text(value, least, most)
  return type(value) == "string" and #value >= least and #value <= most
    and utf8.len(value) ~= nil and not value:find("\0", 1, true)
end

local function is_tags(value)
  if type(value) ~= "table" then return false end
  for key, tag in pairs(value) do
    if math.type(key) ~= "integer" or not is_text(tag, 1, 100) then return false end
  end
  return #value <= 20
end

-- What a field must be, and whether a value is that.
local FIELDS = {
  title = { "a text of 1 to 200 bytes", function(value) return is_text(value, 1, 200) end },
  body = { "a text", function(value) return is_text(value, 0, math.huge) end },
  tags = { "a list of at most 20 texts of 1 to 100 bytes", is_tags },
}

--- The note in a request's body; the fields in `required` must be there.
---@return table? note
---@return luaqueduct.Response? refusal
function m.note(req, required)
  local note, err = req:json()
  if err then return nil, aq.bad_request { error = tostring(err) } end
  if type(note) ~= "table" then return nil, aq.bad_request { error = "expected an object" } end
  local wrong = {}

  for _, name in ipairs(required) do
    if note[name] == nil then wrong[name] = "is missing" end
  end
  for name, value in pairs(note) do
    local rule = FIELDS[name]
    if not rule then
      wrong[tostring(name)] = "is not known"
    elseif not rule[2](value) then
      wrong[name] = "must be " .. rule[1]
    end
  end
  if next(wrong) then return nil, aq.bad_request { errors = wrong } end
  return note
end

--- An id out of the path; nil when there can be none such.
function m.id(text)
  return math.tointeger(tonumber(text))
end

--- Which page is asked for: `?limit=20&after=7&tag=shop`.
---@return table? page { limit, after, tag? }
---@return luaqueduct.Response? refusal
function m.page(req)
  local limit = math.tointeger(tonumber(req.query.limit or PAGE))
  local after, tag = m.id(req.query.after or 0), req.query.tag

  if not limit or limit < 1 or limit > PAGE_MAX then
    return nil, aq.bad_request { errors = { limit = "must be a number from 1 to " .. PAGE_MAX } }
  elseif not after or after < 0 then
    return nil, aq.bad_request { errors = { after = "must be the id of a note" } }
  elseif tag and not is_text(tag, 0, 100) then
    return nil, aq.bad_request { errors = { tag = "must be a text of at most 100 bytes" } }
  end
  return { limit = limit, after = after, tag = tag }
end

return m
