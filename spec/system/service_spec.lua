--- Services: one thread for the whole runtime, called by every worker.

local json = require "luaqueduct.core.json"
local proc = require "spec.proc"
local scale = require "spec.support.scale"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

local APP = [[
local aq = require "luaqueduct"
local App = aq.channel()
%s
function App:entry_point()
  local router = aq.router()
  router:get("/id", function() return tostring(aq.instance.id) end)
  router:post("/call/:name/:method", function(req)
    local service = aq.service(req.params.name, { timeout = tonumber(req.query.timeout) or 5 })
    local results = table.pack(service:call(req.params.method, table.unpack(req:json())))
    local err = results[2]
    if results[1] == nil and type(err) == "table" and err.code then
      return { code = err.code, message = err.message }
    end
    for i = 1, results.n do if results[i] == nil then results[i] = aq.null end end
    results.n = nil
    return { results = aq.array(results) }
  end)
  router:post("/cast/:name/:method", function(req)
    local ok, err = aq.service(req.params.name):cast(req.params.method, table.unpack(req:json()))
    return { ok = ok, code = err and err.code }
  end)
  router:post("/eval", function(req)
    local results = table.pack(pcall(assert(load(req:body()))))
    return { ok = results[1], result = results[2] == nil and aq.null or results[2] }
  end)
  router:get("/exit", function() os.exit() end)
  return router
end
return App
]]

local ECHO = [[
local aq = require "luaqueduct"
local Echo = aq.service(OPTIONS)
local count, running, most = 0, 0, 0
function Echo:prepare(arg) self.arg = arg end
function Echo:echo(...) return ... end
function Echo:arg_of() return self.arg end
function Echo:who()
  return aq.instance.name, aq.instance.restarts, aq.instance.generation, aq.instance.id
end
function Echo:count() count = count + 1 return count end
function Echo:sleep(seconds)
  running = running + 1
  most = math.max(most, running)
  aq.sleep(seconds)
  running = running - 1
  return most
end
function Echo:fail(...) error(...) end
function Echo:fail_table() error { code = "E42", message = "why not" } end
function Echo:unpackable() return print end
function Echo:stop() aq.instance:stop() return "stopping" end
function Echo:exit() os.exit() end
function Echo:spin() while true do os.time() end end
function Echo:call(name, method, ...)
  return aq.service(name, { timeout = 0.3 }):call(method, ...)
end
function Echo:publish(topic, value) return aq.hub.publish(topic, value) end
function Echo:subscribe(topic)
  aq.hub.subscribe(topic, function(value, from) self.heard = { value, from } end)
end
function Echo:heard_of() return self.heard end
function Echo:timer() aq.after(0.01, function() self.fired = true end) end
function Echo:has_fired() return self.fired end
function Echo:close() aq.log.info("closed " .. aq.instance.name) end
function Echo:_private() return "secret" end
Echo.constant = 1
return Echo
]]

local DECLARE = [[
function App.initialize(options)
  options:service("echo", "echo.lua", { token = "t" }%s)
end]]

local function start(options)
  options = options or {}
  local files = { ["echo.lua"] = (ECHO:gsub("OPTIONS", options.kind or "")) }
  for name, text in pairs(options.files or {}) do files[name] = text end
  return server.start {
    source = APP:format(options.head
      or DECLARE:format(options.with and ", " .. options.with or "")),
    files = files,
    workers = options.workers or 2,
    args = options.args,
  }
end

local function call_with(app, name, method, args)
  return json.decode(app:post(("/call/%s/%s"):format(name, method), {
    body = json.encode(args) }).body)
end

local function call(app, method, ...)
  return call_with(app, "echo", method, json.array { ... })
end

local function cast(app, method, ...)
  return json.decode(app:post("/cast/echo/" .. method, {
    body = json.encode(json.array { ... }) }).body)
end

local function eval(app, code)
  return json.decode(app:post("/eval", { body = "local aq = require 'luaqueduct' " .. code }).body)
end

