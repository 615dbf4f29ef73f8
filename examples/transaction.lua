--- Transactions: all of it or nothing, on a connection of its own, again when others interfere.
--
-- Run: luaqueduct serve -j 1 --option url=postgres:///test examples/transaction.lua
--
--   $ curl -si http://127.0.0.1:8888/transfer/anna/ben/30 -X POST
--   < 200
--   < "anna":70
--   < "ben":130
--   $ curl -si http://127.0.0.1:8888/transfer/anna/ben/80 -X POST
--   < 409
--   < anna has not enough
--   $ curl -si http://127.0.0.1:8888/transfer/anna/nobody/10 -X POST
--   < 404
--   $ curl -si http://127.0.0.1:8888/accounts
--   < 200
--   < "anna":70
--   < "ben":130

local aq = require "luaqueduct"
local App = aq.channel()

function App:prepare()
  self.db = aq.db.open { url = self.options.context.url or os.getenv "DATABASE_URL" }
  assert(self.db:query "drop table if exists accounts")
  assert(self.db:query [[create table accounts (name text primary key,
    cents int not null check (cents >= 0))]])
  assert(self.db:query "insert into accounts values ('anna', 100), ('ben', 100)")
end

local function accounts(db)
  local result = {}
  for _, row in ipairs(assert(db:query "select name, cents from accounts")) do
    result[row.name] = row.cents
  end
  return result
end

--- Adds to one account; nil without an error when there is none.
local function add(tx, name, cents)
  return tx:value("update accounts set cents = cents + $2 where name = $1 returning cents", name,
    cents)
end

function App:entry_point()
  local db, router = self.db, aq.router()

  router:get("/accounts", function() return accounts(db) end)
  router:post("/transfer/:from/:to/:cents(%d+)", function(req)
    local p = req.params
    local cents = math.tointeger(tonumber(p.cents))
    local done, err = db:transaction(function(tx)
      local left, why = add(tx, p.from, -cents)
      if left then left, why = add(tx, p.to, cents) end
      if left then return accounts(tx) end
      return nil, why or { code = "nobody" } -- rolls back, as an error does
    end, { retry = 3 })

    if done then return done end
    if err.code == "nobody" then return aq.not_found() end
    if err.code == "23514" then return aq.conflict(p.from .. " has not enough") end
    return nil, err
  end)
  return router
end

return App
