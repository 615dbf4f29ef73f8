--- What luaqueduct serves in the benchmark's part `db`.
--
-- Run: luaqueduct serve -j 1 --option url=URL --option size=8 spec/bench/subjects/database.lua

local aq = require "luaqueduct"
local App = aq.channel()

local QUERIES = 20
local WORLD = "select id, randomnumber as \"randomNumber\" from world where id = $1"
local UPDATE = "update world set randomnumber = $1 where id = $2"
local LONG = "select id, number, message, at from long limit $1"
local ESCAPES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;",
  ["'"] = "&#39;" }

local db

local function random() return math.random(10000) end

local function by_message(a, b) return a.message < b.message end

local function by_id(a, b) return a.id < b.id end

--- Twenty rows, asked for at once.
local function worlds()
  local queries, rows = {}, {}
  for i = 1, QUERIES do queries[i] = { WORLD, random() } end
  for i, result in ipairs(assert(db:batch(queries))) do rows[i] = result[1] end
  return rows
end

local function updates()
  local rows, queries = worlds(), {}
  table.sort(rows, by_id)
  for i, row in ipairs(rows) do
    row.randomNumber = random()
    queries[i] = { UPDATE, row.randomNumber, row.id }
  end
  assert(db:batch(queries))
  return rows
end

local function fortunes()
  local rows = assert(db:query "select id, message from fortune")
  rows[#rows + 1] = { id = 0, message = "Additional fortune added at request time." }
  table.sort(rows, by_message)
  local parts = { "<!DOCTYPE html><html><head><title>Fortunes</title></head><body>"
    .. "<table><tr><th>id</th><th>message</th></tr>" }
  for i, row in ipairs(rows) do
    parts[i + 1] = "<tr><td>" .. row.id .. "</td><td>" .. row.message:gsub("[&<>\"']", ESCAPES)
      .. "</td></tr>"
  end
  parts[#parts + 1] = "</table></body></html>"
  return aq.html(table.concat(parts))
end

local function long(req)
  local rows, sum = 0, 0
  for row in db:each(LONG, math.tointeger(req.params.count)) do
    rows, sum = rows + 1, sum + row.id
  end
  return { rows = rows, sum = sum }
end

--- Holds a connection: who comes meanwhile waits for it.
local function held()
  return assert(db:transaction(function(tx) return (assert(tx:one(WORLD, random()))) end))
end

function App:prepare()
  local context = self.options.context
  db = aq.db.open { url = context.url, size = math.tointeger(context.size), acquire_timeout = 60,
    max_waiting = 20000 }
end

function App.entry_point()
  local router = aq.router()
  router:get("/one", function() return assert(db:one(WORLD, random())) end)
  router:get("/queries", worlds)
  router:get("/updates", updates)
  router:get("/fortunes", fortunes)
  router:get("/long/:count(%d+)", long)
  router:get("/held", held)
  return router
end

return App
