--- The real program, started on a free port and stopped again.
--
--   local app <close> = server.start { source = [[return function() return "hi" end]] }
--   local res = app:get "/"
--   app:stop()                 -- asserts exit status 0
--
-- The program is LQ_BIN, else <LQ_BUILD>/luaqueduct. Standard error goes to a
-- file, so that a flood of records never holds it up.
-- Failure: raises with what the program wrote. No process is left behind:
-- one that does not stop in time is killed, and the spec fails.

local client = require "spec.support.client"
local command = require "spec.support.command"
local core = require "spec.support.core"
local proc = require "spec.proc"
local raised = require "spec.support.raised"
local wait = require "spec.support.wait"

local SIGNALS = { HUP = 1, INT = 2, QUIT = 3, KILL = 9, USR1 = 10, TERM = 15, CONT = 18, STOP = 19 }

local server = {}
local methods = {}

local function write_files(folder, options)
  local files = { ["app.lua"] = options.source }

  for name, text in pairs(options.files or {}) do files[name] = text end
  for name, text in pairs(files) do
    local parent = name:match "^(.*)/"
    if parent then command.run { "mkdir", "-p", folder .. "/" .. parent } end
    local file = assert(io.open(folder .. "/" .. name, "wb"))
    assert(file:write(text))
    assert(file:close())
  end
end

--- The path of the program under test.
function server.binary()
  return core.absolute(os.getenv "LQ_BIN" or core.build .. "/luaqueduct")
end

