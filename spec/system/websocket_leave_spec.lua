--- WebSockets at a reload: the old workers let go of theirs one after another.

local proc = require "spec.proc"
local scale = require "spec.support.scale"
local server = require "spec.support.server"
local wait = require "spec.support.wait"
local websocket = require "spec.support.websocket"

local APP = [[
local aq = require "luaqueduct"
local router = aq.router()
local handlers = {
  generation = function(ws) ws:send(tostring(aq.instance.generation)) end,
  subscribe = function(ws) ws:subscribe "room" ws:send "subscribed" end,
  sleep = function(ws) ws:send "sleeps" aq.sleep(0.3) ws:send "slept" end,
  hang = function(ws)
    local kept <close> = setmetatable({}, { __close = function()
      io.stderr:write "handler left\n"
    end })
    ws:send "hanging"
    aq.sleep(1000)
  end,
  publish = function(ws) aq.hub.publish("room", "news") end,
}
local function close(_, code) io.stderr:write("closed " .. code .. "\n") end
router:get("/", aq.websocket {
  message = function(ws, data) handlers[data](ws) end, close = close })
router:get("/hanging", aq.websocket { open = handlers.hang, close = close })
router:get("/stop", function() aq.instance:stop() return "" end)
return router
]]

local DRAIN = 3 -- seconds

local function reload(app, generation)
  app:signal "HUP"
  app:wait_log(("reloaded: generation %d serves"):format(generation))
end

local function say(ws, word)
  ws:text(word)
  return (ws:message())
end

--- When each of them has been told to go, in seconds from now; they answer at once.
local function endings(list)
  local began, times, count = proc.now(), {}, 0

  wait.till(function()
    for i, ws in ipairs(list) do
      if not times[i] and wait.readable(ws.conn.socket, 0) then
        assert.are.equal("close 1001", ws:ending())
        times[i] = proc.now() - began
        count = count + 1
      end
    end
    return count == #list
  end, DRAIN + 5, "all of them to be told")
  return times
end

for _, workers in ipairs { 1, 4 } do
  describe(("a reload of %d workers with WebSockets"):format(workers), function()
    local app, list

    before_each(function()
      app = server.start { source = APP, workers = workers,
        args = { "--drain-timeout", tostring(DRAIN) } }
      list = {}
    end)
    after_each(function()
      for _, ws in ipairs(list) do ws:close() end
      app:stop()
    end)

    local function open(count)
      for i = 1, count do list[i] = websocket.open(app, "/") end
      return list
    end

    it("tells them 1001, spread over the time to drain", function()
      local count = scale(60, 1000)
      open(count)

      reload(app, 2)
      local times = endings(list)

      table.sort(times)
      assert.is_true(times[count] < DRAIN, ("the last after %g s"):format(times[count]))
      assert.is_true(times[count] > DRAIN / 2, ("the last after %g s"):format(times[count]))
      local in_first_third = 0
      for _, time in ipairs(times) do
        if time < times[count] / 3 then in_first_third = in_first_third + 1 end
      end
      assert.is_true(in_first_third < count * 0.6, in_first_third .. " in the first third")
      wait.till(function()
        return select(2, app:log():gsub("closed 1001", "")) == count
      end, 5, "close of each to be called")
    end)

    it("brings those that come again to the new code", function()
      open(4)
      for _, ws in ipairs(list) do assert.are.equal("1", say(ws, "generation")) end

      reload(app, 2)
      endings(list)

      open(8)
      for _, ws in ipairs(list) do assert.are.equal("2", say(ws, "generation")) end
    end)

    it("lets those that are still there hear both generations", function()
      open(20)
      for _, ws in ipairs(list) do assert.are.equal("subscribed", say(ws, "subscribe")) end

      reload(app, 2)
      local from <close> = websocket.open(app, "/")
      from:text "publish"

      local heard = 0
      for _, ws in ipairs(list) do
        local data, err = ws:message()
        assert.is_true(data == "news" or err == "close 1001", err)
        if data then heard = heard + 1 end
      end
      assert.is_true(heard >= 10, heard .. " of 20")
    end)

    it("lets a message under way finish", function()
      open(1)
      assert.are.equal("sleeps", say(list[1], "sleep"))

      reload(app, 2)

      assert.are.equal("slept", list[1]:message())
      assert.are.equal("close 1001", list[1]:ending())
    end)

    it("is over for those that do not answer, too", function()
      open(4)
      reload(app, 2)

      app:wait_log("closed 1001", DRAIN + 1)
      wait.till(function()
        return select(2, app:log():gsub("closed 1001", "")) == 4
      end, DRAIN + 6)
    end)
  end)
