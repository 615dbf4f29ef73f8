--- Linking: controllers in a chain. Returning the request hands it on, a response ends it.
--
-- Run: luaqueduct serve examples/linking.lua
--
--   $ curl -si http://127.0.0.1:8888/private/hello
--   < 401
--   < WWW-Authenticate: Bearer
--   < X-Powered-By: luaqueduct
--   $ curl -si -H 'Authorization: Bearer sesame' http://127.0.0.1:8888/private/hello
--   < 200
--   < Hello, Ali Baba!

local aq = require "luaqueduct"
local router = aq.router()

-- A controller with a state of its own: a table with `handle`.
local Authorizer = { users = { sesame = "Ali Baba" } }

function Authorizer:handle(req)
  local token = (req.headers.authorization or ""):match "^Bearer (%S+)$"
  req.context.user = self.users[token or ""]
  if not req.context.user then return aq.unauthorized("Bearer") end
  return req
end

-- Edits every response on its way out.
local function sign(req)
  req:on_response(function(res) res.headers["X-Powered-By"] = "luaqueduct" end)
  return req
end

router:link(sign)
router:group("/private"):link(Authorizer):get("/hello", function(req)
  return ("Hello, %s!"):format(req.context.user)
end)

return router