--- Connections with a call on its way, on each of them one.
local function begin_calls(app, n, method, args)
  local conns = {}
  local client = require "spec.support.client"

  for i = 1, n do
    conns[i] = app:connect()
    conns[i]:send(client.format("POST", "/call/echo/" .. method, { body = json.encode(args) }))
  end
  return conns
end

local function end_calls(conns)
  local answers = {}

  for i, conn in ipairs(conns) do
    answers[i] = json.decode(assert(conn:read_response()).body)
    conn:close()
  end
  return answers
end

describe("a service", function()
  for _, workers in ipairs { 1, 2, 8 } do
    it("answers every worker, of " .. workers, function()
      local app <close> = start { workers = workers }

      for _ = 1, 2 * workers do
        assert.are.same({ results = { 1, "two", { three = 3 } } },
          call(app, "echo", 1, "two", { three = 3 }))
      end
      assert.are.same({ results = { { token = "t" } } }, call(app, "arg_of"))
      assert.are.same({ results = { "echo", 0, 1, json.null } }, call(app, "who"))
      app:stop { status = 0 }
      assert.is_truthy(app:log():find("closed echo", 1, true))
    end)
  end

  it("is there when the workers prepare", function()
    local app <close> = start { workers = 4, head = DECLARE:format "" .. [[

      function App:prepare() self.first = assert(aq.service("echo"):call("echo", "early")) end
      function App:ready() aq.log.info("ready with " .. self.first) end]] }

    wait.till(function() return select(2, app:log():gsub("ready with early", "")) == 4 end)
    app:stop { status = 0 }
  end)

  it("gives back nothing, nil and many values", function()
    local app <close> = start()

    assert.are.same({ results = {} }, call(app, "echo"))
    assert.are.same(200, #call(app, "echo", table.unpack((function()
      local list = {}
      for i = 1, 200 do list[i] = i end
      return list
    end)())).results)
    assert.are.same({ ok = true, result = true }, eval(app,
      "local a, b, c = aq.service('echo'):call('echo', nil, 2, nil) return a == nil and b == 2"))
    app:stop { status = 0 }
  end)

  it("tells errors by code and message", function()
    local app <close> = start()

    local res = call(app, "fail", "oops")
    assert.are.equal("error", res.code)
    assert.matches("echo%.lua:%d+: oops$", res.message)
    assert.are.same({ code = "E42", message = "why not" }, call(app, "fail_table"))
    assert.matches("nil", call(app, "fail").message)
    assert.matches("cannot pack: a function", call(app, "unpackable").message)
    for _, method in ipairs { "nothing", "_private", "prepare", "close", "constant" } do
      assert.are.equal("no_method", call(app, method).code)
    end
    assert.are.same({ results = { 1 } }, call(app, "echo", 1))
    app:stop { status = 0 }
  end)

  it("raises for what cannot be sent, and for names that nobody has declared", function()
    local app <close> = start()
    local function raises(code)
      local answer = eval(app, code)
      assert.is_false(answer.ok)
      return answer.result
    end

    assert.matches("a function at %[1%]", raises "aq.service('echo'):call('echo', { print })")
    assert.matches('there is no service "nobody"', raises "aq.service 'nobody'")
    assert.matches("unknown option wait", raises "aq.service('echo', { wait = 1 })")
    assert.matches("not a name", raises "aq.service('echo'):call('')")
    assert.matches("initialize only",
      raises "require('luaqueduct.core.service').declare('x', 'y', 1, 1, 1, 0)")
    app:stop { status = 0 }
  end)

  it("ends a call by its timeout, and goes on", function()
    local app <close> = start()
    local began = proc.now()

    assert.are.equal("timeout", call_with(app, "echo", "sleep?timeout=0.1", { 0.5 }).code)

    assert.is_true(proc.now() - began < 0.4)
    assert.are.same({ results = { 7 } }, call(app, "echo", 7))
    app:stop { status = 0 }
  end)

  it("works off one call at a time, in order", function()
    local app <close> = start { workers = 1 }
    local conns = begin_calls(app, 5, "sleep", { 0.02 })

    for _, answer in ipairs(end_calls(conns)) do assert.are.same({ results = { 1 } }, answer) end
    for i = 1, 10 do assert.are.same({ results = { i } }, call(app, "count")) end
    app:stop { status = 0 }
  end)

  it("has many at a time when it is concurrent", function()
    local app <close> = start { kind = "{ concurrent = true }" }
    local began = proc.now()

    local answers = end_calls(begin_calls(app, 10, "sleep", { 0.2 }))

    assert.is_true(proc.now() - began < 1.5)
    assert.are.same({ results = { 10 } }, answers[10])
    app:stop { status = 0 }
  end)

  it("has as many threads as instances, which share the calls", function()
    local app <close> = start { with = "{ instances = 4 }" }
    local began = proc.now()

    end_calls(begin_calls(app, 8, "sleep", { 0.2 }))

    assert.is_true(proc.now() - began < 1.2, ("%g s"):format(proc.now() - began))
    app:stop { status = 0 }
  end)

  it("answers overloaded when its queue is full", function()
    local app <close> = start { with = "{ queue = 3 }" }

    local codes = {}
    for _, answer in ipairs(end_calls(begin_calls(app, 10, "sleep", { 0.1 }))) do
      codes[answer.code or "done"] = (codes[answer.code or "done"] or 0) + 1
    end

    assert.are.same({ done = 4, overloaded = 6 }, codes)
    assert.are.same({ results = { 7 } }, call(app, "echo", 7))
    app:stop { status = 0 }
  end)

  it("takes casts, and logs what fails in them", function()
    local app <close> = start()

    assert.are.same({ ok = true }, cast(app, "count"))
    assert.are.same({ ok = true }, cast(app, "fail", "thrown"))
    assert.are.same({ ok = true }, cast(app, "nothing"))

    app:wait_log "error in a cast to fail"
    app:wait_log "thrown"
    app:wait_log "no such method"
    wait.till(function() return call(app, "count").results[1] >= 2 end)
    app:stop { status = 0 }
  end)

  it("has timers and the hub", function()
    local app <close> = start { workers = 1, head = DECLARE:format "" .. [[

      function App:prepare()
        aq.hub.subscribe("t", function(value, from) self.got = value .. " from " .. from end)
        got = function() return self.got end
      end]] }

    call(app, "timer")
    wait.till(function() return call(app, "has_fired").results[1] == true end)
    assert.are.same({ results = { 1 } }, call(app, "publish", "t", "news"))
    wait.till(function() return eval(app, "return got()").result == "news from echo" end)
    call(app, "subscribe", "u")
    assert.are.equal(1, eval(app, "return aq.hub.publish('u', 'hello')").result)
    wait.till(function()
      local heard = call(app, "heard_of").results[1]
      return heard ~= json.null and heard[1] == "hello" and heard[2] == 1
    end)
    assert.are.equal(true, eval(app, "return aq.hub.send('echo', 'u', 'direct')").result)
    app:stop { status = 0 }
  end)

  it("calls others, and two that call each other end in the timeout", function()
    local app <close> = start {
      head = [[
        function App.initialize(options)
          options:service("echo", "echo.lua")
          options:service("other", "echo.lua")
        end]],
    }

    assert.are.same({ results = { "round" } }, call(app, "call", "other", "echo", "round"))
    local began = proc.now()
    local answer = call(app, "call", "other", "call", "echo", "echo", 1)
    assert.is_true(proc.now() - began < 3)
    assert.are.equal("timeout", answer.code)
    assert.are.same({ results = { 7 } }, call(app, "echo", 7))
    app:stop { status = 0 }
  end)
