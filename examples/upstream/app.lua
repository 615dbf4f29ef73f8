--- Upstream: one streaming connection for all workers, in a service (feed.lua) that republishes on
--- the hub what comes.
--
-- Run: luaqueduct serve -j 1 --listen http://127.0.0.1:9000 examples/upstream/simulator.lua
--      luaqueduct serve -j 4 --option upstream=127.0.0.1:9000 examples/upstream/app.lua
--
--   $ curl -si http://127.0.0.1:8888/rooms/kitchen
--   < 200
--   < {"degrees":20.
--   $ curl -si http://127.0.0.1:8888/rooms/garage
--   < 404
--   $ curl -si http://127.0.0.1:9000/listeners
--   < 200
--   < 1

local aq = require "luaqueduct"
local App = aq.channel()

function App.initialize(options)
  local host, port = (options.context.upstream or "127.0.0.1:9000"):match "^(.+):(%d+)$"

  options:service("feed", "feed.lua", { host = host, port = tonumber(port) })
end

function App:prepare()
  self.rooms = assert(aq.service("feed"):call "latest")
  aq.hub.subscribe("reading", function(reading) self.rooms[reading.room] = reading.degrees end)
end

function App:entry_point()
  local router = aq.router()
  router:get("/rooms/:room", function(req)
    local degrees = self.rooms[req.params.room]
    return degrees and { degrees = degrees } or aq.not_found()
  end)
  return router
end

return App
