--- examples/chat: two browsers on two workers, and what may go wrong between them.

local breakable = require "spec.support.breakable"
local browser = require "spec.support.browser"
local server = require "spec.support.server"

local function start()
  local source, files = breakable.example("chat", { "page.html", "rooms.lua" }, "rooms.lua")
  return server.start { source = source, files = files, workers = 2 }
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
