--- The log of the real program: what stands in a record, and where.

local client = require "spec.support.client"
local command = require "spec.support.command"
local json = require "luaqueduct.core.json"
local proc = require "spec.proc"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

local SOURCE = [[
local aq = require "luaqueduct"
local App = aq.channel()
local nest = aq.logger "nest"
function App:prepare() aq.log.info "preparing" end
function App:entry_point()
  local router = aq.router()
  router:get("/", function() return "Hello" end)
  router:get("/id", function(req)
    aq.log.warn("seen", { user = 7, list = { 1, 2 } })
    return req.id
  end)
  router:get("/nest", function() nest.info("hot", { degrees = 40.5 }) return "nest" end)
  router:get("/waits", function(req)
    aq.sleep(0.001)
    coroutine.wrap(function() aq.log.info "waited" end)()
    return req.id
  end)
  router:get("/print", function() print("a", nil, "b\nc") return "printed" end)
  router:get("/levels", function()
    for _, level in ipairs { "debug", "info", "warn", "error" } do aq.log[level](level) end
    return "levels"
  end)
  router:get("/bytes", function()
    local all = {}
    for i = 0, 255 do all[#all + 1] = string.char(i) end
    all = table.concat(all)
    aq.log.info(all, { [all] = all })
    return "bytes"
  end)
  router:get("/error", function() error "boom" end)
  router:get("/waits-error", function() aq.sleep(0.001) error "late boom" end)
  router:get("/nil", function() return nil, "went wrong" end)
  router:get("/nil-table", function() return nil, { code = "x", message = "table says" } end)
  router:get("/error-table", function() error { code = "x", message = "table raised" } end)
  router:get("/error-data", function() error { reason = { "no luck" } } end)
  router:get("/task-table", function()
    aq.spawn(function() error { code = 7, message = "out of it" } end)
    return "task"
  end)
  router:get("/long", function()
    aq.log.warn(("m"):rep(10000000), { f = ("f"):rep(10000000) })
    return "long"
  end)
  router:get("/long-error", function() error(("e"):rep(10000000), 0) end)
  router:get("/many", function()
    local many = {}
    for i = 1, 600000 do many[i] = i end
    aq.log.info("many", many)
    return "many"
  end)
  router:get("/task", function() aq.spawn(function() error "in a task" end) return "task" end)
  router:get("/warn", function() warn "look" return "warned" end)
  router:get("/nested", function()
    local value = {}
    setmetatable(value, { __tostring = function() aq.log.info "inner" return "value" end })
    aq.log.info("outer", { value = value, other = { 1 } })
    return "nested"
  end)
  return router
end
return App
]]

--- The records of a log in JSON; every line must be one.
local function records_of(text)
  local list = {}
  for line in text:gmatch "([^\n]*)\n" do
    local record, err = json.decode(line)
    assert(record, line .. ": " .. tostring(err))
    assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$", record.time)
    list[#list + 1] = record
  end
  assert.matches("\n$", text)
  return list
end

local function with(list, key, value)
  local found = {}
  for _, record in ipairs(list) do
    if record[key] == value then found[#found + 1] = record end
  end
  return found
end

for _, workers in ipairs { 1, 4 } do
  describe(("records of JSON, %d workers"):format(workers), function()
    local app

    local function start(...)
      app = server.start { source = SOURCE, workers = workers,
        args = { "--log-format", "json", ... } }
    end

    before_each(function() app = nil end)
    after_each(function() if app then app:kill() end end)

    local function stop()
      local _, text = app:stop { status = 0 }
      return records_of(text)
    end

    --- The one record with that message.
    local function record_of(list, message)
      local found = with(list, "message", message)
      assert.are.equal(1, #found, message)
      return found[1]
    end

    it("have level, worker, message, fields and the request's id", function()
      start()
      local id = app:get("/id").body

      local record = record_of(stop(), "seen")

      assert.are.equal("warn", record.level)
      assert.is_true(math.type(record.worker) == "integer" and record.worker >= 1
        and record.worker <= workers)
      assert.are.same({ user = 7, list = { 1, 2 } }, record.fields)
      assert.are.equal(id, record.request)
      assert.is_nil(record.logger)
    end)

    it("have the logger's name", function()
      start()
      app:get "/nest"

      local record = record_of(stop(), "hot")

      assert.are.equal("nest", record.logger)
      assert.are.same({ degrees = 40.5 }, record.fields)
    end)

    it("have the request's id also behind a wait and in a coroutine of one's own", function()
      start()
      local id = app:get("/waits").body

      assert.are.equal(id, record_of(stop(), "waited").request)
    end)

    it("have no request outside of one", function()
      start()

      local found = with(stop(), "message", "preparing")

      assert.are.equal(workers, #found)
      for _, record in ipairs(found) do assert.is_nil(record.request) end
    end)

    it("are what print prints", function()
      start()
      app:get "/print"

      assert.are.equal("info", record_of(stop(), "a\tnil\tb\nc").level)
    end)

    it("count from their level on", function()
      start("--log-level", "warn")
      app:get "/levels"

      local list = stop()

      assert.are.equal(0, #with(list, "level", "debug") + #with(list, "level", "info"))
      assert.are.equal("warn", record_of(list, "warn").level)
      assert.are.equal("error", record_of(list, "error").level)
    end)

    it("are valid, whatever bytes stand in them", function()
      start()
      app:get "/bytes"

      local all = {}
      for i = 0, 127 do all[i + 1] = string.char(i) end
      local expected = table.concat(all) .. ("\u{FFFD}"):rep(128)
      assert.are.same({ [expected] = expected }, record_of(stop(), expected).fields)
    end)

    it("of errors have method, path, id and traceback", function()
      start()
      for _, path in ipairs { "/error?q=1", "/waits-error" } do
        assert.are.equal(500, app:get(path).status)
      end

      local list = with(stop(), "level", "error")

      assert.are.equal(2, #list)
      for _, record in ipairs(list) do
        assert.are.equal("GET", record.method)
        assert.matches("^/%w*-?error$", record.path)
        assert.matches("^%x+%-%x+%-%x+$", record.request)
        assert.matches("app.lua:%d+: %a*%s?boom$", record.message)
        assert.matches("^stack traceback:\n\t.*app.lua:%d+: in function", record.traceback)
      end
    end)

    it("of `nil, err` and of tasks tell what went wrong", function()
      start()
      assert.are.equal(500, app:get("/nil").status)
      app:get "/task"

      local list = stop()
      assert.are.equal("/nil", record_of(list, "the handler returned nil, went wrong").path)
      local found = with(list, "level", "error")
      assert.are.equal(2, #found)
      local task = found[1].path and found[2] or found[1]
      assert.matches("^error in a task: .*app.lua:%d+: in a task$", task.message)
      assert.matches("^stack traceback:", task.traceback)
    end)

    it("of tables without __tostring have their message", function()
      start()
      app:get "/nil-table"
      app:get "/error-table"

      local list = stop()

      assert.are.equal("error", record_of(list, "the handler returned nil, table says (x)").level)
      assert.matches("^stack traceback:", record_of(list, "table raised (x)").traceback)
    end)

    it("of tables without a message have what stands in them", function()
      start()
      app:get "/error-data"
      app:get "/task-table"

      local list = stop()

      record_of(list, '{"reason":["no luck"]}')
      record_of(list, "error in a task: out of it (7)")
    end)

    it("are cut where they are too long, and say so", function()
      start()
      assert.are.equal("long", app:get("/long").body)
      assert.are.equal(500, app:get("/long-error").status)

      local list = stop()

      local long, failure = with(list, "level", "warn")[1], with(list, "level", "error")[1]
      assert.are.same({ ("m"):rep(256 * 1024) .. "... (9737856 bytes more)",
        { f = ("f"):rep(64 * 1024) .. "... (9934464 bytes more)" } },
        { long.message, long.fields })
      assert.are.equal(("e"):rep(256 * 1024) .. "... (9737856 bytes more)", failure.message)
      assert.matches("^stack traceback:", failure.traceback)
    end)

    it("never fail a request, however many fields they have", function()
      start()
      assert.are.equal("many", app:get("/many").body)

      local found = record_of(stop(), "many").fields

      assert.are.equal("599000 fields more", found["..."])
    end)

    it("of warn() are records", function()
      start()
      app:get "/warn"

      assert.are.equal("warn", record_of(stop(), "look").level)
    end)

    it("may be made while another is made", function()
      start()
      app:get "/nested"

      local list = stop()
      record_of(list, "inner")
      assert.are.same({ value = "value", other = { 1 } }, record_of(list, "outer").fields)
    end)
  end)
end

describe("records of text", function()
  it("are one line each, without control bytes, and not coloured in a file", function()
    local app <close> = server.start { source = SOURCE }
    for _, path in ipairs { "/bytes", "/print", "/error", "/nil", "/task", "/nest" } do
      app:get(path)
    end

    local _, text = app:stop { status = 0 }

    local count = 0
    for line in text:gmatch "([^\n]*)\n" do
      assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ %a+ +w1: ", line)
      assert.is_nil(line:find "[%c]", line)
      assert.is_truthy(utf8.len(line), line)
      count = count + 1
    end
    assert.are.equal(7, count)
    assert.matches("w1: nest: hot degrees=40.5 request=", text, 1, true)
    assert.matches('error w1: GET /error: [^\n]*app.lua:%d+: boom request=%S+ traceback="stack '
      .. 'traceback:\\n\\t', text)
  end)

  it("are coloured on a terminal, unless NO_COLOR is set", function()
    local folder = command.folder()
    local function first_line(env)
      local file = assert(io.open(folder .. "/app.lua", "w"))
      file:write "require 'luaqueduct'.log.error 'x' error 'no more'"
      file:close()
      local line = ("%s serve %s/app.lua -p 0"):format(server.binary(), folder)
      local result = command.run({ "script", "-qec", line, "/dev/null" }, { env = env })
      return result.stdout:match "[^\r\n]*"
    end

    local coloured, plain = first_line { NO_COLOR = false }, first_line { NO_COLOR = "1" }

    command.remove(folder)
    assert.matches("\27[31merror\27[0m main: x", coloured, 1, true)
    assert.matches("Z error main: x$", plain)
  end)
end)

describe("the start", function()
  it("says what was logged before it failed, then why", function()
    local result = server.fail { source = "print 'first' print 'second' error 'third'" }

    assert.are.equal(1, result.status)
    assert.matches("first\n.*second\n.*could not start:.*app.lua:1: third", result.stderr)
  end)

  it("fails in one line when the log file cannot be opened", function()
    local result = server.fail { source = SOURCE, args = { "--log-file", "/nowhere/app.log" } }

    assert.are.equal(1, result.status)
    assert.are.equal("luaqueduct: --log-file: /nowhere/app.log: No such file or directory\n",
      result.stderr)
    assert.are.equal("", result.stdout)
    assert.is_true(result.seconds < 1)
  end)
end)

describe("a runtime that dies", function()
  it("leaves a record in the file of the log, and so does the next one", function()
    local folder = command.folder()
    local path = folder .. "/app.log"
    do
      local app <close> = server.start { source = SOURCE,
        args = { "--log-file", path, "--log-format", "json" } }
      local children = ("/proc/%d/task/%d/children"):format(app.pid, app.pid)
      local runtime = tonumber(command.read_file(children):match "%d+")

      proc.kill(runtime, 9)
      wait.till(function() return command.read_file(path):find("listening again", 1, true) end)

      assert.are.equal(200, app:get("/").status)
      app:stop { status = 0 }
      local list = records_of(command.read_file(path))
      assert.matches("was ended by signal 9", list[2].message)
      assert.are.equal("error", list[2].level)
    end
    command.remove(folder)
  end)
end)

-- ---- the access log -------------------------------------------------------------------------

local ACCESS = [[
local aq = require "luaqueduct"
local router = aq.router()
router:get("/", function(req) return req.id end)
router:get("/json", function() return { a = 1 } end)
router:get("/empty", function() return aq.no_content() end)
router:get("/stream", function()
  return aq.stream(function(write) write "abc" aq.sleep(0.001) write "defg" end)
end)
router:get("/broken", function() return aq.stream(function(w) w "abc" error "x" end) end)
router:get("/error", function() error "boom" end)
router:get("/late", function(req)
  req:on_response(function() error "in a hook" end)
  return ("x"):rep(1000)
end)
router:get("/slow", function() aq.log.error "slow begun" aq.sleep(1000) end)
router:post("/echo", function(req) return req:body() end)
router:get("/detach", function(req)
  local stream <close> = req:detach()
  stream:write "HTTP/1.1 200 OK\r\n\r\nraw"
end)
return router
]]

describe("the access log", function()
  local app

  local function start(...)
    app = server.start { source = ACCESS, workers = 2, args = { "--access-log",
      "--log-format", "json", "--log-level", "error", "--header-timeout", "1", ... } }
  end

  before_each(function() app = nil end)
  after_each(function() if app then app:kill() end end)

  local function stop()
    local _, text = app:stop { status = 0 }
    return with(records_of(text), "logger", "access")
  end

  --- The record of the one request that was made.
  local function only()
    local list = stop()
    assert.are.equal(1, #list)
    return list[1]
  end

  local function brief(record)
    return ("%s %s %d %d"):format(record.method, record.target, record.status, record.bytes)
  end

  local function tells(expected, path, options)
    it("tells " .. expected, function()
      start()
      app:request(expected:match "^%S+", path or expected:match "^%S+ (%S+)", options)
      assert.are.equal(expected, brief(only()))
    end)
  end

  it("has what the contract says, whatever the level is", function()
    start()
    local id = app:get("/?a=b%20c").body

    local record = only()

    assert.are.equal("GET /?a=b%20c 200 " .. #id, brief(record))
    assert.are.equal(id, record.request)
    assert.are.equal("127.0.0.1", record.remote)
    assert.are.equal("info", record.level)
    assert.is_true(record.duration_ms >= 0 and record.duration_ms < 1000)
  end)

  tells "GET /json 200 7"
  tells "GET /empty 204 0"
  tells "GET /stream 200 7"
  tells "GET /error 500 26"
  tells "GET /late 500 26"
  tells "HEAD /json 200 0"
  tells "GET /nowhere 404 14"
  tells "DELETE / 405 23"
  tells "OPTIONS / 204 0"
  tells("POST /echo 200 5000", nil, { body = ("x"):rep(5000) })

  it("tells 413 for a body beyond the limit", function()
    start("--body-limit", "1K")
    app:post("/echo", { body = ("x"):rep(5000) })

    assert.are.equal("POST /echo 413 22", brief(only()))
  end)

  it("tells what was sent of a stream that breaks off", function()
    start()
    app:get "/broken"

    assert.are.equal("GET /broken 200 3", brief(only()))
  end)

  it("tells 499 for a client that left, 101 for a connection taken out of HTTP", function()
    start()
    local conn = app:connect()
    conn:send(client.format("GET", "/slow"))
    app:wait_log "slow begun"
    conn:reset()
    app:wait_log '"status":499'
    app:get "/detach"

    local list = stop()

    assert.are.equal(2, #list)
    assert.are.equal("GET /slow 499 0", brief(list[1]))
    assert.are.equal("GET /detach 101 0", brief(list[2]))
  end)

  it("tells of requests that the parser refused", function()
    start()
    for _, bytes in ipairs { "GET / HTTP/1.1\r\n\r\n", "nonsense\r\n\r\n", "\22\3\1\2\0\1\0\1",
      "GET / HTTP/2.0\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" } do
      local conn <close> = app:connect()
      conn:send(bytes)
      assert(conn:read_response())
    end

    local list = stop()

    assert.are.equal(5, #list)
    local statuses = {}
    for i, record in ipairs(list) do
      statuses[i] = record.status
      assert.is_string(record.method)
      assert.is_string(record.target)
      assert.is_truthy(record.request)
    end
    table.sort(statuses)
    assert.are.same({ 400, 400, 400, 400, 505 }, statuses)
    assert.are.equal(3, #with(list, "target", "/"))
  end)

  it("tells 408, but nothing of a connection that asked for nothing", function()
    start()
    app:connect():close()
    do
      local half <close> = app:connect()
      half:send "GET / HTT"
    end
    local slow <close> = app:connect()
    slow:send "GET / HTTP/1.1\r\nHo"
    assert.are.equal(408, assert(slow:read_response()).status)

    assert.are.equal(408, only().status)
  end)

  it("has one record a request, also in pipelines, and no id twice", function()
    start()
    for _ = 1, 20 do
      local conn <close> = app:connect()
      conn:send((client.format("GET", "/") .. client.format("GET", "/stream")):rep(25))
      for _ = 1, 50 do assert(conn:read_response()) end
    end

    local list, seen = stop(), {}

    assert.are.equal(1000, #list)
    for _, record in ipairs(list) do
      assert.is_nil(seen[record.request])
      seen[record.request] = true
    end
    assert.are.equal(500, #with(list, "target", "/stream"))
  end)

  it("has the client that a trusted proxy tells of", function()
    start("--trust-proxy", "127.0.0.0/8")
    app:get("/", { headers = { { "X-Forwarded-For", "203.0.113.9" } } })

    assert.are.equal("203.0.113.9", only().remote)
  end)

  it("is off unless asked for", function()
    app = server.start { source = ACCESS }
    app:get "/"

    local _, text = app:stop { status = 0 }
    assert.are.equal("", text)
  end)
end)
