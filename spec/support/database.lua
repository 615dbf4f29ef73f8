--- A server of its own with an app that runs what it is sent, for specs of aq.db.
--
--   local site = database.start { workers = 2, options = "size = 1" }
--   local rows, err = site:run "return db:query 'select 1'"
--   site:stop()
--
-- The code sees `aq`, `db` (one for each worker), `open(options)` and `kept`, a table that stays.
-- Its results come back as they would in JSON; nil as "<nil>", errors as tables of their fields.
-- Failure: raises, with what the server has logged.

local client = require "spec.support.client"
local json = require "luaqueduct.core.json"
local pg = require "spec.support.postgres"
local server = require "spec.support.server"

local SOURCE = [[
local aq = require "luaqueduct"
local router = aq.router()
local kept = {}

local function open(options)
  options = options or {}
  options.url = options.url or URL
  if options.shared == nil then options.shared = SHARED end
  return aq.db.open(options)
end

local db = open { OPTIONS }

local FIELDS = { "code", "message", "detail", "hint", "schema", "table", "column", "constraint",
  "position" }

local function show(value)
  if value == nil then return "<nil>" end
  if type(value) == "table" and value.code then
    local copy = {}
    for _, name in ipairs(FIELDS) do copy[name] = value[name] end
    return copy
  end
  if type(value) == "number" and (value ~= value or value == 1/0 or value == -1/0) then
    return tostring(value)
  end
  if type(value) == "function" or type(value) == "userdata" and value ~= aq.null then
    return tostring(value)
  end
  return value
end

router:post("/run", function(req)
  local env = setmetatable({ aq = aq, db = db, kept = kept, open = open }, { __index = _G })
  local results = table.pack(assert(load(req:body(), "=run", "t", env))())
  local list = aq.array {}
  for i = 1, results.n do list[i] = show(results[i]) end
  return aq.json.encode(list)
end)
router:route("/fail"):link(aq.db.http_errors):link(function(req)
  if req.query.returned then return db:query(req.query.sql, req.query.value) end
  return assert(db:query(req.query.sql, req.query.value))
end)
return router
]]

-- `shared`: whether the pools of what is started are shared unless they say so themselves.
local database = { shared = false }
local methods = {}

--- Sends code to be run; its results come with `answer`.
function methods:begin(code)
  local conn = self.app:connect()

  assert(conn:send(client.format("POST", "/run", { body = code })))
  return conn
end

--- What code that was begun has returned.
function methods:answer(conn)
  local res, err = conn:read_response()

  if not res then error(tostring(err) .. "\n" .. self.app:log(), 2) end
  conn:close()
  if res.status ~= 200 then error(res.body .. "\n" .. self.app:log(), 2) end
  return table.unpack(json.decode(res.body))
end

--- Runs code; returns what it has returned.
function methods:run(code)
  return self:answer(self:begin(code))
end

--- Runs code that raises; returns the error.
function methods:raised(code)
  return (self:run("return select(2, pcall(function() " .. code .. " end))"))
end

function methods:stop()
  self.app:stop { status = 0 }
  self.postgres:stop()
end

---@param options? table { workers = 1, options = what aq.db.open is given, as Lua, server = … }
function database.start(options)
  options = options or {}

  local postgres = pg.start(options.server)
  local source = SOURCE:gsub("URL", function() return ("%q"):format(postgres.url) end)
    :gsub("SHARED", tostring(database.shared))
    :gsub("OPTIONS", function() return options.options or "" end)
  local app = server.start { source = source, workers = options.workers or 1 }
  return setmetatable({ app = app, postgres = postgres }, { __index = methods })
end

return database
