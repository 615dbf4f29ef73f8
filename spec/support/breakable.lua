--- An example for the specs: the app as it is, with routes that break what it runs on.
--
-- GET /stop/ID and /panic/ID end a worker, in two ways; GET /die/SERVICE ends a service.

local command = require "spec.support.command"
local core = require "spec.support.core"

local breakable = {}

local SOURCE = [[
local aq = require "luaqueduct"
local App = require "example"
local breaker = assert(package.loadlib("BREAKER", "luaopen_breaker"))()
local entry_point = App.entry_point

function App:entry_point()
  local router = entry_point(self)
  aq.hub.subscribe("stop", function() aq.instance:stop() end)
  aq.hub.subscribe("panic", function() breaker.panic() end)
  router:get("/:how(%l+)/:id(%d+)", function(req)
    return tostring(aq.hub.send(tonumber(req.params.id), req.params.how, true))
  end)
  router:get("/die/:service(%l+)", function(req)
    return tostring(aq.service(req.params.service):cast "die")
  end)
  return router
end
return App
]]

--- What spec.support.server starts: its source and its files.
---@param name string of the example
---@param files string[] what belongs to it beside app.lua
---@param service string one of these, whose class ends the module
---@return string source
---@return table<string, string> files
function breakable.example(name, files, service)
  local folder = ("examples/%s/"):format(name)
  local texts = { ["example.lua"] = command.read_file(folder .. "app.lua") }
  local breaker = core.absolute(core.build .. "/spec/breaker.so")

  for _, file in ipairs(files) do texts[file] = command.read_file(folder .. file) end
  texts[service] = texts[service]:gsub("return (%a+)%s*$",
    "function %1:die() os.exit(1) end\n%0")
  return SOURCE:gsub("BREAKER", (breaker:gsub("%%", "%%%%"))), texts
end

return breakable
