--- Streaming: a response written piece by piece, a body read piece by piece.
--
-- Run: luaqueduct serve examples/streaming.lua
--
--   $ curl -si http://127.0.0.1:8888/count/3
--   < 200
--   < Transfer-Encoding: chunked
--   < line 1
--   < line 3
--   $ curl -si http://127.0.0.1:8888/measure -d 'some bytes'
--   < 200
--   < 10 bytes

local aq = require "luaqueduct"
local router = aq.router()

router:get("/count/:n(%d+)", function(req)
  local n = tonumber(req.params.n)

  return aq.stream(function(write)
    for i = 1, n do
      -- Waits while the client is slow; nil once it has left.
      if not write("line " .. i .. "\n") then return end
      aq.sleep(0.1)
    end
  end)
end)

router:post("/measure", function(req)
  local size = 0

  for chunk in req:chunks() do size = size + #chunk end
  return size .. " bytes\n"
end):limits { body = "1G", body_timeout = 10 }

return router
