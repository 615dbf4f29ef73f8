--- Timers: sleep, after, every; several things at once; work that outlives its request.
--
-- Run: luaqueduct serve -j 1 examples/timers.lua
--
--   $ curl -si http://127.0.0.1:8888/slow
--   < 200
--   < waited
--   $ curl -si http://127.0.0.1:8888/together
--   < 200
--   < one and two
--   $ curl -si -X POST http://127.0.0.1:8888/later
--   < 202

local aq = require "luaqueduct"
local App = aq.channel()

function App:ready()
  self.ticker = aq.every(60, function() aq.log.info "one minute more" end)
end

function App:close() self.ticker:cancel() end

local function slowly(result)
  return function() aq.sleep(0.2) return result end
end

function App.entry_point()
  local router = aq.router()
  router:get("/slow", slowly "waited")
  router:get("/together", function() -- 0.2 s in all, not 0.4 s
    return ("%s and %s"):format(aq.all(slowly "one", slowly "two"))
  end)
  router:post("/later", function()
    aq.after(1, function() aq.log.info "one second after the answer" end)
    return aq.accepted()
  end)
  return router
end

return App