end)

describe("a service that ends", function()
  for _, method in ipairs { "stop", "exit" } do
    it("is started again after " .. method, function()
      local app <close> = start()

      call(app, method)
      app:wait_log "service echo has ended: it is started again in 0 ms"
      app:wait_log "service echo serves again"

      assert.are.same({ results = { "echo", 1, 1, json.null } }, call(app, "who"))
      app:stop { status = 0 }
    end)
  end

  it("tells the calls in its queue that it is down", function()
    local app <close> = start { workers = 1 }
    local conns = begin_calls(app, 3, "sleep", { 0.3 })
    wait.till(function() return app:get("/id").status == 200 end)
    local client = require "spec.support.client"
    local last = app:connect()
    last:send(client.format("POST", "/cast/echo/stop", { body = "[]" }))
    assert(last:read_response())
    last:close()

    local answers = end_calls(conns)

    for _, answer in ipairs(answers) do
      assert.is_true(answer.results ~= nil or answer.code == "service_down", answer.code)
    end
    app:stop { status = 0 }
  end)

  it("never lets a call hang while it dies again and again", function()
    local app <close> = start { workers = 4 }
    local codes = {}

    for i = 1, scale(40) do
      if i % 4 == 0 then call(app, "exit") end
      local began = proc.now()
      local answer = call(app, "echo", i)
      assert.is_true(proc.now() - began < 4)
      codes[answer.code or "done"] = (codes[answer.code or "done"] or 0) + 1
    end

    for code in pairs(codes) do
      assert.is_true(code == "done" or code == "service_down", code)
    end
    app:stop { status = 0 }
  end)

  it("that is stuck in Lua goes on when it has a busy timeout", function()
    local app <close> = start { with = "{ busy_timeout = 0.2 }" }

    local answer = call(app, "spin")

    assert.matches("interrupted", answer.message)
    assert.are.same({ results = { 7 } }, call(app, "echo", 7))
    app:stop { status = 0 }
  end)

  it("does not hold up a stop", function()
    local app <close> = start { args = { "--drain-timeout", "0.3" } }
    assert.is_true(cast(app, "sleep", 1e6).ok)

    local began = proc.now()
    app:stop { status = 0 }

    assert.is_true(proc.now() - began < 4, ("%g s"):format(proc.now() - began))
  end)
end)

