--- What luaqueduct serves in the benchmark: plain text, JSON, a route with a parameter, and plain
--- text with a record in the log.
--
-- Run: build/luaqueduct serve -j 1 spec/bench/app.lua

local aq = require "luaqueduct"
local router = aq.router()

router:get("/plain", function() return "Hello, World!" end)
router:get("/json", function() return { message = "Hello, World!" } end)
router:get("/logged", function()
  aq.log.info("request", { user = 4711, path = "/logged" })
  return "Hello, World!"
end)
router:get("/users/:id(%d+)", function(req) return "user " .. req.params.id end)

return router
