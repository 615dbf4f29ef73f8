--- What a request that does not wait costs: one read, one write, no malloc.

local allocations = require "spec.support.allocations"
local command = require "spec.support.command"
local proc = require "spec.proc"
local server = require "spec.support.server"

local REQUESTS = 1000
local SOURCE = [[
local router = require "luaqueduct".router()
router:get("/", function() return "Hello, world!" end)
router:get("/users/:id(%d+)", function(req) return { id = tonumber(req.params.id) } end)
return router
]]

local function ask(conn, n)
  for i = 1, n do
    local path = i % 2 == 0 and "/" or "/users/" .. i % 100
    assert(conn:request("GET", path).status == 200)
  end
end

--- How often each system call stands in strace's record between two marks.
local function count_calls(path)
  local counts = {}

  for line in io.lines(path) do
    local name = line:match "^%d+%s+([%w_]+)%("
    if name then counts[name] = (counts[name] or 0) + 1 end
  end
  return counts
end

local function child_of(pid)
  local file <close> = assert(io.open(("/proc/%d/task/%d/children"):format(pid, pid)))

  return assert(tonumber(file:read("a"):match "%d+"), "no child")
end

describe("a request that does not wait #once", function()
  it("calls malloc never", function()
    local counter <close> = allocations.new()
    local app <close> = server.start { source = SOURCE, env = counter.env }
    local conn = app:connect()
    ask(conn, REQUESTS)

    local before = counter:read().total
    ask(conn, REQUESTS)
    local made = counter:read().total - before

    conn:close()
    assert.are.equal(0, made)
    app:stop { status = 0 }
  end)

  it("costs one read and one write", function()
    local folder = command.folder()
    local record = folder .. "/calls"
    local wrapper = folder .. "/traced"
    local file = assert(io.open(wrapper, "w"))
    file:write(("#!/bin/sh\nexec strace -f -o %s -e trace=network,read,write,epoll_ctl,writev "
      .. "%s \"$@\"\n"):format(record, server.binary()))
    file:close()
    command.run { "chmod", "+x", wrapper }

    local app <close> = server.start { binary = wrapper, source = SOURCE }
    local conn = app:connect()
    ask(conn, REQUESTS)
    conn:close()
    proc.kill(child_of(app.pid), 15)
    app:wait_exit(10)

    local calls = count_calls(record)
    assert.is_true(calls.recvfrom >= REQUESTS and calls.recvfrom <= REQUESTS + 5,
      calls.recvfrom .. " reads")
    assert.is_true(calls.sendto >= REQUESTS and calls.sendto <= REQUESTS + 2,
      calls.sendto .. " writes")
    assert.is_true(calls.epoll_ctl <= 40, calls.epoll_ctl .. " calls of epoll_ctl")
    assert.is_nil(calls.writev)
    command.remove(folder)
  end)
end)
