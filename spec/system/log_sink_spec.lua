--- Where the log goes, with the real program: files that are rotated, removed, renamed and full,
--- FIFOs that nobody reads, floods. What was sent is what was written and what was told as lost.

local client = require "spec.support.client"
local command = require "spec.support.command"
local proc = require "spec.proc"
local scale = require "spec.support.scale"
local server = require "spec.support.server"
local tmpfs = require "spec.support.tmpfs"
local wait = require "spec.support.wait"

local MIB = 1024

-- /log/FIRST/LAST writes one record for each number.
local SOURCE = [[
local aq = require "luaqueduct"
local router = aq.router()
router:get("/", function() return "Hello" end)
router:get("/stuck", function() return (("a"):rep(200000):find((".-"):rep(50) .. "b")) end)
router:get("/log/:first(%d+)/:last(%d+)", function(req)
  local padding = ("x"):rep(tonumber(req.query.padding) or 10)
  for i = tonumber(req.params.first), tonumber(req.params.last) do
    aq.log.info("record", { n = i, padding = padding })
  end
  return "logged"
end)
return router
]]

local function exists(path)
  return os.rename(path, path) ~= nil
end

--- What a log tells: how often each number stands in it, how many records were dropped.
local function read_log(into, text)
  for line in text:gmatch "([^\n]*)\n" do
    local n = line:match " n=(%d+) "
    if n then
      n = tonumber(n)
      into.count = into.count + 1
      into.doubled = into.doubled + (into[n] and 1 or 0)
      into[n] = true
    end
    into.dropped = into.dropped + (tonumber(line:match ": (%d+) records dropped$") or 0)
  end
  into.torn = into.torn + (text:match "[^\n]$" and 1 or 0)
  return into
end

local function empty_log()
  return { count = 0, doubled = 0, dropped = 0, torn = 0 }
end

