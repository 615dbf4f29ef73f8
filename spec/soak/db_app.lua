--- The app of spec/system/db_soak_spec.lua: whatever it answers has been through the database.
--
-- SOAK_URL is the database's, SOAK_SHARED "true" makes one pool for all workers. Each route is
-- asked for with a number and answers with it; 503 and the error's code when the database fails.

local aq = require "luaqueduct"

local db = aq.db.open {
  url = os.getenv "SOAK_URL",
  shared = os.getenv "SOAK_SHARED" == "true",
  size = 4,
  acquire_timeout = 2,
  connect_timeout = 1,
  query_timeout = 1,
}

local handlers = {}

function handlers.value(n)
  return db:value("select $1::bigint", n)
end

--- Side by side: on one connection as a rule, each with a number of its own.
function handlers.many(n)
  local fns = {}
  for i = 1, 5 do
    fns[i] = function() return (assert(db:value("select $1::bigint", n * 10 + i))) end
  end
  for i, value in ipairs(aq.all(fns)) do assert(value == n * 10 + i, "another one's answer") end
  return n
end

--- Beside those that succeed, on their connections.
function handlers.fails(n)
  local value, err = db:value("select $1::bigint / 0", n)
  assert(value == nil, "a value")
  if err.code ~= "22012" then return nil, err end
  return n
end

--- Two rows or none.
function handlers.pair(n)
  return db:transaction(function(tx)
    local ok, err = tx:query("insert into pairs values ($1::bigint, 1)", n)
    if not ok then return nil, err end
    return tx:value("insert into pairs values ($1::bigint, 2) returning n", n)
  end)
end

--- Every other one leaves its loop early.
function handlers.rows(n)
  local count = 0

  for row in db:each("select $1::bigint + g as value from generate_series(0, 99) g", n) do
    assert(row.value == n + count, "another one's row")
    count = count + 1
    if n % 2 == 0 and count == 50 then break end
  end
  assert(count == (n % 2 == 0 and 50 or 100), "rows are missing")
  return n
end

local function is_of_database(err)
  return type(err) == "table" and err.code ~= nil
end

local router = aq.router()

for name, handler in pairs(handlers) do
  router:get("/" .. name .. "/:n", function(req)
    local ok, value, err = pcall(handler, math.tointeger(req.params.n))
    if not ok then
      if not is_of_database(value) then error(value, 0) end
      value, err = nil, value
    end
    if value == nil then return aq.response(503, nil, err.code) end
    return ("%s %d"):format(name, value)
  end)
end

router:get("/stats", function()
  local stats = db:stats()
  return { worker = aq.instance.id, open = stats.open, busy = stats.busy, idle = stats.idle,
    waiting = stats.waiting, reconnects = stats.reconnects, queries = stats.queries }
end)

return router
