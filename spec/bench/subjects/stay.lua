--- Connections that stay: an echo over WebSocket (/) and TCP (STAY_PORT), and a room (/room).
--
-- A message over TCP has two bytes of length in front. What one sends to the room, all get.
--
-- Run: STAY_PORT=7000 build/luaqueduct serve -p 0 spec/bench/subjects/stay.lua

local aq = require "luaqueduct"
local App = aq.channel()
local port = tonumber(os.getenv "STAY_PORT")

function App.prepare()
  if not port then return end
  aq.tcp.listen {
    port = port,
    address = "127.0.0.1",
    framing = "u16",
    message = function(conn, data) conn:send(data) end,
  }
end

function App.entry_point()
  local router = aq.router()
  router:get("/", aq.websocket {
    deflate = false,
    message = function(ws, data, is_binary) ws:send(data, is_binary) end,
  })
  router:get("/room", aq.websocket {
    deflate = false,
    ping_interval = 0,
    open = function(ws) ws:subscribe "room" end,
    message = function(_, data) aq.hub.publish("room", data) end,
  })
  return router
end

return App
