--- Hello: an app is a script that returns a router.
--
-- Run: luaqueduct serve examples/hello.lua
--
--   $ curl -si http://127.0.0.1:8888/
--   < 200
--   < Content-Type: text/plain; charset=utf-8
--   < Hello, world!

local aq = require "luaqueduct"
local router = aq.router()

router:get("/", function()
  return "Hello, world!"
end)

return router
