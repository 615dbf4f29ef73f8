--- The server helper against a shell script that plays the program.

local command = require "spec.support.command"
local proc = require "spec.proc"
local server = require "spec.support.server"

local READY = 'echo "luaqueduct: listening on http://127.0.0.1:4711 (2 workers)"'

-- A shell runs its trap between two commands, and leaves the last one behind.
local WAIT = "while :; do sleep 0.05; done"

local folder

local function fake(...)
  local path = folder .. "/fake"
  local file = assert(io.open(path, "w"))
  file:write("#!/bin/sh\n", table.concat({ ... }, "\n"), "\n")
  file:close()
  command.run { "chmod", "+x", path }
  return path
end

local function start(...)
  return server.start { binary = fake(...), source = "return 1", timeout = 2 }
end

local function is_gone(pid)
  return proc.kill(pid, 0) == nil
end

describe("spec.support.server #once", function()
  before_each(function() folder = command.folder() end)
  after_each(function() command.remove(folder) end)

  describe("start()", function()
    it("reads addresses, port and workers from the ready line", function()
      local app <close> = start("trap 'exit 0' TERM", READY, WAIT)

      assert.are.equal("http://127.0.0.1:4711", app.url)
      assert.are.equal("127.0.0.1", app.host)
      assert.are.equal(4711, app.port)
      assert.are.equal(2, app.workers)
    end)

    it("hands over app, listen URL, workers and arguments", function()
      local app <close> = server.start {
        binary = fake("trap 'exit 0' TERM", 'echo "$@" >&2', 'cat "$2" >&2', READY, WAIT),
        source = "return 42",
        args = { "--drain-timeout", "1" },
        workers = 3,
      }

      assert.matches("^serve %S+/app%.lua %-%-listen http://127%.0%.0%.1:0 %-j 3 "
        .. "%-%-drain%-timeout 1\nreturn 42$", app:log())
    end)

    it("raises with the standard error of a program that ends early", function()
      local ok, err = pcall(start, "echo app.lua:1: broken >&2", "exit 1")

      assert.is_false(ok)
      assert.matches("status 1; it wrote:\napp.lua:1: broken", err, 1, true)
    end)

    it("raises when the ready line reads otherwise", function()
      local ok, err = pcall(start, "echo hello", WAIT)

      assert.is_false(ok)
      assert.matches('no ready line but "hello', err, 1, true)
    end)
  end)

  describe("stop()", function()
    it("returns status and log of a graceful end", function()
      local app = start("trap 'echo bye >&2; exit 0' TERM", READY, WAIT)

      local status, log = app:stop()

      assert.are.equal(0, status)
      assert.are.equal("bye\n", log)
      assert.is_true(is_gone(app.pid))
    end)

    it("raises when the status is not 0", function()
      local app = start("trap 'echo 1 handle left >&2; exit 3' TERM", READY, WAIT)

      local ok, err = pcall(app.stop, app)

      assert.is_false(ok)
      assert.matches("status 3, expected 0; it wrote:\n1 handle left", err, 1, true)
    end)

    it("kills what does not stop in time, and raises", function()
      local app = start("trap '' TERM", READY, WAIT)

      local ok, err = pcall(app.stop, app, { timeout = 0.2 })

      assert.is_false(ok)
      assert.matches("still ran after 0.2 s", err, 1, true)
      assert.is_true(is_gone(app.pid))
    end)
  end)

  it("is killed when a spec fails while it runs", function()
    local pid

    pcall(function()
      local app <close> = start("trap '' TERM", READY, WAIT)
      pid = app.pid
      error "the spec fails"
    end)

    assert.is_true(is_gone(pid))
  end)

  it("fail() returns status, output and duration of a start that fails", function()
    local result = server.fail { binary = fake("echo no such option >&2", "exit 2"), source = "" }

    assert.are.equal(2, result.status)
    assert.are.equal("no such option\n", result.stderr)
    assert.is_true(result.seconds < 5)
  end)
end)
