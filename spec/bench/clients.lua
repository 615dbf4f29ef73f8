--- Many connections to a server, and messages on them: runs subjects/clients.c.
--
--   local held <close> = clients.open(server, { work = "echo", kind = "ws", count = 64 })
--   local figures = held:run()
--
-- Every wait has a deadline. Failure: raises with what the program wrote.

local proc = require "spec.proc"
local config = require "spec.bench.config"
local files = require "spec.bench.files"

local OPEN_SECONDS, GRACE_SECONDS = 120, 30
local USR1, TERM, KILL = 10, 15, 9

local clients = {}
local methods = {}

local function fail(self, what)
  error(("clients of %s: %s; they wrote:\n%s%s"):format(self.name, what, self.text,
    files.read(self.log) or ""), 0)
end

--- Reads until a line `word` has come; what came before it and with it.
local function read_until(self, word, seconds)
  local deadline = proc.now() + seconds
  repeat
    local piece = proc.read(self.output, math.max(deadline - proc.now(), 0))
    if not piece or piece == "" then fail(self, "no " .. word) end
    self.text = self.text .. piece
  until self.text:find("%f[^\n\0]" .. word .. "[^\n]*\n")
  local text = self.text
  self.text = ""
  return text
end

--- Has them begin their work.
function methods:start()
  assert(proc.kill(self.pid, USR1))
end

--- Waits until it is done: sent, got, lost, closed, seconds, median, p99, max (ms).
function methods:figures()
  local figures = {}
  for name, value in read_until(self, "done", self.seconds + GRACE_SECONDS)
    :gmatch "(%w+) ([%d.]+)\n" do
    figures[name] = tonumber(value)
  end
  return figures
end

function methods:run()
  self:start()
  return self:figures()
end

--- Closes the connections.
function methods:stop()
  if self.ended then return end
  self.ended = true
  proc.kill(self.pid, TERM)
  if not proc.wait(self.pid, 30) then
    proc.kill(self.pid, KILL)
    proc.wait(self.pid, 30)
  end
  proc.close(self.output)
end

local Clients = { __index = methods, __close = methods.stop, __gc = methods.stop }

--- Opens them, and waits until all stand.
---@param server table of instance.lua
---@param options table work, kind, count, seconds; path ("/"), every (s, of talk), burst (messages,
---  of fanout), source (2: they come from 127.0.0.2 to 127.0.0.9), cpus
function clients.open(server, options)
  local log = ("%s/clients-%d-%d.log"):format(config.scratch, server.port, options.source or 2)
  local argv = { "taskset", "-c", options.cpus or config.load_cpu, config.folder .. "/clients",
    options.work, options.kind, server.port, options.path or "/", options.count,
    options.seconds or 1, options.every or 1, options.burst or 1,
    options.source or 2 }
  for i, argument in ipairs(argv) do argv[i] = tostring(argument) end
  local pid, output = assert(proc.spawn(argv, { stderr = log }))
  local self = setmetatable({
    pid = pid,
    output = output,
    log = log,
    text = "",
    name = server.subject.name,
    seconds = options.seconds or 1,
  }, Clients)
  local held, err = pcall(read_until, self, "held", OPEN_SECONDS)
  if not held then
    self:stop()
    error(err, 0)
  end
  return self
end

return clients
