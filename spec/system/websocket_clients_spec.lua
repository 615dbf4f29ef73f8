--- WebSockets with clients that others wrote: Python's websockets, npm's ws (`make clients`).

local command = require "spec.support.command"
local npm = require "spec.support.npm"
local server = require "spec.support.server"

local APP = [[
local aq = require "luaqueduct"
local function echo(ws, data, is_binary) ws:send(data, is_binary) end
local router = aq.router()
router:get("/echo", aq.websocket { max_buffered = "8M", message = echo })
router:get("/takeover", aq.websocket { max_buffered = "8M", message = echo,
  deflate = { context_takeover = true } })
router:get("/bye", aq.websocket { message = function(ws) ws:close(4001, "that is all") end })
router:get("/error", aq.websocket { message = function() error "of message" end })
router:get("/origin", aq.websocket { origins = { "https://a.example" } })
router:get("/protocols", aq.websocket { protocols = { "a", "b" } })
router:get("/pings", aq.websocket { ping_interval = 1, message = echo })
router:get("/topic", aq.websocket {
  open = function(ws) ws:subscribe "topic" ws:send "subscribed" end,
  message = function(ws, data) aq.hub.publish("topic", data) end,
})
return router
]]

local EXPECTED = [[
echo /echo plain
echo /takeover plain
echo /echo deflate
echo /takeover deflate
echo /echo no contexts
echo /takeover no contexts
echo /echo small windows
echo /takeover small windows
closes
refusals
protocols
pings
topics
]]

describe("a WebSocket client", function()
  for name, argv in pairs {
    ["of Python's websockets"] = { "/usr/bin/python3", "spec/clients/talk.py" },
    ["of npm's ws"] = { "node", "spec/clients/talk.js" },
  } do
    it(name .. " is talked to as it expects, by four workers", function()
      local app <close> = server.start { source = APP, workers = 4 }

      local ws = npm.modules("clients", "ws")

      local result = command.run({ argv[1], argv[2], tostring(app.port), ws }, { timeout = 90 })

      assert.are.equal("", result.stderr)
      assert.are.equal(EXPECTED, result.stdout)
      assert.are.equal(0, result.status)
    end)
  end
end)
