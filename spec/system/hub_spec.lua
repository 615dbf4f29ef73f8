--- The hub: messages between workers, through real requests.

local proc = require "spec.proc"
local scale = require "spec.support.scale"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

--- Every worker answers for itself: `ask(app, id, path)` asks until that one answers.
local APP = [[
local aq = require "luaqueduct"
local App = aq.channel()
local got, subs = aq.array {}, {}

local function keep(topic)
  return function(value, from) got[#got + 1] = { topic, value, from } end
end

local run = {}

function run.subscribe(topic) subs[#subs + 1] = aq.hub.subscribe(topic, keep(topic)) end
function run.cancel() table.remove(subs):cancel() end
function run.publish(topic, code, self)
  return aq.hub.publish(topic, load("return " .. code)(), self and { include_self = true } or nil)
end
function run.send(to, topic, code)
  local ok, err = aq.hub.send(math.tointeger(to) or to, topic, load("return " .. code)())
  return ok or err.code
end
function run.many(topic, n) for i = 1, n do aq.hub.publish(topic, i) end end
function run.got()
  local list = got
  got = aq.array {}
  return list
end
function run.stats() return aq.hub.stats() end
function run.call(code) return load(code, "=code")() end
function run.stop() aq.instance:stop() end
function run.exit() os.exit() end

App.keep, App.run, App.got = keep, run, got
%s
function App:entry_point()
  local router = aq.router()
  router:post("/:name", function(req)
    local ok, result = pcall(run[req.params.name], table.unpack(req:json()))
    return { id = aq.instance.id, ok = ok, result = result == nil and aq.null or result }
  end)
  return router
end
return App
]]

local json = require "luaqueduct.core.json"

local function start(workers, more, args)
  return server.start { source = APP:format(more or ""), workers = workers, args = args }
end

--- Asks until worker `id` answers: connections are spread over all.
local function ask(app, id, name, ...)
  local result

  if id then
    -- One that is not meant may not act: it is found out by what does nothing.
    local conn
    wait.till(function()
      if conn then conn:close() end
      conn = app:connect()
      local res = conn:request("POST", "/stats", { body = json.encode(json.array {}) })
      return json.decode(res.body).id == id
    end)
    result = conn:request("POST", "/" .. name, { body = json.encode(json.array { ... }) })
    conn:close()
  else
    result = app:post("/" .. name, { body = json.encode(json.array { ... }) })
  end
  return assert(json.decode(result.body), result.body)
end

local function result_of(...)
  local answer = ask(...)
  assert.is_true(answer.ok, answer.result)
  return answer.result
end

--- Waits until worker `id` has got `n` messages; returns them.
local function wait_got(app, id, n)
  local list = {}

  wait.till(function()
    for _, message in ipairs(result_of(app, id, "got")) do list[#list + 1] = message end
    return #list >= n
  end)
  return list
end

local function all(workers)
  local ids = {}
  for id = 1, workers do ids[id] = id end
  return ids
end

describe("aq.hub", function()
  for _, workers in ipairs { 2, 8 } do
    it("publishes to every other worker that subscribes, of " .. workers, function()
      local app <close> = start(workers)
      for _, id in ipairs(all(workers)) do result_of(app, id, "subscribe", "news") end

      assert.are.equal(workers - 1, result_of(app, 1, "publish", "news", "{ a = 1, b = { true } }"))

      for id = 2, workers do
        assert.are.same({ { "news", { a = 1, b = { true } }, 1 } }, wait_got(app, id, 1))
      end
      assert.are.same({}, result_of(app, 1, "got"))
      app:stop { status = 0 }
    end)
  end

  it("publishes to itself when told, and with one worker", function()
    local app <close> = start(1)
    result_of(app, 1, "subscribe", "t")

    assert.are.equal(0, result_of(app, 1, "publish", "t", "1"))
    assert.are.equal(1, result_of(app, 1, "publish", "t", "2", true))

    assert.are.same({ { "t", 2, 1 } }, wait_got(app, 1, 1))
    assert.are.equal(0, result_of(app, 1, "publish", "nobody's", "1", true))
    app:stop { status = 0 }
  end)

  it("sends to one worker, its own too", function()
    local app <close> = start(2)
    result_of(app, 1, "subscribe", "t")
    result_of(app, 2, "subscribe", "t")

    assert.is_true(result_of(app, 1, "send", 2, "t", "'over'"))
    assert.is_true(result_of(app, 1, "send", 1, "t", "'here'"))

    assert.are.same({ { "t", "over", 1 } }, wait_got(app, 2, 1))
    assert.are.same({ { "t", "here", 1 } }, wait_got(app, 1, 1))
    for _, to in ipairs { 3, 0, -1, 1 << 40, "nobody" } do
      assert.are.equal("no_receiver", result_of(app, 1, "send", to, "t", "1"))
    end
    assert.are.equal("no_receiver", result_of(app, 1, "send", 2, "other", "1"))
    app:stop { status = 0 }
  end)

  it("calls each subscription once, in order, until it is cancelled", function()
    local app <close> = start(2)
    for _ = 1, 3 do result_of(app, 2, "subscribe", "t") end
    result_of(app, 1, "publish", "t", "1")
    assert.are.equal(3, #wait_got(app, 2, 3))

    result_of(app, 2, "cancel")
    result_of(app, 2, "cancel")
    result_of(app, 1, "many", "t", 1000)

    local list = wait_got(app, 2, 1000)
    assert.are.equal(1000, #list)
    for i, message in ipairs(list) do assert.are.equal(i, message[2]) end
    result_of(app, 2, "cancel")
    assert.are.equal(0, result_of(app, 1, "publish", "t", "1"))
    assert.are.equal(0, result_of(app, 2, "stats").subscriptions)
    app:stop { status = 0 }
  end)

  it("carries every value as it is", function()
    local app <close> = start(2, [[
      function run.check()
        run.sub = aq.hub.subscribe("t", function(v) run.value = v end)
      end
      function run.compare(code)
        local v = run.value
        return load("local v = ... return " .. code)(v)
      end]])
    result_of(app, 2, "check")
    for value, check in pairs {
      ["nil"] = "v == nil", ["false"] = "v == false", ["aq.null"] = "v == nil",
      ["math.mininteger"] = "v == math.mininteger", ["-0.0"] = "1/v == -math.huge",
      ["0/0"] = "v ~= v", ["math.huge"] = "v == math.huge", ["2^53"] = "math.type(v) == 'float'",
      ["'\\0\\xff\\xfe'"] = "v == '\\0\\xff\\xfe'", ["('x'):rep(1 << 20)"] = "#v == 1 << 20",
      ["{ [1.5] = 1, [true] = 2, [3] = 4 }"] = "v[1.5] == 1 and v[true] == 2 and v[3] == 4",
    } do
      result_of(app, 2, "call", "return nil")
      result_of(app, 1, "send", 2, "t", "'reset'")
      wait.till(function() return result_of(app, 2, "compare", "v == 'reset'") end)
      result_of(app, 1, "publish", "t", (value:gsub("aq%.null", "nil")))
      wait.till(function() return result_of(app, 2, "compare", check) end, 5, value)
    end
    app:stop { status = 0 }
  end)

  it("says what cannot be sent, and where it stands", function()
    local app <close> = start(1)
    local function message(name, ...)
      local answer = ask(app, 1, name, ...)
      assert.is_false(answer.ok)
      return answer.result
    end

    assert.matches("a function at users%[2%]%.name",
      message("publish", "t", "{ users = { 1, { name = print } } }"))
    assert.matches("cannot pack: .*cycle", message("call",
      "local t = {} t.t = t require('luaqueduct').hub.publish('t', t)"))
    assert.matches("32 levels", message("call",
      "local t = {} for _ = 1, 40 do t = { t } end require('luaqueduct').hub.publish('t', t)"))
    assert.matches("16 MiB", message("publish", "t", "('x'):rep(17 << 20)"))
    assert.matches("must not be empty", message("publish", "", "1"))
    assert.matches("at most 255 bytes", message("publish", ("t"):rep(256), "1"))
    assert.matches("unknown option self", message("call",
      "require('luaqueduct').hub.publish('t', 1, { self = true })"))
    assert.matches("function expected", message("call",
      "require('luaqueduct').hub.subscribe('t')"))
    app:stop { status = 0 }
  end)

  it("keeps what prepare publishes until every entry_point has returned", function()
    local app <close> = start(4, [[
      function App:prepare()
        if aq.instance.id == 1 then aq.hub.publish("early", "hello") end
        aq.sleep(0.05 * aq.instance.id)
        run.subscribe("early")
      end]])

    for id = 2, 4 do assert.are.same({ { "early", "hello", 1 } }, wait_got(app, id, 1)) end
    app:stop { status = 0 }
  end)

  it("keeps later messages in the queue of a subscription that waits", function()
    local app <close> = start(2, [[
      function run.slow()
        local busy
        aq.hub.subscribe("t", function(v)
          assert(not busy, "two at a time")
          busy = true
          aq.sleep(0.002)
          keep "t"(v)
          busy = false
        end)
      end]])
    result_of(app, 2, "slow")

    result_of(app, 1, "many", "t", 50)

    for i, message in ipairs(wait_got(app, 2, 50)) do assert.are.equal(i, message[2]) end
    assert.is_nil(app:log():find("two at a time", 1, true))
    app:stop { status = 0 }
  end)

  it("goes on behind a callback that fails", function()
    local app <close> = start(2, [[
      function run.fragile()
        aq.hub.subscribe("t", function(v)
          if v % 2 == 1 then error("odd " .. v) end
          keep "t"(v)
        end)
      end]])
    result_of(app, 2, "fragile")

    result_of(app, 1, "many", "t", 20)

    local list = wait_got(app, 2, 10)
    for i, message in ipairs(list) do assert.are.equal(2 * i, message[2]) end
    app:wait_log 'error in a subscription to "t"'
    app:wait_log "odd 19"
    app:stop { status = 0 }
  end)

  it("frees the queue of a subscription that a finalizer cancels amid a message", function()
    local app <close> = start(2, [[
      function run.fragile()
        run.seen = 0
        collectgarbage "incremental"
        local sub
        sub = aq.hub.subscribe("t", function(v)
          run.seen = run.seen + 1
          if v == "begin" then setmetatable({}, { __gc = function() sub:cancel() end }) end
        end)
      end
      function run.seen_count() return run.seen end
      function run.begin()
        local large = {}
        for i = 1, 20000 do large[i] = ("%060d"):format(i) end
        aq.hub.publish("t", "begin")
        for _ = 1, 50 do aq.hub.publish("t", large) end
      end]], { "--hub-queue", "100,100M" })
    result_of(app, 2, "fragile")

    result_of(app, 1, "begin")

    wait.till(function() return result_of(app, 2, "stats").subscriptions == 0 end, 20)
    wait.till(function() return result_of(app, 2, "stats").queued == 0 end)
    assert.is_true(result_of(app, 2, "seen_count") < 51)
    app:stop { status = 0 }
  end)

  it("loses a message for which there is no memory, and goes on", function()
    local app <close> = start(2, [[
      function run.fill()
        run.ballast = {}
        for i = 1, 36 do run.ballast[i] = ("b"):rep(1 << 20) end
        run.subscribe "t"
      end
      function run.large() return aq.hub.publish("t", ("x"):rep(15 << 20)) end]],
      { "--memory-limit", "48M", "--hub-queue", "100,100M" })
    result_of(app, 2, "fill")

    assert.are.equal(1, result_of(app, 1, "large"))
    app:wait_log 'no memory: a message on "t" is lost'
    result_of(app, 1, "publish", "t", "'small'")

    assert.are.same({ { "t", "small", 1 } }, wait_got(app, 2, 1))
    assert.are.equal(0, result_of(app, 2, "stats").queued)
    app:stop { status = 0 }
  end)

  it("goes on behind a callback that is interrupted, and lets short ones be", function()
    local app <close> = start(2, [[
      function run.busy()
        aq.hub.subscribe("t", function(v)
          local from = aq.now()
          if v == 1 then
            -- The thread sanitizer keeps a signal back until the C library is called.
            pcall(function() while true do os.time() end end)
            aq.sleep(1e6)
          end
          while aq.now() < from + 0.04 do end
          keep "t"(v)
        end)
      end]], { "--busy-timeout", "0.5" })
    result_of(app, 2, "busy")

    result_of(app, 1, "many", "t", 21)

    for i, message in ipairs(wait_got(app, 2, 20)) do assert.are.equal(i + 1, message[2]) end
    app:stop { status = 0 }
  end)

  it("counts as waiting what a callback that waits has left", function()
    local app <close> = start(2, [[
      function run.slow()
        aq.hub.subscribe("t", function()
          aq.sleep(0.001)
          keep "t"(aq.hub.stats().queued)
        end)
      end]])
    result_of(app, 2, "slow")

    result_of(app, 1, "many", "t", 20)

    local queued = wait_got(app, 2, 20)
    assert.is_true(queued[20][2] <= 1, queued[20][2] .. " queued")
    app:stop { status = 0 }
  end)

  it("bounds the queue, and counts what is lost", function()
    local app <close> = start(2, [[
      function run.stuck()
        aq.hub.subscribe("t", function() if not run.free then aq.sleep(1e6) end end)
      end]], { "--hub-queue", "100,1M" })
    result_of(app, 2, "stuck")

    for _ = 1, 10 do result_of(app, 1, "many", "t", 100) end

    wait.till(function()
      local stats = result_of(app, 2, "stats")
      return stats.dropped + stats.received == 1000
    end)
    local stats = result_of(app, 2, "stats")
    assert.is_true(stats.queued <= 100, stats.queued .. " queued")
    assert.is_true(stats.received <= 101 and stats.dropped >= 899, stats.dropped .. " dropped")
    assert.are.equal(1000, result_of(app, 1, "stats").sent)
    app:stop { status = 0 }
  end)

  it("bounds the bytes, too", function()
    local app <close> = start(2, [[
      function run.stuck() aq.hub.subscribe("t", function() aq.sleep(1e6) end) end
      function run.large(n) for _ = 1, n do aq.hub.publish("t", ("x"):rep(100000)) end end]],
      { "--hub-queue", "1000,1M" })
    result_of(app, 2, "stuck")

    result_of(app, 1, "large", 100)

    wait.till(function()
      local stats = result_of(app, 2, "stats")
      return stats.dropped + stats.received == 100 and stats.received <= 12
    end)
    app:stop { status = 0 }
  end)

  it("forgets the subscriptions of a worker that has gone", function()
    local app <close> = start(2)
    result_of(app, 2, "subscribe", "t")
    assert.are.equal(1, result_of(app, 1, "publish", "t", "1"))

    ask(app, 2, "stop")
    app:wait_log "worker 2 serves again"

    wait.till(function() return result_of(app, 1, "publish", "t", "2") == 0 end)
    result_of(app, 2, "subscribe", "t")
    assert.is_true(result_of(app, 1, "send", 2, "t", "'new'"))
    assert.are.same({ { "t", "new", 1 } }, wait_got(app, 2, 1))
    app:stop { status = 0 }
  end)

  it("joins two generations, and sends to the newer", function()
    local app <close> = start(1, [[
      function App:prepare()
        run.subscribe "heard"
        aq.hub.subscribe("t", function(v)
          aq.hub.publish("heard", { aq.instance.generation, v }, { include_self = true })
        end)
      end]])
    local old = app:connect()
    old:request("POST", "/stats", { body = "[]" })
    app:signal "HUP"
    app:wait_log "generation 2 serves"

    result_of(app, 1, "publish", "t", "'to the other'")
    assert.are.same({ { "heard", { 1, "to the other" }, 1 } }, wait_got(app, 1, 1))
    result_of(app, 1, "send", 1, "t", "'to the newer'")
    assert.are.same({ { "heard", { 2, "to the newer" }, 1 } }, wait_got(app, 1, 1))

    old:close()
    app:stop { status = 0 }
  end)

  it("delivers everything, in order, while all publish at once", function()
    local workers, n = 4, scale(2000)
    local app <close> = start(workers, [[
      function run.count()
        local last = {}
        run.seen, run.wrong = 0, 0
        aq.hub.subscribe("t", function(i, from)
          if i ~= (last[from] or 0) + 1 then run.wrong = run.wrong + 1 end
          last[from] = i
          run.seen = run.seen + 1
        end)
      end
      function run.flood(n)
        aq.spawn(function()
          for i = 1, n do
            aq.hub.publish("t", i)
            if i % 500 == 0 then aq.sleep(0) end
          end
        end)
      end
      function run.counts() return { run.seen, run.wrong, aq.hub.stats().dropped } end]])
    for _, id in ipairs(all(workers)) do result_of(app, id, "count") end

    for _, id in ipairs(all(workers)) do result_of(app, id, "flood", n) end

    for _, id in ipairs(all(workers)) do
      local counts
      wait.till(function()
        counts = result_of(app, id, "counts")
        return counts[1] + counts[3] == (workers - 1) * n
      end, 60)
      assert.are.same({ (workers - 1) * n, 0, 0 }, counts)
    end
    app:stop { status = 0 }
  end)

  it("survives workers that die while all publish", function()
    local app <close> = start(4, [[
      function App:prepare()
        run.subscribe "t"
        aq.every(0.001, function() for i = 1, 20 do aq.hub.publish("t", i) end end)
      end]])

    for i = 1, scale(20) do
      pcall(ask, app, nil, i % 2 == 0 and "stop" or "exit")
      if i % 5 == 0 then app:signal "HUP" end
    end

    local deadline = proc.now() + 10
    repeat local ok = pcall(result_of, app, nil, "stats") until ok or proc.now() > deadline
    app:stop { status = 0 }
    assert.is_nil(app:log():find("left open", 1, true))
  end)
end)