describe("the log file", function()
  local folder, path, app

  before_each(function()
    folder = command.folder()
    path = folder .. "/app.log"
    app = nil
  end)

  after_each(function()
    if app then app:kill() end
    command.remove(folder)
  end)

  local function start(workers, ...)
    app = server.start { source = SOURCE, workers = workers, args = { "--log-file", path, ... } }
  end

  --- Lets all workers log the numbers from `first` on, a hundred a request, on four connections.
  --- `meanwhile` is called while they are at it.
  local function log_numbers(first, last, padding, meanwhile)
    local conns = {}
    for i = 1, 4 do conns[i] = app:connect() end
    for at = first, last, 400 do
      for i, conn in ipairs(conns) do
        local from = at + (i - 1) * 100
        conn:send(client.format("GET", ("/log/%d/%d?padding=%d"):format(from,
          math.min(from + 99, last), padding or 10)))
      end
      if meanwhile then meanwhile() end
      for _, conn in ipairs(conns) do assert.are.equal(200, assert(conn:read_response()).status) end
    end
    for _, conn in ipairs(conns) do conn:close() end
  end

  --- What all files together have that begin with the path.
  local function read_all(...)
    local found = empty_log()
    for _, name in ipairs { path, ... } do
      if exists(name) then read_log(found, command.read_file(name)) end
    end
    return found
  end

  it("has everything that was logged before a stop, and standard error nothing", function()
    local count = scale(20000, 1000000)
    start(4)
    log_numbers(1, count)

    local _, text = app:stop { status = 0 }

    assert.are.equal("", text)
    assert.are.same({ count, 0, 0 }, { read_all().count, read_all().doubled, read_all().torn })
  end)

  it("is rotated without a loss", function()
    local count, names = scale(20000, 800000), {}
    start(4, "--log-rotate", "100K,999")
    log_numbers(1, count)
    app:stop { status = 0 }

    for i = 1, 999 do
      if exists(path .. "." .. i) then names[#names + 1] = path .. "." .. i end
    end
    local found = read_all(table.unpack(names))

    assert.is_true(#names >= 10, #names .. " files")
    assert.are.same({ count, 0, 0 }, { found.count, found.doubled, found.torn })
    for _, name in ipairs(names) do
      assert.is_true(#command.read_file(name) <= 100 * 1024, name)
    end
  end)

  it("is kept five times unless told", function()
    start(1, "--log-rotate", "1K")
    log_numbers(1, 400)
    app:stop { status = 0 }

    assert.is_true(exists(path .. ".5"))
    assert.is_false(exists(path .. ".6"))
  end)

  it("comes back within a second when it was removed", function()
    start(1)
    log_numbers(1, 100)
    wait.till(function() return read_all().count == 100 end)
    os.remove(path)

    wait.till(function() return exists(path) end, 1)

    log_numbers(101, 200)
    wait.till(function() return read_all().count == 100 end)
    app:stop { status = 0 }
  end)

  it("that cannot be opened anew is said, and the old one written to", function()
    local old = path .. ".old"
    start(1)
    assert(os.rename(path, old))
    command.run { "mkdir", path }

    app:signal "USR1"
    app:wait_log("the log file " .. path .. " is not opened anew: Is a directory")
    log_numbers(1, 100)
    app:stop { status = 0 }

    assert.are.equal(100, read_log(empty_log(), command.read_file(old)).count)
  end)

  it("loses nothing when it is renamed and opened anew under load", function()
    local count, names = scale(20000, 200000), {}
    start(4)

    log_numbers(1, count, 10, function()
      wait.till(function() return exists(path) end)
      names[#names + 1] = ("%s.old%d"):format(path, #names + 1)
      assert(os.rename(path, names[#names]))
      app:signal "USR1"
    end)
    app:stop { status = 0 }

    local found = read_all(table.unpack(names))
    assert.is_true(#names > 10, #names .. " files")
    assert.are.same({ count, 0, 0 }, { found.count, found.doubled, found.torn })
  end)

  it("may be full: the service goes on, the loss is counted, and writing resumes", function()
    local disk <close>, why = tmpfs.mount(256)
    if not disk then return pending(why) end
    path = disk.path .. "/app.log"
    local count = scale(20000)
    start(4)

    log_numbers(1, count)
    app:wait_log "No space left on device"
    log_numbers(count + 1, count + 400)
    local full = read_all()
    assert.is_true(full.count > 0 and full.count < count)

    local before = command.read_file(path)
    os.remove(path)
    wait.till(function() return read_all().dropped > 0 end)
    log_numbers(count + 401, count + 800)
    app:stop { status = 0 }

    local found = read_log(read_all(), before)
    assert.are.same({ count + 800, 0, 0 },
      { found.count + found.dropped, found.doubled, found.torn })
    assert.are.equal(1, select(2, app:log():gsub("records are dropped", "")))
  end)

  it("may be a device that is always full", function()
    path = "/dev/full"
    start(2)

    log_numbers(1, 400)
    local status, text = app:stop()

    assert.are.equal(0, status)
    assert.matches("the log file /dev/full is not written: No space left on device", text, 1, true)
    assert.matches("400 records of the log were lost", text, 1, true)
  end)

  describe("that is a FIFO", function()
    before_each(function() command.run { "mkfifo", path } end)

    --- Reads the FIFO in a process of its own into a file, until it is killed.
    local function read_fifo(target)
      local pid = assert(proc.spawn({ "cat", path }, { stdout = target }))
      return setmetatable({}, { __close = function()
        proc.kill(pid, 9)
        proc.wait(pid, 5)
      end })
    end

    it("does not hold up the start without a reader", function()
      local began = proc.now()
      start(2)

      assert.is_true(proc.now() - began < 2)
      assert.are.equal(200, app:get("/").status)
      app:stop { status = 0 }
    end)

    it("slows no request when nobody reads it for two seconds", function()
      start(1)
      local conn, slowest, sent = app:connect(), 0, 0
      local ends = proc.now() + 2

      while proc.now() < ends do
        local began = proc.now()
        local res = assert(conn:request("GET", ("/log/%d/%d"):format(sent + 1, sent + 20)))
        assert.are.equal(200, res.status)
        slowest = math.max(slowest, proc.now() - began)
        sent = sent + 20
      end
      assert.is_true(slowest < 0.5, slowest .. " s")
      assert.is_true(sent > 5000, sent .. " records")

      local target = folder .. "/read"
      do
        local _ <close> = read_fifo(target)
        local found
        wait.till(function()
          found = read_log(empty_log(), exists(target) and command.read_file(target) or "")
          return found.count + found.dropped >= sent
        end, 10)
        assert.are.same({ sent, 0 }, { found.count + found.dropped, found.doubled })
        app:stop { status = 0 }
      end
      conn:close()
    end)

    it("does not hold up the start, however much there is to say", function()
      local function seconds_to_start(log_path)
        local began = proc.now()
        local chatty = server.start {
          source = 'for i = 1, 3000 do print(("x"):rep(100)) end\n' .. SOURCE,
          args = { "--log-file", log_path },
        }
        local seconds = proc.now() - began
        chatty:kill()
        return seconds
      end

      local to_file = seconds_to_start(folder .. "/file")
      local to_fifo = seconds_to_start(path)

      assert.is_true(to_fifo < to_file + 0.7, to_fifo .. " s")
    end)

    it("gives a slow reader five seconds at the stop, and says what was lost", function()
      start(1)
      local target, count = folder .. "/read", 20000
      local reader = assert(proc.spawn({ "sh", "-c",
        "while dd bs=4096 count=1 status=none; do sleep 0.05; done <" .. path },
        { stdout = target }))
      log_numbers(1, count, 100)
      local began = proc.now()

      local _, text = app:stop { status = 0 }

      local seconds = proc.now() - began
      proc.kill(reader, 9)
      proc.wait(reader, 5)
      local found = read_log(empty_log(), command.read_file(target))
      local lost = tonumber(text:match "(%d+) records of the log were lost")
      assert.is_true(seconds > 4.5 and seconds < 5.9, seconds .. " s")
      assert.is_true(found.count > 500, found.count .. " records")
      assert.is_true(lost and lost > 500 and found.count + lost <= count, text)
    end)

    it("has no five seconds after a second signal", function()
      start(1)
      log_numbers(1, 4000, 100)
      app:signal "TERM"
      wait.till(function() return not pcall(app.get, app, "/") end)
      local began = proc.now()

      local status = app:stop { status = false }

      assert.is_true(proc.now() - began < 2, proc.now() - began .. " s")
      assert.are.equal(1, status)
    end)

    it("is told of on standard error also when a thread is stuck at the stop #once", function()
      start(2, "--drain-timeout", "0.1", "--busy-timeout", "0")
      log_numbers(1, 4000, 100)
      local conn <close> = app:connect()
      conn:send(client.format("GET", "/stuck"))

      local _, text = app:stop { status = 0 }

      assert.matches("records of the log were lost", text, 1, true)
    end)

    it("ends the last drain after five seconds, and says what was lost", function()
      start(1)
      log_numbers(1, 4000, 100)
      local began = proc.now()

      local status, text = app:stop()

      local seconds = proc.now() - began
      assert.are.equal(0, status)
      assert.is_true(seconds > 4.5 and seconds < 7, seconds .. " s")
      local lost = tonumber(text:match "(%d+) records of the log were lost: %S+ did not take them")
      assert.is_true(lost and lost > 1000 and lost < 4000, text)
    end)

    it("is left for a file by USR1 while nobody reads it", function()
      start(1)
      log_numbers(1, 4000, 100)
      os.remove(path)

      app:signal "USR1"
      wait.till(function() return read_all().count > 2000 end)
      app:stop { status = 0 }

      local found = read_all()
      assert.are.same({ 0, 0 }, { found.doubled, found.torn })
      for n = 4000 - found.count + 1, 4000 do assert.is_true(found[n], n) end
    end)
  end)

  it("bounds a flood, and counts what it drops #once", function() -- sanitizers add memory
    local count = scale(300000, 3000000)
    command.run { "mkfifo", path } -- nobody reads: everything beyond the bound is dropped
    start(1)
    local conn = app:connect()
    conn:request("GET", "/log/1/1000", { timeout = 30 })
    local before = app:rss()

    for at = 1001, count, 10000 do
      assert(conn:request("GET", ("/log/%d/%d?padding=100"):format(at,
        math.min(at + 9999, count)), { timeout = 30 }))
    end
    local grown = app:rss() - before
    conn:close()

    assert.is_true(grown < 17 * MIB, grown .. " KiB")
    local target = folder .. "/read"
    local pid = assert(proc.spawn({ "cat", path }, { stdout = target }))
    local found
    wait.till(function()
      found = read_log(empty_log(), exists(target) and command.read_file(target) or "")
      return found.count + found.dropped >= count
    end, 30)
    proc.kill(pid, 9)
    proc.wait(pid, 5)
    assert.are.same({ count, 0 }, { found.count + found.dropped, found.doubled })
    assert.is_true(found.dropped > 0)
    app:stop { status = 0 }
  end)
end)

describe("standard error", function()
  --- A program that starts the server with its standard error on a FIFO that nobody reads.
  local function wrapper(folder)
    local file = assert(io.open(folder .. "/wrapped", "w"))
    file:write(("#!/bin/sh\nmkfifo %s/fifo\nexec %s \"$@\" 2<>%s/fifo\n"):format(folder,
      server.binary(), folder))
    file:close()
    command.run { "chmod", "+x", folder .. "/wrapped" }
    return folder .. "/wrapped"
  end

  it("may be a pipe that nobody reads: a runtime that dies is started again", function()
    local folder = command.folder()
    do
      local app <close> = server.start { source = SOURCE, binary = wrapper(folder) }
      local dead = app:runtime()
      local filled = command.run { "dd", "if=/dev/zero", "of=" .. folder .. "/fifo", "bs=1",
        "count=10000000", "oflag=nonblock" }
      assert.matches("temporarily unavailable", filled.stderr, 1, true)

      proc.kill(dead, 9)

      wait.till(function()
        local pid = app:runtime()
        return pid ~= dead and pid ~= app.pid
      end)
      assert.are.equal(200, app:get("/").status)
      app:stop { status = 0 }
    end
    command.remove(folder)
  end)

  it("may be a pipe that nobody reads: requests and the stop go on", function()
    local folder = command.folder()
    do
      local app <close> = server.start { source = SOURCE, binary = wrapper(folder) }
      for at = 1, 20 do
        local began = proc.now()
        local res = app:get(("/log/%d/%d?padding=100"):format(at * 100 - 99, at * 100))
        assert.are.equal(200, res.status)
        assert.is_true(proc.now() - began < 1)
      end

      local began = proc.now()
      app:stop { status = 0 }
      assert.is_true(proc.now() - began < 8)
    end
    command.remove(folder)
  end)
end)