describe("services at the start", function()
  local function refused(files, head)
    local err = select(2, pcall(start, { files = files, head = head }))
    return tostring(err)
  end

  it("fail it with file and line", function()
    assert.matches("service echo: .*echo.lua:2: broken",
      refused { ["echo.lua"] = "\nerror 'broken'" })
    assert.matches("must return what aq.service%(%) has made",
      refused { ["echo.lua"] = "return {}" })
    assert.matches("service echo: cannot open .*none.lua", refused({},
      [[function App.initialize(options) options:service("echo", "none.lua") end]]))
    assert.matches("echo.lua:3: not prepared", refused { ["echo.lua"] = [[
local Echo = require("luaqueduct").service()
function Echo:prepare()
error "not prepared" end
return Echo]] })
    assert.matches("unknown option size", refused({}, [[
      function App.initialize(options)
        options:service("echo", "echo.lua", nil, { size = 1 })
      end]]))
  end)
end)

describe("services in a reload", function()
  local function put(app, name, text)
    local file = assert(io.open(app.folder .. "/" .. name .. ".new", "wb"))
    assert(file:write(text))
    assert(file:close())
    assert(os.rename(app.folder .. "/" .. name .. ".new", app.folder .. "/" .. name))
  end

  it("stay as they are when nothing of them has changed", function()
    local app <close> = start()
    for i = 1, 3 do assert.are.same({ results = { i } }, call(app, "count")) end

    app:signal "HUP"
    app:wait_log "generation 2 serves"

    assert.are.same({ results = { 4 } }, call(app, "count"))
    app:stop { status = 0 }
  end)

  it("are swapped when their file has changed, and no call fails", function()
    local app <close> = start { workers = 4 }
    call(app, "count")
    local conns = begin_calls(app, 4, "sleep", { 0.1 })

    put(app, "echo.lua", (ECHO:gsub("OPTIONS", ""):gsub("count %+ 1", "count + 100")))
    app:signal "HUP"
    local n = 0
    repeat
      local answer = call(app, "count")
      assert.is_nil(answer.code)
      n = n + 1
    until answer.results[1] >= 100 or n > 2000

    app:wait_log "service echo runs its new code"
    for _, answer in ipairs(end_calls(conns)) do assert.is_nil(answer.code) end
    assert.are.same({ results = { "echo", 0, 2, json.null } }, call(app, "who"))
    app:stop { status = 0 }
  end)

  it("go on with the old code when the new one does not work", function()
    local app <close> = start()
    put(app, "echo.lua", "error 'broken'")

    app:signal "HUP"
    app:wait_log "the new code has failed, the old one starts again"
    app:wait_log "service echo runs its old code"

    assert.are.same({ results = { 7 } }, call(app, "echo", 7))
    put(app, "echo.lua", (ECHO:gsub("OPTIONS", "")))
    app:signal "HUP"
    app:wait_log "service echo runs its new code"
    assert.are.same({ results = { 7 } }, call(app, "echo", 7))
    app:stop { status = 0 }
  end)

  it("come and go as they are declared", function()
    local app <close> = start()
    local source = APP:format [[
      function App.initialize(options) options:service("late", "echo.lua", "arg") end
      function App:prepare() assert(aq.service("late"):call("echo", 1) == 1) end]]

    put(app, "app.lua", source)
    app:signal "HUP"
    app:wait_log "generation 2 serves"
    app:wait_log "closed echo"

    assert.are.same({ results = { "arg" } }, call_with(app, "late", "arg_of", json.array {}))
    wait.till(function() return not eval(app, "return aq.service 'echo'").ok end)
    app:stop { status = 0 }
  end)

  it("of a generation that is dropped go with it", function()
    local app <close> = start()
    local threads = app:threads()
    put(app, "app.lua", APP:format [[
      function App.initialize(options)
        options:service("echo", "echo.lua", { token = "t" })
        options:service("late", "echo.lua")
      end
      function App:prepare() error "not this time" end]])

    app:signal "HUP"
    app:wait_log "not this time"

    wait.till(function() return app:threads() == threads end)
    assert.are.same({ results = { 7 } }, call(app, "echo", 7))
    app:stop { status = 0 }
  end)

  it("are looked at by --watch", function()
    local app <close> = start { args = { "--watch" } }

    put(app, "echo.lua", (ECHO:gsub("OPTIONS", ""):gsub("return most", "return 'watched'")))

    app:wait_log "echo.lua has changed: reload"
    app:wait_log "service echo runs its new code"
    assert.are.same({ results = { "watched" } }, call(app, "sleep", 0))
    app:stop { status = 0 }
  end)
end)

