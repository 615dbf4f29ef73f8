--- examples/chat: two browsers on two workers, and what may go wrong between them.

local browser = require "spec.support.browser"
local command = require "spec.support.command"
local core = require "spec.support.core"
local server = require "spec.support.server"

-- The example with routes that break what it runs on.
local APP = [[
local aq = require "luaqueduct"
local App = require "chat"
local breaker = assert(package.loadlib("BREAKER", "luaopen_breaker"))()
local entry_point = App.entry_point

function App:entry_point()
  local router = entry_point(self)
  aq.hub.subscribe("stop", function() aq.instance:stop() end)
  aq.hub.subscribe("panic", function() breaker.panic() end)
  router:get("/:how(%l+)/:id(%d+)", function(req)
    return tostring(aq.hub.send(tonumber(req.params.id), req.params.how, true))
  end)
  router:get("/service", function() return tostring(aq.service "rooms":cast "die") end)
  return router
end
return App
]]
APP = APP:gsub("BREAKER", (core.absolute(core.build .. "/spec/breaker.so"):gsub("%%", "%%%%")))

local function start()
  local files = { ["chat.lua"] = command.read_file "examples/chat/app.lua" }
  files["page.html"] = command.read_file "examples/chat/page.html"
  files["rooms.lua"] = command.read_file("examples/chat/rooms.lua")
    :gsub("return Rooms%s*$", "function Rooms:die() os.exit(1) end\n%0")
  return server.start { source = APP, files = files, workers = 2 }
end

describe("examples/chat in two browsers on two workers", function()
  for _, case in ipairs {
    { "talk", "both see what the other says, and who is there" },
    { "markup", "what looks like HTML stays text" },
    { "reload", "a page that is loaded again keeps its history, and has not left" },
    { "rooms", "rooms do not hear each other" },
    { "refusals", "what cannot be is answered with a sentence" },
    { "worker", "a worker that stops or breaks is followed by a reconnection, nothing is missed" },
    { "lost", "what is said when the connection ends is said once" },
    { "service", "a service that ends costs nobody the room" },
  } do
    it(case[2], function()
      local app <close> = start()

      browser.play("chat", app.url, case[1])
      app:stop { status = 0 }
    end)
  end
end)
