--- Connections that end while something of theirs is still under way.

local frames = require "spec.support.ws"
local framed = require "spec.support.framed"
local server = require "spec.support.server"
local wait = require "spec.support.wait"
local websocket = require "spec.support.websocket"

local APART = 20
local MIB = 1 << 20

describe("a connection that ends", function()
  it("publishes in its close, whatever becomes of its handle", function()
    local app <close> = framed.start { prepare = [[
      local others = {}
      listen("room", { framing = "u8",
        open = function(conn) others[#others + 1] = conn end,
        message = function(conn)
          local list = others
          others = {}
          conn:subscribe "room"
          for _, other in ipairs(list) do
            if other ~= conn then other:close() end
          end
        end,
        close = function(conn)
          conn:publish("room", "gone")
          conn = nil
          collectgarbage()
          collectgarbage()
        end })
    ]] }
    local reader <close> = framed.connect(app, "room")
    local conns = {}

    for i = 1, APART do conns[i] = framed.connect(app, "room") end
    wait.till(function() return app:get("/stats/room").body:find '"open":21' end, 5, "them all")
    reader:send(framed.frame("u8", "end"))
    for _ = 1, APART do assert.are.equal("gone", (framed.read(reader, "u8"))) end
    for _, conn in ipairs(conns) do conn:close() end
    app:stop { status = 0 }
  end)

  it("keeps nothing of what comes behind its close frame", function()
    local app <close> = server.start { args = { "--drain-timeout", "0.1" }, source = [[
      local aq = require "luaqueduct"
      local router = aq.router()
      router:get("/", aq.websocket { deflate = false, message = function(ws)
        aq.sleep(0.01)
        ws:close(4000)
        aq.sleep(60)
      end })
      return router
    ]] }
    local ws <close> = websocket.open(app, "/")
    local block = frames.frames { { "binary", ("x"):rep(65536) } }

    ws:text "close"
    assert.are.equal(8, assert(ws:frame()).opcode)
    local before = app:rss()
    for _ = 1, 512 do assert(ws:raw(block)) end
    assert.is_true(app:rss() - before < 16 * MIB)
  end)

  it("is none that sends a ping while it takes a long message", function()
    local app <close> = server.start { source = [[
      local aq = require "luaqueduct"
      local router = aq.router()
      router:get("/", aq.websocket { deflate = false, max_buffered = "64M", message = function(ws)
        ws:send(("x"):rep(4 << 20), true)
      end })
      return router
    ]] }
    local ws <close> = websocket.open(app, "/", { receive_buffer = 65536 })

    ws:text "send"
    wait.readable(ws.conn.socket, 5)
    ws:frames { "ping", "still here" }
    local message = assert(ws:message())
    assert.are.equal(4 * MIB, #message)
    assert.are.equal("still here", assert(ws:frame()).payload)
  end)

  it("ends where its handler has caught the error of its open", function()
    local app <close> = server.start { source = [[
      local aq = require "luaqueduct"
      local router = aq.router()
      local closed = 0
      local ws = aq.websocket { deflate = false,
        open = function() aq.sleep(0.001) error "not today" end,
        close = function() closed = closed + 1 end }
      router:get("/", function(req) pcall(ws.handle, ws, req) end)
      router:get("/closed", function() return tostring(closed) end)
      return router
    ]] }

    for i = 1, 3 do
      local ws <close> = websocket.open(app, "/")
      assert.are.equal("close 1011", ws:ending())
      wait.till(function() return app:get("/closed").body == tostring(i) end, 5, "close")
    end
    app:stop { status = 0 }
  end)
end)