local function arguments(folder, options)
  local argv = table.move(options.launcher or {}, 1, #(options.launcher or {}), 1, {})

  argv[#argv + 1] = options.binary or server.binary()
  argv[#argv + 1] = "serve"
  argv[#argv + 1] = options.app or folder .. "/app.lua"
  for _, url in ipairs(options.listen or { "http://127.0.0.1:0" }) do
    argv[#argv + 1] = "--listen"
    argv[#argv + 1] = url
  end
  argv[#argv + 1] = "-j"
  argv[#argv + 1] = tostring(options.workers or 1)
  for _, argument in ipairs(options.args or {}) do argv[#argv + 1] = argument end
  return argv
end

--- Reads one line from the pipe; nil and what came when there is none in time.
local function read_line(fd, seconds)
  local deadline, text = proc.now() + seconds, ""

  repeat
    local piece = proc.read(fd, wait.left(deadline))
    if not piece then return nil, text end
    text = text .. piece
  until text:find("\n", 1, true)
  return text:match "^(.-)\n", text
end

--- Ends the process for good and takes its folder away.
local function clean_up(self)
  if not self.status then
    local runtime = self:runtime()
    proc.kill(self.pid, SIGNALS.KILL)
    self.status = proc.wait(self.pid, 5)
    if runtime ~= self.pid then proc.kill(runtime, SIGNALS.KILL) end
  end
  if self.folder then
    self.log_text = command.read_file(self.log_path)
    command.remove(self.folder)
    proc.close(self.output)
    self.folder = nil
  end
end

local function parse_ready(self, line)
  self.ready_line = line
  self.addresses = {}
  local list, workers = line:match "^luaqueduct: listening on (.+) %((%d+) workers%)$"
  if not list then return false end
  for address in list:gmatch "[^,%s]+" do self.addresses[#self.addresses + 1] = address end
  self.workers = tonumber(workers)
  self.url = self.addresses[1]
  self.port = tonumber(self.url:match ":(%d+)$")
  self.host = self.url:match "^%w+://%[?([^%]/]-)%]?:%d+$"
  return true
end

--- What the process wrote to standard error up to now.
function methods:log()
  return self.log_text or command.read_file(self.log_path)
end

--- Waits until standard error contains `text` (plain).
function methods:wait_log(text, seconds)
  return wait.till(function() return self:log():find(text, 1, true) end, seconds,
    ("the log to say %q"):format(text))
end

function methods:signal(name)
  assert(proc.kill(self.pid, assert(SIGNALS[name], name)))
end

--- Waits until the process ends by itself; returns its status.
function methods:wait_exit(seconds)
  if not self.status then
    self.status = proc.wait(self.pid, seconds or 10)
    local in_time = self.status ~= nil
    clean_up(self)
    if not in_time then
      error(("the server still ran after %g s; it wrote:\n%s"):format(seconds or 10,
        self.log_text), 2)
    end
  end
  return self.status
end

--- TERM, then waits for the end. A second call does nothing.
---@param options? table { status = 0 (false: any), signal = "TERM", timeout = 20 }
---@return integer status
---@return string log
function methods:stop(options)
  options = options or {}
  if self.stopped then return self.status, self.log_text end
  self.stopped = true
  if not self.status then self:signal(options.signal or "TERM") end
  self:wait_exit(options.timeout or 20)
  local expected = options.status == nil and 0 or options.status
  if expected and self.status ~= expected then
    error(("the server ended with status %d, expected %d; it wrote:\n%s"):format(self.status,
      expected, self.log_text), 2)
  end
  return self.status, self.log_text
end

--- Ends it at once, whatever it does; its status is not looked at.
function methods:kill()
  self.stopped = true
  clean_up(self)
end

--- A new connection to its first address.
function methods:connect(options)
  options = options or {}
  local path = self.url:match "^unix:(.+)$"
  if path then return client.connect { unix = path, timeout = options.timeout } end
  return client.connect {
    host = options.host or self.host,
    port = options.port or self.port,
    timeout = options.timeout,
    receive_buffer = options.receive_buffer,
    from = options.from,
  }
end

--- One request on a connection of its own; see client.lua for `options`.
function methods:request(method, path, options)
  local conn <close> = self:connect(options)
  return conn:request(method, path, options)
end

for _, method in ipairs { "get", "post", "put", "patch", "delete", "options", "head" } do
  methods[method] = function(self, path, options)
    return self:request(method:upper(), path, options)
  end
end

--- The process in which the workers run: the guard's child, if there is a guard.
function methods:runtime()
  local path = ("/proc/%d/task/%d/children"):format(self.pid, self.pid)
  local file = io.open(path)
  local child = file and file:read "n"

  if file then file:close() end
  return child or self.pid
end

function methods:rss() return proc.rss(self:runtime()) end
function methods:fds() return proc.fds(self:runtime()) end
function methods:threads() return proc.threads(self:runtime()) end

-- Left by an error: the spec fails already, the status would hide why.
-- Left in peace without stop(): the status is checked here.
local function close(self, err)
  if self.stopped then return end
  if err ~= nil or raised.error() then self:kill() else self:stop() end
end

local Server = { __name = "spec.server", __index = methods, __close = close, __gc = clean_up }

local function spawn(options)
  local folder = command.folder()
  write_files(folder, options)
  local log_path = folder .. "/stderr"
  local pid, output = proc.spawn(arguments(folder, options), {
    env = command.environment(options.env),
    cwd = options.cwd,
    stderr = log_path,
    pass = options.pass,
  })
  if not pid then
    command.remove(folder)
    error(("%s: %s"):format(options.binary or server.binary(), output), 3)
  end
  return setmetatable({ pid = pid, output = output, folder = folder, log_path = log_path }, Server)
end

--- Starts the program and waits for its ready line.
---@param options table
---  app (a path) or source (text of the script); files (name -> text, beside the script);
---  workers (1), args (list), env (name -> value, false removes), listen (list of URLs, a free
---  port of 127.0.0.1 unless given), cwd, timeout (of the start, 20), binary, launcher (list
---  of arguments in front of it), pass (list of descriptors that it gets from 3 on),
---  on_spawn (called before the ready line is awaited)
---@return table? server
---@return table? ending when there is no ready line: { line (what came instead), status (nil: it
---  still ran), stderr }
function server.try(options)
  local self = spawn(options)
  if options.on_spawn then options.on_spawn(self) end
  local line, got = read_line(self.output, options.timeout or 20)

  if line and parse_ready(self, line) then return self end
  local status = proc.wait(self.pid, 1)
  self.status = status
  self:kill()
  return nil, { line = got, status = status, stderr = self.log_text }
end

--- The same for a start that is to succeed: it raises otherwise.
function server.start(options)
  local self, ending = server.try(options)

  if self then return self end
  local how = ending.status and "status " .. ending.status or "it still ran"
  error(("no ready line but %q; %s; it wrote:\n%s"):format(ending.line, how, ending.stderr), 2)
end

--- Starts what is expected to end by itself, such as a broken app.
---@return table { status, stdout, stderr, seconds }
function server.fail(options)
  local folder = command.folder()
  write_files(folder, options)
  local result = command.run(arguments(folder, options), {
    env = options.env,
    cwd = options.cwd,
    pass = options.pass,
    timeout = options.timeout or 20,
  })
  command.remove(folder)
  return result
end

--- Runs the program with these arguments to its end.
function server.run(args, options)
  return command.run({ server.binary(), table.unpack(args) }, options)
end

return server
