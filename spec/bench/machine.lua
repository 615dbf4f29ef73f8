--- Where and with what a run was made.

local config = require "spec.bench.config"
local files = require "spec.bench.files"

local machine = {}

local function first_line(command) return (files.output(command):match "^[^\n]*") end

local function package_version(name)
  return first_line("dpkg-query -W -f '${Version}' " .. name)
end

local function cpu_model()
  local text = files.read "/proc/cpuinfo" or ""
  return text:match "model name%s*:%s*([^\n]+)" or text:match "CPU part%s*:%s*([^\n]+)" or "?"
end

--- Of what npm has installed.
local function module_version(name)
  local text = files.read(("%s/node_modules/%s/package.json"):format(config.folder, name)) or ""
  return text:match '"version"%s*:%s*"([^"]+)"' or "absent"
end

--- Pairs of what and which, in the order in which they are shown.
function machine.describe()
  return {
    { "date", os.date "!%Y-%m-%d %H:%M UTC" },
    { "CPU", ("%s, %s cores"):format(cpu_model(), first_line "nproc") },
    { "memory", ("%d MiB"):format((files.read "/proc/meminfo"):match "MemTotal:%s*(%d+)" // 1024) },
    { "system", first_line "sed -n 's/^PRETTY_NAME=\"\\(.*\\)\"/\\1/p' /etc/os-release" },
    { "kernel", first_line "uname -sr" },
    { "luaqueduct", (files.output(config.build .. "/luaqueduct version"):gsub("\n", ", ")) },
    { "compiler", first_line "gcc --version" },
    { "nginx", first_line("nginx -v"):match "[%d.]+" .. ", Lua module "
      .. package_version "libnginx-mod-http-lua" },
    { "Node", first_line "node --version" },
    { "Fastify", module_version "fastify" },
    { "ws", module_version "ws" },
    { "pg of Node", module_version "pg" },
    { "PostgreSQL", package_version "postgresql-15" },
    { "Go, pgx", first_line("go version"):match "go([%d.]+)" .. ", "
      .. package_version "golang-github-jackc-pgx-v4-dev" },
    { "Erlang", package_version "erlang-base" },
    { "wrk", first_line("wrk -v"):match "%d+%.[%d.]+" or "?" },
  }
end

return machine
