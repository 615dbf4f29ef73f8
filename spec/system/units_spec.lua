--- The units of examples/: what systemd says to them, and whether the program keeps to them.

local command = require "spec.support.command"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

local SERVICE, SOCKET = "examples/luaqueduct.service", "examples/luaqueduct.socket"
local INSTALLED = "/usr/local/bin/luaqueduct"

--- The value of a setting that stands once.
local function setting(text, name)
  local value, times = nil, 0

  for found in ("\n" .. text):gmatch("\n" .. name .. "=([^\n]*)") do
    value, times = found, times + 1
  end
  assert(times == 1, name)
  return value
end

--- Runs systemd-analyze on copies of both units, in which the program is the one under test: it
--- wants to see it. Returns what it wrote.
local function verify(change)
  local folder = command.folder()
  local service = command.read_file(SERVICE)
  local copy, count = service:gsub(INSTALLED:gsub("%p", "%%%0"), server.binary)
  assert.are.equal(1, count)

  for path, text in pairs { [SERVICE] = change and change(copy) or copy,
    [SOCKET] = command.read_file(SOCKET) } do
    local file <close> = assert(io.open(folder .. path:match "/.*", "w"))
    assert(file:write(text))
  end
  local res = command.run { "systemd-analyze", "verify", folder .. "/luaqueduct.service",
    folder .. "/luaqueduct.socket" }
  command.remove(folder)
  return res.stdout .. res.stderr, res.status
end

describe("the units of examples/", function()
  it("are what systemd understands", function()
    assert.are.same({ "", 0 }, { verify() })
  end)

  it("would be found out if they were not", function()
    local unknown = verify(function(text) return (text:gsub("WatchdogSec", "WatchDogSec")) end)
    assert.matches("WatchDogSec", unknown, 1, true)
    local _, status = verify(function(text) return (text:gsub("luaqueduct serve", "x serve")) end)
    assert.are_not.equal(0, status)
  end)

  it("name the program where `make install` puts it", function()
    local prefix = command.run { "make", "-s", "print-PREFIX" }.stdout:match "%S+"
    local service = command.read_file(SERVICE)

    assert.are.equal(prefix .. "/bin/luaqueduct", INSTALLED)
    assert.matches("^" .. INSTALLED .. " serve /", setting(service, "ExecStart"))
  end)

  it("leave room for the time limits that are preset", function()
    local service, help = command.read_file(SERVICE), server.run({ "serve", "--help" }).stdout
    local function preset(name)
      return tonumber(help:match("%-%-" .. name .. " S.-%((%d+)%)"))
    end

    assert.is_true(tonumber(setting(service, "TimeoutStartSec")) > 2 * preset "start%-timeout" + 4)
    assert.is_true(tonumber(setting(service, "TimeoutStopSec")) > preset "drain%-timeout" + 4)
  end)
end)

--- The names of a set of system calls, with the sets in it.
local function system_calls(set, into)
  into = into or {}
  local text = command.run { "systemd-analyze", "syscall-filter", set }.stdout

  for name in text:gmatch "\n%s+([@%w_-]+)" do
    if name:find "^@" then
      system_calls(name, into)
    else
      into[name] = true
    end
  end
  return into
end

it("the program makes no system call that its unit forbids #once", function()
  local allowed = system_calls(setting(command.read_file(SERVICE), "SystemCallFilter"))
  local folder = command.folder()
  local app <close> = server.start { source = [[
    local aq = require "luaqueduct"
    local router = aq.router()
    router:get("/", function() aq.log.info "asked" return "fine" end)
    return router]], workers = 2, args = { "--log-file", folder .. "/log", "--access-log" },
    launcher = { "strace", "-D", "-f", "-o", folder .. "/calls" } }

  for _ = 1, 4 do assert.are.equal("fine", app:get("/").body) end
  app:stop { status = 0 }
  wait.till(function() -- the tracer outlives it
    return command.read_file(folder .. "/calls"):find(app.pid .. " +%+%+%+ exited with 0")
  end)
  local calls, seen, count = command.read_file(folder .. "/calls"), {}, 0
  for name in calls:gmatch "%d+ +([%l_%d]+)%(" do
    if not seen[name] then count = count + 1 end
    seen[name] = true
  end
  command.remove(folder)

  assert.is_true(count > 20)
  for name in pairs(seen) do assert.is_true(allowed[name], name) end
  assert.is_nil(calls:find("PROT_WRITE|PROT_EXEC", 1, true)) -- MemoryDenyWriteExecute
end)