describe("services under load", function()
  for _, spin in ipairs { "0", "50" } do
    it("answer 4 workers while all die and are reloaded, --spin " .. spin, function()
      local app <close> = start {
        workers = 4, args = { "--spin", spin }, head = [[
          function App.initialize(options)
            options:service("echo", "echo.lua", { token = "t" }, { instances = 2 })
            options:service("other", "echo.lua")
          end
          function App:prepare()
            local echo, other = aq.service "echo", aq.service "other"
            for i = 1, 4 do
              aq.every(0.001, function()
                assert(select(2, echo:call("echo", i)) == nil)
                other:cast("count")
              end)
            end
          end]],
      }

      for i = 1, scale(10) do
        pcall(call, app, i % 2 == 0 and "exit" or "stop")
        pcall(app.get, app, "/exit")
        if i % 3 == 0 then app:signal "HUP" end
      end

      wait.till(function()
        local ok, answer = pcall(call, app, "echo", 7)
        return ok and answer.results
      end, 15)
      app:stop { status = 0 }
      assert.is_nil(app:log():find("left open", 1, true))
    end)
  end

  it("answer with --spin, and let sockets and timers have their turn", function()
    local app <close> = start { workers = 1, args = { "--spin", "1000" },
      head = DECLARE:format "" .. [[

      function App:prepare()
        local echo = aq.service "echo"
        aq.spawn(function() while true do echo:call("echo", 1) end end)
      end]] }

    for i = 1, 20 do assert.are.same({ results = { i } }, call(app, "echo", i)) end
    call(app, "timer")
    wait.till(function() return call(app, "has_fired").results[1] == true end)
    app:stop { status = 0 }
  end)
end)
