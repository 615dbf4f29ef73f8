--- What a call of a service takes, beside a bare round trip of two libuv loops.
--
-- Sleeping: one call at a time, with nothing else to do, so that the kernel
-- wakes a thread twice. Busy: the same with `--spin`, where nobody sleeps.
-- Both threads may use both CPUs.

local config = require "spec.bench.config"
local files = require "spec.bench.files"
local server = require "spec.support.server"

local CALLS = 20000

local APP = [[
local aq = require "luaqueduct"
local App = aq.channel()
function App.initialize(options) options:service("echo", "echo.lua") end
function App:entry_point()
  local echo = aq.service "echo"
  local router = aq.router()
  router:get("/:count", function(req)
    local took = {}
    for i = 1, tonumber(req.params.count) do
      local began = aq.now()
      assert(echo:call("echo", i) == i)
      took[i] = aq.now() - began
    end
    table.sort(took)
    return tostring(took[#took // 2 + 1] * 1e6)
  end)
  return router
end
return App
]]

local ECHO = [[
local Echo = require("luaqueduct").service()
function Echo:echo(...) return ... end
return Echo
]]

local calls = { limit = config.folder .. "/async" }

--- Microseconds a call, the median.
local function measure(args)
  local app <close> = server.start {
    source = APP, files = { ["echo.lua"] = ECHO }, args = args, binary = server.binary(),
  }
  local res = app:get("/" .. CALLS, { timeout = 60 })
  assert(res and res.status == 200, res and res.body)
  app:stop()
  return tonumber(res.body)
end

---@return table { limit, sleeping, spinning: microseconds of each round }
function calls.run()
  local result = { limit = {}, sleeping = {}, spinning = {} }

  for round = 1, config.rounds do
    result.limit[round] = tonumber(files.output(("%s %d"):format(calls.limit, CALLS)))
    result.sleeping[round] = measure {}
    result.spinning[round] = measure { "--spin", "50" }
  end
  io.stderr:write(("calls: %d rounds\n"):format(config.rounds))
  return result
end

return calls
