--- Routing: variables, constraints, optional tails, the rest of a path, groups, a fallback.
--
-- Run: luaqueduct serve examples/routing.lua
--
--   $ curl -si http://127.0.0.1:8888/users/7
--   < 200
--   < user 7
--   $ curl -si http://127.0.0.1:8888/users/me
--   < 200
--   < user named me
--   $ curl -si http://127.0.0.1:8888/files/a/b.txt
--   < 200
--   < file a/b.txt
--   $ curl -si http://127.0.0.1:8888/files
--   < 200
--   < all files
--   $ curl -si -X POST http://127.0.0.1:8888/api/version
--   < 405
--   < Allow: GET, HEAD, OPTIONS
--   $ curl -si http://127.0.0.1:8888/nowhere
--   < 404
--   < no page at /nowhere

local aq = require "luaqueduct"
local router = aq.router()

-- The more specific pattern wins, whatever the order.
router:get("/users/:name", function(req) return "user named " .. req.params.name end)
router:get("/users/:id(%d+)", function(req) return "user " .. req.params.id end)
router:get("/files[/*]", function(req)
  local rest = req.params["*"]
  return rest and "file " .. rest or "all files"
end)

local api = router:group("/api")
api:get("/version", function() return { version = 1 } end)

router:fallback(function(req) return aq.not_found("no page at " .. req.path) end)

return router
