--- A pgbouncer of its own before a PostgreSQL of spec/support/postgres.lua.
--
--   local bouncer <close> = pgbouncer.start(postgres, { pool_mode = "transaction" })
--   aq.db.open { url = bouncer.url, prepare = false }
--
-- On a free port of 127.0.0.1, run by a plain user, in a folder inside the server's, which goes
-- with that. It asks nobody for a password.
-- Failure: raises, with what it has logged.

local command = require "spec.support.command"
local pg = require "spec.support.postgres"
local proc = require "spec.proc"
local socket = require "socket"
local wait = require "spec.support.wait"

local pgbouncer = {}
local methods = {}

local SETTINGS = {
  auth_type = "any",
  default_pool_size = 4,
  ignore_startup_parameters = "extra_float_digits",
  listen_addr = "127.0.0.1",
  max_client_conn = 1000,
  pool_mode = "transaction",
  unix_socket_dir = "",
}

local function write_config(self, postgres, options)
  local settings = { listen_port = self.port, logfile = self.log_path }
  for _, from in ipairs { SETTINGS, options } do
    for name, value in pairs(from) do settings[name] = value end
  end
  local lines = { "[databases]", ("%s = host=%s port=%d user=postgres"):format(postgres.database,
    postgres.dir, postgres.port), "[pgbouncer]" }
  for name, value in pairs(settings) do lines[#lines + 1] = ("%s = %s"):format(name, value) end

  local file = assert(io.open(self.config, "w"))
  assert(file:write(table.concat(lines, "\n"), "\n"))
  file:close()
end

local function answers(port)
  local sock = assert(socket.tcp4())
  local is_up = sock:connect("127.0.0.1", port) == 1
  sock:close()
  return is_up
end

local function stop(self)
  if not self.pid then return end
  proc.kill(self.pid, 9)
  proc.wait(self.pid, 5)
  self.pid = nil
end
methods.stop = stop

local Bouncer = { __name = "spec.pgbouncer", __index = methods, __close = stop, __gc = stop }

--- Starts one and waits until it listens.
---@param postgres table the server behind it
---@param options? table settings of pgbouncer.ini, such as pool_mode and default_pool_size
---@return table bouncer `url`, `port`, `pid`
function pgbouncer.start(postgres, options)
  local self = setmetatable({ port = pg.free_port() }, Bouncer)
  self.config = ("%s/pgbouncer-%d.ini"):format(postgres.dir, self.port)
  self.log_path = self.config:gsub("ini$", "log")
  write_config(self, postgres, options or {})

  local argv = table.move(postgres.user, 1, #postgres.user, 1, {})
  table.move({ "/usr/sbin/pgbouncer", "-q", self.config }, 1, 3, #argv + 1, argv)
  self.pid = assert(proc.spawn(argv, { env = command.environment(pg.environment()),
    cwd = postgres.dir, stdout = "/dev/null", stderr = self.log_path .. ".start" }))
  wait.till(function()
    if proc.wait(self.pid, 0) then
      self.pid = nil
      error("pgbouncer does not start: " .. command.read_file(self.log_path .. ".start"), 0)
    end
    return answers(self.port)
  end, 10, "pgbouncer")
  self.url = ("postgres://postgres@127.0.0.1:%d/%s"):format(self.port, postgres.database)
  return self
end

return pgbouncer
