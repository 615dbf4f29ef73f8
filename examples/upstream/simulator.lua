--- A simulated upstream: it streams what thermometers measure, a line for each, for as long as
--- somebody listens.
--
-- Run: luaqueduct serve -j 1 --listen http://127.0.0.1:9000 examples/upstream/simulator.lua

local aq = require "luaqueduct"
local router = aq.router()
local listeners = 0

local ROOMS = { "kitchen", "attic", "cellar" }

local function measure()
  return 20 + math.random(0, 9) / 10
end

router:get("/readings", function()
  return aq.stream(function(write)
    listeners = listeners + 1
    local _ <close> = setmetatable({}, { __close = function()
      listeners = listeners - 1
    end })

    repeat
      for _, room in ipairs(ROOMS) do write(("%s %.1f\n"):format(room, measure())) end
      aq.sleep(0.1)
    until not write "\n"
  end)
end)

router:get("/listeners", function()
  return tostring(listeners)
end)

return router
