--- A PostgreSQL of its own, for specs and the benchmark.
--
--   local postgres <close> = pg.start()              -- or { max_connections =, settings = { } }
--   aq.db.open { url = postgres.url }                -- or postgres.tcp_url, postgres.password_url
--   postgres:psql "select 1"   postgres:restart()   postgres:kill()   postgres:pause()
--
-- A new cluster in a temporary folder, run by a plain user (it refuses to be run by root), on a
-- unix socket there and on a free port of 127.0.0.1. Nothing that it keeps is meant to survive:
-- it never waits for the disk. Clusters of the system are left alone.
-- It ends with the variable, with the collector, and with this process, however that ends: its
-- postmaster is killed then, and a shell that waits for that removes what is left.
-- Failure: raises, with what the server has logged.

local socket = require "socket"
local command = require "spec.support.command"
local proc = require "spec.proc"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local pg = {}
local methods = {}

pg.ROLE, pg.PASSWORD, pg.ESCAPED_PASSWORD = "locked", "p@ss/word", "p%40ss%2Fword"

local KILL, STOP, CONT, INT, QUIT = 9, 19, 18, 2, 3
local START_SECONDS = 20

-- The name at `password_url` needs its password everywhere, the others nowhere.
local ACCESS = [[
local all locked           scram-sha-256
host  all locked all       scram-sha-256
local all all              trust
host  all all    127.0.0.1/32 trust
]]

local SETTINGS = {
  autovacuum = "off",
  fsync = "off",
  full_page_writes = "off",
  listen_addresses = "127.0.0.1",
  shared_buffers = "32MB",
}

-- Waits for process $1, ends what then runs in $2/data, removes $2.
local KEEPER = [[
tail --pid="$1" -s 0.2 -f /dev/null
while [ -d "$2" ]; do
  for process in /proc/[0-9]*; do
    [ "$(readlink "$process/cwd")" = "$2/data" ] && kill -9 "${process#/proc/}"
  done
  rm -rf "$2"
done
]]

--- What the program wrote; raises when it fails.
local function run(argv, options)
  local result = command.run(argv, options)
  if result.status == 0 then return result.stdout end
  error(("%s ended with %d: %s"):format(table.concat(argv, " "), result.status,
    result.stdout .. result.stderr), 0)
end

local function is_root()
  return run { "id", "-u" } == "0\n"
end

--- The arguments in front of a program that is not to be run by root.
---@return string[] launcher
---@return string? user who it then is
function pg.plain_user()
  if not is_root() then return {} end
  for _, user in ipairs { "postgres", "nobody" } do
    local id = command.run { "id", "-g", user }
    if id.status == 0 then
      return { "setpriv", "--reuid=" .. user, "--regid=" .. id.stdout:match "%d+",
        "--clear-groups", "--pdeathsig=KILL", "--" }, user
    end
  end
  error("there is no plain user to run PostgreSQL", 0)
end

--- Where PostgreSQL's programs are: the newest version's folder of Debian's, else the path.
local function programs()
  local found = command.run { "sh", "-c", "ls -d /usr/lib/postgresql/*/bin | sort -rV" }
  for folder in found.stdout:gmatch "[^\n]+" do
    if command.run({ "test", "-x", folder .. "/initdb" }).status == 0 then return folder .. "/" end
  end
  return ""
end

