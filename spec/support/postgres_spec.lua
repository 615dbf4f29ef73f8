local command = require "spec.support.command"
local pg = require "spec.support.postgres"
local pgbouncer = require "spec.support.pgbouncer"
local proc = require "spec.proc"
local process = require "spec.support.process"
local socket = require "socket"
local wait = require "spec.support.wait"

-- A process that starts one, says where, and waits to be killed.
local ORPHAN = [[
package.path = "./?.lua;" .. package.path
dofile "spec/support/core.lua"
local pg = require "spec.support.postgres"
local postgres = pg.start()
postgres:pause()
print(postgres.dir, postgres.pid)
io.stdout:flush()
require "socket".sleep(60)
]]

local function exists(path)
  return command.run({ "test", "-e", path }).status == 0
end

--- One statement by psql over this URL.
local function ask(url, sql)
  return command.run { "psql", "-XqAt", "-c", sql, url }
end

describe("spec.support.postgres #once", function()
  local postgres

  setup(function()
    local began = proc.now()
    postgres = pg.start { max_connections = 20, settings = { work_mem = "2MB" } }
    postgres.seconds = proc.now() - began
  end)
  teardown(function() postgres:close() end)

  it("starts soon: within 1 s where nothing else runs", function()
    assert.is_true(postgres.seconds < 10, ("%g s"):format(postgres.seconds))
  end)

  it("is version 15, with the settings that were asked for", function()
    assert.are.equal("15", postgres:psql("show server_version"):match "%d+")
    assert.are.equal("20", postgres:psql "show max_connections")
    assert.are.equal("2MB", postgres:psql "show work_mem")
    assert.are.equal("UTF8", postgres:psql "show server_encoding")
  end)

  it("is not run by root", function()
    local result = command.run { "stat", "-c", "%u", ("/proc/%d"):format(postgres.pid) }

    assert.are_not.equal("0\n", result.stdout)
  end)

  it("raises with the server's words for a statement that fails", function()
    assert.error_matches(function() postgres:psql "select no_such" end, "no_such.*not exist")
  end)

  it("answers at its socket and at its port", function()
    assert.are.equal("spec\n", ask(postgres.url, "select current_database()").stdout)
    assert.are.equal("127.0.0.1\n", ask(postgres.tcp_url, "select inet_server_addr()").stdout)
  end)

  it("wants the password of the one role that has one", function()
    local wrong = postgres.password_url:gsub(":p%%40ss%%2Fword@", ":wrong@")

    assert.are.equal("locked\n", ask(postgres.password_url, "select current_user").stdout)
    assert.is_truthy(ask(wrong, "select 1").stderr:find "password authentication failed")
  end)

  it("is there again after a restart, with what it knew", function()
    postgres:psql "create table kept (n int); insert into kept values (7)"
    local pid = postgres.pid

    postgres:restart()

    assert.are_not.equal(pid, postgres.pid)
    assert.are.equal("7", postgres:psql "select n from kept")
    assert.are.equal(0, ask(postgres.url, "select 1").status)
  end)

  it("is gone after kill(), sessions and all, and can be started again", function()
    local before = postgres:processes()
    postgres:psql "create table committed ()"

    postgres:kill()

    for _, pid in ipairs(before) do assert.is_true(not process.is_alive(pid)) end
    assert.are.equal(2, ask(postgres.tcp_url, "select 1").status)
    postgres:start()
    assert.are.equal("committed", postgres:psql "select to_regclass('committed')")
  end)

  it("stands still between pause() and resume()", function()
    postgres:pause()
    local sock = assert(socket.connect("127.0.0.1", postgres.port))
    finally(function() sock:close() end)
    sock:send "\0\0\0\8\4\210\22\47" -- may TLS be spoken?
    assert.is_false(wait.readable(sock, 0.2))

    postgres:resume()

    assert.is_true(wait.readable(sock, 5))
    assert.are.equal("N", sock:receive(1))
  end)

  it("can be stopped and killed while it is paused", function()
    postgres:pause()
    postgres:stop()
    postgres:start()
    postgres:pause()
    postgres:kill()

    assert.are.equal("1", postgres:start():psql "select 1")
  end)

  it("can have a pgbouncer before it", function()
    local bouncer <close> = pgbouncer.start(postgres, { pool_mode = "transaction" })

    assert.are.equal("spec\n", ask(bouncer.url, "select current_database()").stdout)
    assert.are.equal("transaction", ask(bouncer.url:gsub("/spec$", "/pgbouncer"),
      "show config").stdout:match "pool_mode|([^|]+)")
    assert.error_matches(function() pgbouncer.start(postgres, { pool_mode = "none" }) end,
      "does not start")
  end)

  it("says in its log why it does not start", function()
    assert.error_matches(function() pg.start { settings = { shared_buffers = "none" } } end,
      "invalid value for parameter \"shared_buffers\"")
  end)

  it("leaves nothing when it is closed", function()
    local other = pg.start()
    local dir, processes, keeper = other.dir, other:processes(), other.keeper

    other:close()

    assert.is_false(exists(dir))
    assert.is_true(not process.is_alive(keeper))
    for _, pid in ipairs(processes) do assert.is_true(not process.is_alive(pid)) end
  end)

  it("leaves nothing when the process that started it is killed, paused or not", function()
    local pid, output = assert(proc.spawn({ "lua5.4", "-e", ORPHAN }, {
      env = command.environment(), stderr = "/dev/null" }))
    local dir, postmaster = assert(proc.read(output, 20)):match "^(%S+)\t(%d+)"
    assert.is_true(exists(dir))

    proc.kill(pid, 9)
    proc.wait(pid, 5)
    proc.close(output)

    wait.till(function()
      return not exists(dir) and not process.is_alive(tonumber(postmaster))
    end, 10, "the end of what was left")
  end)
end)