end

describe("a stop with many WebSockets", function()
  for _, workers in ipairs { 1, 4 } do
    it(("tells all of them 1001 at once, %d workers"):format(workers), function()
      local app <close> = server.start { source = APP, workers = workers }
      local list, count = {}, scale(100, 2000)
      for i = 1, count do list[i] = websocket.open(app, "/") end
      local began = proc.now()

      app:signal "TERM"
      local times = endings(list)

      assert.are.equal(count, #times)
      assert.are.equal(0, app:wait_exit())
      assert.is_true(proc.now() - began < 5, ("%g s"):format(proc.now() - began))
      wait.till(function()
        return select(2, app:log():gsub("closed 1001", "")) == count
      end, 5, "close of each to be called")
    end)
  end

  it("does not wait long for those that do not answer", function()
    local app <close> = server.start { source = APP }
    local ws <close> = websocket.open(app, "/")
    assert.are.equal("1", say(ws, "generation"))
    local began = proc.now()

    app:signal "TERM"
    app:wait_exit()

    assert.is_true(proc.now() - began < 5, ("%g s"):format(proc.now() - began))
  end)
end)

describe("what waits for ever at a stop", function()
  local app

  before_each(function()
    app = server.start { source = APP, args = { "--drain-timeout", "0.5" } }
  end)

  local function assert_left(ws)
    assert.are.equal("hanging", ws:message())

    app:signal "TERM"

    assert.are.equal("close 1001", ws:ending())
    assert.are.equal(0, app:wait_exit())
    assert.are.equal("handler left\nclosed 1001\n", app:log())
  end

  it("is left at the drain's end: a message", function()
    local ws <close> = websocket.open(app, "/")
    ws:text "hang"
    assert_left(ws)
  end)

  it("is left at the drain's end: open", function()
    local ws <close> = websocket.open(app, "/hanging")
    assert_left(ws)
  end)
end)

describe("a worker that ends by itself", function()
  it("tells its WebSockets 1001, and those of others stay", function()
    local app <close> = server.start { source = APP, workers = 2,
      args = { "--drain-timeout", "1" } }
    local list = {}
    for i = 1, 20 do
      list[i] = websocket.open(app, "/")
      assert.are.equal("subscribed", say(list[i], "subscribe"))
    end

    app:get "/stop"
    app:wait_log "serves again"

    local ended = 0
    wait.till(function()
      ended = select(2, app:log():gsub("closed 1001", ""))
      return ended > 0 and app:log():find("serves again", 1, true)
    end)
    local from <close> = websocket.open(app, "/")
    local told, heard = 0, 0
    wait.till(function()
      from:text "publish"
      told, heard = told, heard
      for i, ws in pairs(list) do
        while wait.readable(ws.conn.socket, 0) do
          local data = ws:message()
          if data ~= "news" then
            list[i], told = nil, told + 1
            ws:close()
            break
          end
          heard = heard + 1
        end
      end
      return told > 0 and heard > 0 and told == select(2, app:log():gsub("closed 1001", ""))
    end, 10)
    local rest = 0
    for _, ws in pairs(list) do
      rest = rest + 1
      assert.is_string(say(ws, "generation"))
    end
    assert.are.equal(20, rest + told)
    assert.is_true(rest > 0)
    for _, ws in pairs(list) do ws:close() end
  end)
end)
