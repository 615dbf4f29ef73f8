--- Topics: what is published reaches every WebSocket that subscribes, whichever worker has it.

local scale = require "spec.support.scale"
local server = require "spec.support.server"
local wait = require "spec.support.wait"
local websocket = require "spec.support.websocket"

-- A message is a piece of Lua with the connection as `ws`; what it returns is sent, unless nil.
local APP = [[
local aq = require "luaqueduct"
local heard = 0

local function run(ws, data)
  local result = assert(load("local aq, ws = ...; " .. data))(aq, ws)
  if result ~= nil then ws:send(tostring(result)) end
end

local App = aq.channel()
function App:prepare() aq.hub.subscribe("heard", function() heard = heard + 1 end) end
function App:entry_point()
  local router = aq.router()
  router:get("/", aq.websocket { deflate = false, message = run })
  router:get("/deflate", aq.websocket { message = run })
  router:get("/takeover", aq.websocket { deflate = { context_takeover = true }, message = run })
  router:get("/small", aq.websocket { message = run, deflate = false, max_buffered = 1000 })
  router:get("/large", aq.websocket { message = run, deflate = false, max_buffered = "64M" })
  router:get("/heard", function() return heard .. "" end)
  return router
end
return App
]]

local function run(ws, code)
  ws:text(code)
  return (assert(ws:message()))
end

--- A connection to a worker of one's own for each, in this order.
local function one_in_each(app, path, workers)
  local list, count = {}, 0

  wait.till(function()
    local ws = websocket.open(app, path)
    local id = tonumber(run(ws, "return aq.instance.id"))
    if list[id] then
      ws:close()
    else
      list[id], count = ws, count + 1
    end
    return count == workers
  end, 20, "a connection in every worker")
  return list
end

local function close_all(list)
  for _, ws in ipairs(list) do ws:close() end
end

