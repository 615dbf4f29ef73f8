--- What a WebSocket keeps of a message that has been handed over.

local server = require "spec.support.server"
local websocket = require "spec.support.websocket"

local APP = [[
local aq = require "luaqueduct"
local router = aq.router()
router:get("/", aq.websocket { deflate = false, ping_interval = 0, message = function(ws, data)
  data = nil
  collectgarbage()
  ws:send "held"
  aq.sleep(1000)
end })
return router
]]

describe("a large message in fragments #once", function() -- sanitizers add memory
  it("takes no memory while its handler waits", function()
    local app <close> = server.start { source = APP,
      args = { "--drain-timeout", "0.2" } }
    local part, list = ("x"):rep(250000), {}

    local function hold(count)
      for _ = 1, count do
        local ws = websocket.open(app, "/")
        list[#list + 1] = ws
        ws:frames({ "text", part, more = true }, { "cont", part, more = true },
          { "cont", part, more = true }, { "cont", part })
        assert.are.equal("held", ws:message())
      end
    end

    hold(2)
    local before = app:rss()
    hold(30)

    assert.is_true(app:rss() - before < 10 * 1024, (app:rss() - before) .. " KiB more")
    for _, ws in ipairs(list) do ws:close() end
  end)
end)
