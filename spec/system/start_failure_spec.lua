--- What ends a start: one message with file and line, status 1, soon, and nobody ever served.

local command = require "spec.support.command"
local load = require "spec.support.load"
local proc = require "spec.proc"
local server = require "spec.support.server"
local socket = require "socket"

local SECONDS = 0.2 -- that it may take, in a soak

local is_root = command.run({ "id", "-u" }).stdout == "0\n"

--- Takes from root what others do not have.
local function without(capabilities)
  return is_root and { "setpriv", "--bounding-set=" .. capabilities } or nil
end

--- Asserts that standard error is one message: its line, and lines that belong to it.
local function is_one_message(text)
  local rest = assert(text:match "^luaqueduct: [^\n]+\n(.*)$", text)

  for line in rest:gmatch "[^\n]+" do
    assert(line == "stack traceback:" or line:find "^\t", ("%q in\n%s"):format(line, text))
  end
  assert.is_true(select(2, rest:gsub("stack traceback:", "")) <= 1, text)
end

--- Starts what cannot; `...` are texts of its message. Returns the message.
local function fails(options, ...)
  local res = server.fail(options)

  assert.are.equal(options.status or 1, res.status, res.stderr)
  assert.are.equal("", res.stdout)
  is_one_message(res.stderr)
  for _, text in ipairs { ... } do assert.matches(text, res.stderr, 1, true) end
  assert.is_true(res.seconds <= load.limit(SECONDS, 2), res.seconds .. " s")
  return res.stderr
end

--- A channel whose `step` fails in the worker of that place ("first" or "last"), the others wait.
local function failing(step, place)
  return ([[
local aq = require "luaqueduct"
local App = aq.channel()
function App:prepare() end
function App:entry_point() return aq.router() end
local step = App.%s
function App:%s()
  if aq.instance.id == (%q == "first" and 1 or aq.instance.workers) then
    aq.sleep(0.02)
    error "no luck"
  end
  return step(self)
end
return App]]):format(step, step, place)
end

local SCRIPTS = {
  ["a syntax error"] = { "local a\nlocal x = (\n", "app.lua:3: unexpected symbol near <eof>" },
  ["a runtime error"] = { "local function f() error 'deep' end\n\nf()", "app.lua:1: deep",
    "app.lua:3: in local 'chunk'" },
  ["an error of Lua"] = { "\nlocal x = nil + 1", "app.lua:2: attempt to perform arithmetic" },
  ["an error that is no string"] = { "error { code = 1 }",
    'could not start: {"code":1}\n', "app.lua:1: in" },
  ["an error that is nil"] = { "\nerror(nil)", "nil", "app.lua:2: in" },
  ["an error in a coroutine"] = { "\ncoroutine.wrap(function() error 'inside' end)()",
    "app.lua:2: inside" },
  ["compiled code"] = { string.dump(function() end), "app.lua: attempt to load a binary chunk" },
  ["an empty file"] = { "", "app.lua must return", "nothing" },
  ["a number"] = { "return 42", "app.lua must return", "a number" },
  ["an error in initialize"] = { [[local App = require "luaqueduct".channel()
    function App.initialize() error "no beginning" end
    function App:entry_point() return function() end end
    return App]], "app.lua:2: no beginning", "app.lua:2: in field 'initialize'" },
  ["os.exit in initialize"] = { [[local App = require "luaqueduct".channel()
    function App.initialize() os.exit(0) end
    function App:entry_point() return function() end end
    return App]], "app.lua:2: os.exit", "app.lua:2: in field 'initialize'" },
  ["a module that is not there"] = { "\nrequire 'no.such.module'", "app.lua:2: module",
    "no.such.module" },
}

describe("a start ends with one message for", function()
  for _, workers in ipairs { 1, 4 } do
    for what, expected in pairs(SCRIPTS) do
      it(("%s, %d workers"):format(what, workers), function()
        fails({ source = expected[1], workers = workers }, table.unpack(expected, 2))
      end)
    end

    for _, step in ipairs { "prepare", "entry_point" } do
      for _, place in ipairs { "first", "last" } do
        it(("an error in %s of the %s of %d workers"):format(step, place, workers), function()
          fails({ source = failing(step, place), workers = workers }, "app.lua:9: no luck",
            ("app.lua:9: in method '%s'"):format(step))
        end)
      end
    end
  end

  it("a module with a syntax error", function()
    fails({ source = "return require 'broken'", files = { ["broken.lua"] = "\nx = = 1" } },
      "broken.lua:2: unexpected symbol near '='")
  end)

  it("a script that is not there, a folder, and one that may not be read", function()
    fails({ app = "/nowhere/app.lua" }, "/nowhere/app.lua: No such file or directory")
    fails({ app = "/tmp" }, "/tmp: Is a directory")
    local folder = command.folder()
    local path = folder .. "/app.lua"
    assert(io.open(path, "w")):close()
    command.run { "chmod", "000", path }

    local ok, message = pcall(fails, { app = path,
      launcher = without "-dac_override,-dac_read_search" }, path .. ": Permission denied")
    command.remove(folder)
    assert(ok, message)
  end)
end)

--- Runs a server that fails and tries to connect all the while. Returns how often it tried.
local function watch(source, workers)
  local folder, tries = command.folder(), 0
  local file = assert(io.open(folder .. "/app.lua", "w"))
  assert(file:write(source))
  file:close()
  local free = assert(socket.bind("127.0.0.1", 0))
  local _, port = free:getsockname()
  free:close()
  local log = folder .. "/stderr"
  local pid, output = proc.spawn({ server.binary(), "serve", folder .. "/app.lua", "-p",
    tostring(port), "-j", tostring(workers) }, { env = command.environment(), stderr = log })
  local status, answered

  repeat
    local conn = socket.tcp4()
    tries = tries + 1
    answered = answered or conn:connect("127.0.0.1", port)
    conn:close()
    status = proc.wait(pid, 0.0005)
  until status
  proc.close(output)
  command.remove(folder)
  assert.are.equal(1, status)
  assert.is_nil(answered)
  return tries
