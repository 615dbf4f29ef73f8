--- An idle TCP connection holds no coroutine and little memory.

local client = require "spec.support.client"
local framed = require "spec.support.framed"
local wait = require "spec.support.wait"

local PREPARE = [[
-- Without open and close, of which many may run at a time: the pool of tasks would grow.
listeners.echo = aq.tcp.listen { port = 0, framing = "u16", message = echo, idle_timeout = 3600 }
local function heap()
  collectgarbage()
  collectgarbage()
  return collectgarbage "count" * 1024
end
router:get("/heap", function() return tostring(heap()) end)
]]

local MOST = 900 -- bytes of Lua and C together

local function open(port, count)
  local list = {}

  for i = 1, count do
    list[i] = client.connect { port = port, from = "127.0.0." .. 1 + i % 8 }
    list[i]:send "\0\2hi"
  end
  for _, conn in ipairs(list) do assert(conn:read(4) == "\0\2hi") end
  return list
end

local function close(list)
  for _, conn in ipairs(list) do conn:close() end
end

local function heap_of(app)
  return tonumber(app:get "/heap".body)
end

describe("an idle TCP connection #once", function() -- sanitizers add memory
  it("takes little memory, which is free again when it has gone", function()
    local app <close> = framed.start { prepare = PREPARE }
    local port, count = framed.port(app, "echo"), 800 -- sockets that select can wait for
    local function close_all(list)
      close(list)
      wait.till(function() return app:get "/stats/echo".body:match '"open":(%d+)' == "100" end)
    end

    local first = open(port, 100)
    app:get "/heap"
    local heap, rss = heap_of(app), app:rss()
    local list = open(port, count)
    local grown_heap = (heap_of(app) - heap) / count
    local grown_rss = (app:rss() - rss) * 1024 / count

    if os.getenv "LQ_VERBOSE" then
      print(("%d connections: %.0f bytes each, %.0f of them Lua's"):format(count, grown_rss,
        grown_heap))
    end
    assert.is_true(grown_heap < 500, grown_heap .. " bytes of Lua each")
    assert.is_true(grown_rss < MOST, grown_rss .. " bytes each")
    close_all(list)
    local left = heap_of(app)
    -- What is pooled is there by now, for as many as are at work at a time: less than all of them.
    close_all(open(port, count))
    assert.is_true(heap_of(app) - left < count * 80, "more is left than before")
    close(first)
  end)
end)