local function join(...)
  local all = {}
  for _, list in ipairs { ... } do table.move(list, 1, #list, #all + 1, all) end
  return all
end

--- Without what the caller's environment says about servers.
function pg.environment()
  local changes = { LC_ALL = "C.UTF-8", HOME = "/tmp" }
  for _, pair in ipairs(proc.environ()) do
    local name = pair:match "^PG%u+"
    if name then changes[name] = false end
  end
  return changes
end

--- A port of 127.0.0.1 that nobody listens on just now.
function pg.free_port()
  local sock = assert(socket.tcp4())
  assert(sock:bind("127.0.0.1", 0))
  local _, port = sock:getsockname()
  sock:close()
  return tonumber(port)
end

local function write(path, text)
  local file = assert(io.open(path, "w"))
  assert(file:write(text))
  file:close()
end

--- The postmaster's children: sessions and what it runs for itself.
local function children(pid)
  local list = {}
  local file = io.open(("/proc/%d/task/%d/children"):format(pid, pid))
  if not file then return list end
  for child in file:read("a"):gmatch "%d+" do list[#list + 1] = math.tointeger(child) end
  file:close()
  return list
end

local function signal_all(pids, signal)
  for _, pid in ipairs(pids) do proc.kill(pid, signal) end
end

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

local function log_text(self)
  return exists(self.log_path) and command.read_file(self.log_path) or ""
end

-- The postmaster's last line in its file of state says when it takes connections.
local function is_ready(self)
  local path = self.dir .. "/data/postmaster.pid"
  local text = exists(path) and command.read_file(path) or ""
  return text:match "^(%d+)" == tostring(self.pid) and text:match "\nready%s*$" ~= nil
end

local function arguments(self)
  local argv = join(self.launcher, self.user, { self.programs .. "postgres", "-D",
    self.dir .. "/data", "-k", self.dir, "-p", tostring(self.port) })
  for name, value in pairs(self.settings) do
    argv[#argv + 1] = "-c"
    argv[#argv + 1] = ("%s=%s"):format(name, value)
  end
  return argv
end

--- Starts it again after `stop`, `kill`: same folder, same port, what was committed is there.
---@return table self
function methods:start()
  assert(not self.pid, "it runs")
  self.pid = assert(proc.spawn(arguments(self), {
    env = command.environment(pg.environment()),
    cwd = self.dir,
    stdout = self.log_path,
    stderr = self.log_path,
  }))
  local ready = wait.till(function()
    if is_ready(self) then return "ready" end
    return proc.wait(self.pid, 0) and "ended"
  end, START_SECONDS, "PostgreSQL")
  if ready == "ready" then return self end
  self.pid = nil
  error("PostgreSQL does not start:\n" .. log_text(self), 2)
end

--- Ends sessions and server in order. The folder stays: `close` removes it, or the end of the
--- variable. Does nothing when it does not run.
function methods:stop()
  if not self.pid then return end
  if self.paused then self:resume() end
  proc.kill(self.pid, INT)
  if not proc.wait(self.pid, 20) then
    self:kill()
    error("PostgreSQL did not stop:\n" .. log_text(self), 2)
  end
  self.pid = nil
end

--- SIGKILL for the postmaster and whatever it runs, as when power fails.
function methods:kill()
  if not self.pid then return end
  proc.kill(self.pid, STOP) -- a child more would keep the next start waiting
  local all = self:processes()
  signal_all(all, KILL)
  assert(proc.wait(self.pid, 5))
  self.pid, self.paused = nil, false
  wait.till(function()
    for _, pid in ipairs(all) do
      if process.is_alive(pid) then return false end
    end
    return true
  end, 10, "the end of PostgreSQL's processes")
end

function methods:restart()
  self:stop()
  return self:start()
end

--- Stands still, connections and all: nothing is read, nothing is answered.
function methods:pause()
  self.paused = true
  proc.kill(self.pid, STOP)
  signal_all(self:processes(), STOP)
end

function methods:resume()
  signal_all(self:processes(), CONT)
  self.paused = false
end

--- Runs statements in psql as the owner of everything.
---@param sql string
---@param options? table { database = "spec", timeout = 30, user = "postgres" }
---@return string output unaligned, without headings, without the newline at its end
function methods:psql(sql, options)
  options = options or {}
  local output = run({ self.programs .. "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", self.dir,
    "-p", tostring(self.port), "-U", options.user or "postgres", "-d",
    options.database or self.database, "-c", sql }, { env = pg.environment(),
    timeout = options.timeout })
  return (output:gsub("\n$", ""))
end

--- What it has logged up to now.
function methods:log()
  return log_text(self)
end

--- The processes that it runs: one for each connection, and its own.
function methods:processes()
  return join({ self.pid }, children(self.pid))
end

local function close(self)
  if self.pid and not self.paused then -- at once, but it asks after its children
    proc.kill(self.pid, QUIT)
    if proc.wait(self.pid, 5) then self.pid = nil end
  end
  self:kill()
  if self.dir then command.remove(self.dir) end
  self.dir = nil
  if self.keeper then
    proc.kill(-self.keeper, KILL)
    proc.wait(self.keeper, 5)
  end
  self.keeper = nil
end
methods.close = close

local Postgres = { __name = "spec.postgres", __index = methods, __close = close, __gc = close }

local function keep(folder)
  local pid = command.read_file("/proc/self/stat"):match "%d+"
  return assert(proc.spawn({ "setpriv", "--pdeathsig=clear", "--", "setsid", "sh", "-c", KEEPER,
    "keeper", pid, folder }, { env = command.environment(), cwd = "/", stdout = "/dev/null",
    stderr = "/dev/null" }))
end

local function create(self)
  run(join(self.user, { self.programs .. "initdb", "-D", self.dir .. "/data", "-U", "postgres",
    "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions" }),
    { env = pg.environment(), cwd = self.dir })
  write(self.dir .. "/data/pg_hba.conf", ACCESS)
end

local function fill(self)
  self:psql(("create role %s login password '%s'"):format(pg.ROLE, pg.PASSWORD),
    { database = "postgres" })
  self:psql("create database " .. self.database, { database = "postgres" })
end

local function name_urls(self)
  local port, database = self.port, self.database
  self.url = ("postgres://postgres@/%s?host=%s&port=%d"):format(database, self.dir, port)
  self.tcp_url = ("postgres://postgres@127.0.0.1:%d/%s"):format(port, database)
  self.password_url = ("postgres://%s:%s@127.0.0.1:%d/%s"):format(pg.ROLE, pg.ESCAPED_PASSWORD,
    port, database)
end

--- Makes a cluster with the database `spec` and starts it.
---@param options? table { max_connections = 100, settings = { name = value }, database = "spec",
---  launcher = list of arguments in front of the server, such as taskset }
---@return table server `url` (its unix socket), `tcp_url`, `password_url` (TCP, the role needs
---  its password), `dir`, `port`, `pid`
function pg.start(options)
  options = options or {}
  local launcher, user = pg.plain_user()
  local self = setmetatable({ dir = command.folder(), port = pg.free_port(), user = launcher,
    launcher = options.launcher or {}, programs = programs(), settings = {},
    database = options.database or "spec" }, Postgres)
  self.keeper = keep(self.dir)
  if user then run { "chown", user, self.dir } end
  self.log_path = self.dir .. "/log"
  for _, settings in ipairs { SETTINGS, options.settings or {} } do
    for name, value in pairs(settings) do self.settings[name] = value end
  end
  self.settings.max_connections = options.max_connections or 100
  create(self)
  self:start()
  fill(self)
  name_urls(self)
  return self
end

return pg
