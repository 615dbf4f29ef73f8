--- Listen: what one client of the database notifies, all that listen hear, in every process.
--
-- Run: luaqueduct serve --option url=postgres:///test examples/listen.lua
--
--   $ curl -si http://127.0.0.1:8888/news -d 'It rains.'
--   < 202
--   $ sleep 0.3; curl -si http://127.0.0.1:8888/news
--   < 200
--   < ["It rains."]

local aq = require "luaqueduct"
local App = aq.channel()

function App:prepare()
  self.db = aq.db.open { url = self.options.context.url or os.getenv "DATABASE_URL" }
  self.news = aq.array {}
  -- On a connection of its own, which listens again when the server was away.
  assert(self.db:listen("news", function(payload) self.news[#self.news + 1] = payload end))
end

function App:entry_point()
  local router = aq.router()

  router:get("/news", function() return self.news end)
  router:post("/news", function(req)
    assert(self.db:notify("news", (req:body())))
    return aq.accepted()
  end)
  return router
end

return App