end

it("the port of a start that fails never answers", function()
  for _, step in ipairs { "prepare", "entry_point" } do
    for _, workers in ipairs { 1, 4 } do
      assert.is_true(watch(failing(step, "last"), workers) > 5)
    end
  end
end)

local HELLO = { app = "examples/hello.lua" }

local function hello(options)
  for name, value in pairs(HELLO) do options[name] = value end
  return options
end

describe("a start ends with one line for", function()
  local function line(options, expected)
    assert.are.equal("luaqueduct: " .. expected .. "\n", fails(hello(options)))
  end

  it("a port that is taken", function()
    local other = assert(socket.bind("127.0.0.1", 0))
    local _, port = other:getsockname()
    local url = "http://127.0.0.1:" .. port

    line({ listen = { url } }, ("--listen %s: address already in use"):format(url))
    line({ listen = { "http://127.0.0.1:0", url }, workers = 4 },
      ("--listen %s: address already in use"):format(url))
    other:close()
  end)

  it("an address that is not here", function()
    line({ listen = { "http://192.0.2.1:80" } },
      "--listen http://192.0.2.1:80: this machine has no such address")
  end)

  it("a name that nobody knows", function()
    local url = "http://no-such-host.invalid:80"
    local res = server.fail(hello { listen = { url } })

    assert.are.equal(1, res.status)
    assert.matches("^luaqueduct: %-%-listen " .. url:gsub("%p", "%%%0") .. ": [^\n]+\n$",
      res.stderr)
  end)

  it("a folder in which no socket may be made", function()
    local folder = command.folder()
    command.run { "chmod", "500", folder }
    local url = "unix:" .. folder .. "/socket"
    local ok, message = pcall(line, { listen = { url }, launcher = without "-dac_override" },
      ("--listen %s: permission denied"):format(url))

    command.run { "chmod", "700", folder }
    command.remove(folder)
    assert(ok, message)
  end)

  it("a port for which root is needed", function()
    local first = tonumber(command.read_file "/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if first <= 1 then return pending "every port is free for everybody here" end

    line({ listen = { "http://127.0.0.1:1" }, launcher = without "-net_bind_service" },
      "--listen http://127.0.0.1:1: permission denied (ports below 1024 need root or " ..
      "CAP_NET_BIND_SERVICE)")
  end)

  it("an option that is wrong", function()
    for _, case in ipairs {
      { { "--listen", "ftp://x" }, "serve: --listen ftp://x: expected http://HOST:PORT or unix:" },
      { { "--drain-timeout", "soon" }, "serve: --drain-timeout: expected " },
      { { "--no-such-option" }, "serve: unknown option --no-such-option" },
    } do
      local message = fails(hello { args = case[1], status = 2 }, case[2])
      assert.matches("^[^\n]+\n$", message)
    end
  end)
end)

describe("a start that fails and whose words nobody reads", function()
  local folder, path

  before_each(function()
    folder = command.folder()
    path = folder .. "/fifo"
    command.run { "mkfifo", path }
  end)
  after_each(function() command.remove(folder) end)

  --- How it ended with a standard error that is a pipe without room.
  local function unheard(options)
    options.launcher = { "sh", "-c", [[exec 2<>"$0"
      dd if=/dev/zero of="$0" bs=4096 count=1024 oflag=nonblock 2>/dev/null
      exec "$@"]], path }
    return server.fail(options)
  end

  local function ends(status, options, seconds)
    local res = unheard(options)

    assert.are.equal(status, res.status)
    assert.is_true(res.seconds < load.limit(seconds or 2, seconds or 2), res.seconds .. " s")
  end

  it("ends all the same: an error in the script", function()
    ends(1, { source = "print 'first' error 'no luck'" })
    ends(1, { source = "print 'first' error 'no luck'", args = { "--no-respawn" } })
  end)

  it("ends all the same: an option", function()
    ends(2, hello { args = { "--no-such-option" } })
    ends(1, hello { args = { "--log-file", folder } })
  end)

  it("ends all the same: an address", function()
    ends(1, hello { listen = { "http://192.0.2.1:80" } })
  end)

  it("ends all the same: too long a start", function()
    local stuck = { source = "while true do end", args = { "--start-timeout", "0.2" } }
    ends(1, stuck, 3.5) -- of which it is given one to come back
  end)

  it("ends soon when the log is stuck, and says why and what was lost", function()
    local res = server.fail {
      source = "for i = 1, 5000 do print(('x'):rep(100)) end error 'no luck'",
      args = { "--log-file", path },
    }

    assert.are.equal(1, res.status)
    assert.matches("luaqueduct: the app could not start: [^\n]*app.lua:1: no luck\n", res.stderr)
    assert.matches("%d+ records of the log were lost", res.stderr)
    assert.is_true(res.seconds < load.limit(2, 2), res.seconds .. " s")
  end)
end)

it("a start that fails has all of its message, however long", function()
  local res = server.fail { source = "error(('x'):rep(300000), 0)" }

  assert.matches("^luaqueduct: the app could not start: (x+)\n", res.stderr)
  assert.are.equal(300000, #res.stderr:match "x+")
end)
