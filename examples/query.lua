--- Queries: a pool of connections in each worker, parameters and results as Lua values.
--
-- Run: luaqueduct serve --option url=postgres:///test examples/query.lua
--
--   $ curl -si http://127.0.0.1:8888/double/21
--   < 200
--   < {"double":42}
--   $ curl -si http://127.0.0.1:8888/days
--   < 200
--   < [{"day":"2024-02-28"},{"day":"2024-02-29"},{"day":"2024-03-01"}]
--   $ curl -si http://127.0.0.1:8888/sum -d '[1, 2, 3.5]'
--   < 200
--   < 6.5
--   $ curl -si http://127.0.0.1:8888/divide/1/0
--   < 422
--   < division by zero

local aq = require "luaqueduct"
local App = aq.channel()

function App:prepare()
  self.db = aq.db.open { url = self.options.context.url or os.getenv "DATABASE_URL", size = 4 }
end

function App:entry_point()
  local db, router = self.db, aq.router()

  router:get("/double/:n(%d+)", function(req)
    return assert(db:one("select $1::int * 2 as double", req.params.n))
  end)
  router:get("/days", function()
    return db:query("select d::date as day from generate_series($1::date, $2, '1 day') d",
      "2024-02-28", "2024-03-01")
  end)
  router:post("/sum", function(req) -- a list is an array
    return tostring(assert(db:value("select sum(n) from unnest($1::float8[]) n", req:json())))
  end)
  router:get("/divide/:a/:b", function(req)
    local value, err = db:value("select $1::int / $2", req.params.a, req.params.b)
    if err and err.code == "22012" then return aq.response(422, nil, err.message) end
    return value and tostring(value), err
  end)
  return router
end

return App