for _, workers in ipairs { 1, 4 } do
  describe(("a topic of %d workers"):format(workers), function()
    local app, all

    setup(function() app = server.start { source = APP, workers = workers } end)
    teardown(function() app:stop() end)
    before_each(function() all = {} end)
    after_each(function() close_all(all) end)

    --- `count` connections that subscribe to `topic`.
    local function subscribers(topic, count, path)
      local list = {}
      for i = 1, count do
        list[i] = websocket.open(app, path or "/")
        all[#all + 1] = list[i]
        assert.are.equal("true", run(list[i], ("return ws:subscribe %q"):format(topic)))
      end
      return list
    end

    local function first_of_each()
      local list = one_in_each(app, "/", workers)
      table.move(list, 1, #list, #all + 1, all)
      return list
    end

    it("reaches every subscriber once, those of the publishing worker too", function()
      local list = subscribers("room", 12)

      for i = 1, 5 do
        list[i]:text(("aq.hub.publish('room', 'from %d')"):format(i))
        for _, ws in ipairs(list) do assert.are.equal("from " .. i, ws:message()) end
      end
    end)

    it("reaches the one that publishes before what it sends next", function()
      local ws = subscribers("own", 1)[1]

      ws:text [[
        ws:send "1" aq.hub.publish("own", "2")
        ws:send "3" aq.hub.publish("own", "4")
        return 5]]

      assert.are.same({ "1", "2", "3", "4", "5" }, ws:messages "5")
    end)

    it("leaves out the one that says conn:publish, and only that one", function()
      local list = subscribers("but", 8)

      list[1]:text "ws:publish('but', 'not to me') aq.hub.publish('but', 'to all') return 'end'"

      assert.are.same({ "to all", "end" }, list[1]:messages "end")
      for i = 2, #list do
        assert.are.same({ "not to me", "to all" }, list[i]:messages "to all")
      end
    end)

    it("leaves out each of several that publish in one go", function()
      local list = subscribers("each", 6)
      local n = 30

      for _, ws in ipairs(list) do
        ws:text(("for i = 1, %d do ws:publish('each', 'x') end return 'done'"):format(n))
      end

      for i, ws in ipairs(list) do
        local count = 0
        for _ = 1, n * (#list - 1) + 1 do
          if assert(ws:message()) == "x" then count = count + 1 end
        end
        assert.are.equal(n * (#list - 1), count, "connection " .. i)
      end
    end)

    it("keeps the order of what one worker publishes", function()
      local list = subscribers("order", 4)

      list[1]:text "for i = 1, 2000 do aq.hub.publish('order', tostring(i)) end"

      for _, ws in ipairs(list) do
        for i = 1, 2000 do assert.are.equal(tostring(i), ws:message()) end
      end
    end)

    it("is text or binary by what it carries, or as told", function()
      local list = subscribers("kind", 4)

      list[1]:text [[
        aq.hub.publish("kind", "text")
        aq.hub.publish("kind", "\xff\xfe")
        aq.hub.publish("kind", "told", { binary = true })
        ws:publish("kind", "others", true)
        aq.hub.publish("kind", "")]]

      for i, ws in ipairs(list) do
        assert.are.same({ "text", false }, { ws:message() })
        assert.are.same({ "\xff\xfe", true }, { ws:message() })
        assert.are.same({ "told", true }, { ws:message() })
        if i > 1 then assert.are.same({ "others", true }, { ws:message() }) end
        assert.are.same({ "", false }, { ws:message() })
      end
    end)

    it("carries strings only; other values reach Lua alone", function()
      local ws = subscribers("heard", 1)[1]
      local before = 0
      for _, each in ipairs(first_of_each()) do
        before = before + #run(each, "aq.hub.publish('heard', {}) return ''")
      end

      ws:text [[
        for _, value in ipairs { 1, 2.5, true, false, { "x" } } do
          aq.hub.publish("heard", value, { include_self = true })
        end
        aq.hub.publish("heard", nil)
        aq.hub.publish("heard", "end")]]

      assert.are.equal("end", ws:message())
      assert.are.equal(0, before)
      wait.till(function() return tonumber(app:get("/heard").body) >= 1 end)
    end)

    it("is not heard any more after unsubscribe, and twice is once", function()
      local ws = subscribers("twice", 1)[1]
      run(ws, "return ws:subscribe 'twice'")

      ws:text "aq.hub.publish('twice', 'one') return 'a'"
      assert.are.same({ "one", "a" }, ws:messages "a")
      run(ws, "ws:unsubscribe 'twice' ws:unsubscribe 'twice' return 1")
      ws:text "aq.hub.publish('twice', 'x') return 'b'"
      assert.are.same({ "b" }, ws:messages "b")
      run(ws, "return ws:subscribe 'twice'")
      ws:text "aq.hub.publish('twice', 'two') return 'c'"
      assert.are.same({ "two", "c" }, ws:messages "c")
    end)

    it("may be one of many of a connection", function()
      local ws = subscribers("many 0", 1)[1]
      local n = scale(1000, 20000)

      run(ws, ("for i = 1, %d do ws:subscribe('many ' .. i) end return 0"):format(n))
      ws:text(("for i = 1, %d do aq.hub.publish('many ' .. i, '' .. i) end"):format(n))

      for i = 1, n do assert.are.equal(tostring(i), ws:message()) end
    end)

    it("is mixed: deflated with and without a context, and plain", function()
      local plain = subscribers("mixed", 2)
      local options = { offer = "permessage-deflate; server_max_window_bits=10" }
      local lists = { plain }
      for _, path in ipairs { "/deflate", "/takeover" } do
        for _, offer in ipairs { "permessage-deflate", options.offer,
            "permessage-deflate; server_no_context_takeover" } do
          local ws = websocket.open(app, path, { offer = offer })
          all[#all + 1] = ws
          run(ws, "return ws:subscribe 'mixed'")
          lists[#lists + 1] = { ws }
        end
      end
      local data = ("a line that is repeated; "):rep(20)

      for round = 1, 5 do
        run(plain[1], ("aq.hub.publish('mixed', (%q):rep(%d)) return ''"):format(data, round))
        for _, list in ipairs(lists) do
          for _, ws in ipairs(list) do
            if ws ~= plain[1] then assert.are.equal(data:rep(round), ws:message()) end
          end
        end
        -- What is its own alone goes on with its own context.
        for i = 2, #lists do
          local own = ("%s %d %d "):format(data, i, round):rep(3)
          assert.are.equal(own, run(lists[i][1], ("return %q"):format(own)))
        end
      end
    end)

    it("loses nobody else when subscribers end while it is written", function()
      local slow = subscribers("burst", 3, "/small")
      local steady = subscribers("burst", 3, "/large")
      local leaving = subscribers("burst", 3)
      local from = websocket.open(app, "/")
      all[#all + 1] = from

      for _, ws in ipairs(leaving) do ws:reset() end
      run(from, [[
        local data = ("x"):rep(500000)
        for i = 1, 40 do aq.hub.publish("burst", i .. data) end
        aq.hub.publish("burst", "end")
        return ""]])

      for _, ws in ipairs(steady) do
        local got = ws:messages "end"
        assert.are.equal("end", got[#got])
      end
      -- Those of /small cannot hold a single one.
      for _, ws in ipairs(slow) do
        local how = ws:ending()
        assert.is_true(how == "reset" or how == "eof" or how == "close 1008", how)
      end
    end)

    it("is forgotten with its last subscriber", function()
      local ws = subscribers("gone by", 1)[1]
      local from = websocket.open(app, "/")
      all[#all + 1] = from
      ws:bye(1000)

      local list = subscribers("gone by", 1)
      run(from, "aq.hub.publish('gone by', 'back') return ''")

      assert.are.equal("back", list[1]:message())
    end)

    it("tells how many it was queued for", function()
      local list = first_of_each()

      assert.are.equal("0", run(list[1], "return aq.hub.publish('nobody', '')"))
      for _, ws in ipairs(list) do run(ws, "return ws:subscribe 'counted'") end
      list[1]:text "return aq.hub.publish('counted', 'x')"

      assert.are.same({ "x", tostring(workers - 1) }, list[1]:messages(tostring(workers - 1)))
    end)

    it("is whole under a storm from everywhere, while others come and go", function()
      local list, n = subscribers("storm", 8), scale(300, 3000)

      for k, ws in ipairs(list) do
        ws:text(([[
          for i = 1, %d do
            aq.hub.publish("storm", "%d " .. i)
            if i %% 50 == 0 then aq.sleep(0.001) end
          end]]):format(n, k))
      end
      for _ = 1, 20 do
        local other = websocket.open(app, "/")
        other:text "ws:subscribe 'storm'"
        other:reset()
      end

      for _, ws in ipairs(list) do
        local last = {}
        for _ = 1, n * #list do
          local from, i = assert(ws:message()):match "^(%d+) (%d+)$"
          assert.are.equal((last[from] or 0) + 1, tonumber(i))
          last[from] = tonumber(i)
        end
      end
    end)
  end)
end

describe("a WebSocket with many topics", function()
  it("subscribes beside another one, and leaves them, in no time", function()
    local app <close> = server.start { source = APP, workers = 1 }
    local first <close> = websocket.open(app, "/")
    local second <close> = websocket.open(app, "/")
    local code = [[
      local begun = aq.now()
      for i = 1, 20000 do ws:subscribe("topic" .. i) end
      for i = 20000, 1, -1 do ws:unsubscribe("topic" .. i) end
      for i = 1, 20000 do ws:subscribe("topic" .. i) end
      return aq.now() - begun
    ]]

    run(first, code)
    assert.is_true(tonumber(run(second, code)) < 1)
    second:text [[ws:publish("topic7", "seven")]]
    assert.are.equal("seven", first:message())
  end)
end)
