--- The servers that are compared: how each is started on a port of 127.0.0.1.
--
-- A subject: name, label, and argv(port, scenario, workers). `fixed`: it knows
-- one answer only, so that each path has a process of its own. `ready`: what it
-- writes when it is; unless given, it is ready when it listens. `cpus`: others
-- than the servers' one.

local config = require "spec.bench.config"
local files = require "spec.bench.files"

local HERE = "spec/bench/subjects/"

local subjects = {}

--- nginx's configuration with everything in it that depends on the place.
local function nginx_conf(port)
  local folder = ("%s/nginx-%d"):format(config.scratch, port)
  local absolute = files.output(("mkdir -p %s && cd %s && pwd"):format(folder, folder))
  local values = {
    PORT = tostring(port),
    FOLDER = absolute,
    MODULES = "/usr/lib/nginx/modules",
    FILES = files.output "ulimit -n",
  }
  local path = absolute .. "/nginx.conf"
  files.write(path, (assert(files.read(HERE .. "nginx.conf")):gsub("@(%u+)@", values)))
  return path
end

subjects.list = {
  {
    name = "raw",
    label = "raw epoll loop",
    fixed = true,
    argv = function(port, scenario)
      return { config.folder .. "/raw", port, scenario.type, scenario.body }
    end,
  },
  {
    name = "prototype",
    label = "prototype",
    argv = function(port)
      return { config.folder .. "/prototype", port, HERE .. "prototype.lua" }
    end,
  },
  {
    name = "luaqueduct",
    label = "luaqueduct",
    argv = function(port, _, workers)
      return { config.build .. "/luaqueduct", "serve", "spec/bench/app.lua", "-p", port,
        "-j", workers or 1, "--idle-timeout", 600, "--log-level", "warn" }
    end,
  },
  {
    name = "nginx",
    label = "nginx+Lua",
    -- TERM to the master when the driver dies: KILL would leave its worker.
    argv = function(port)
      return { "setpriv", "--pdeathsig", "TERM", "nginx", "-c", nginx_conf(port) }
    end,
  },
  {
    name = "node",
    label = "Node http",
    argv = function(port) return { "node", HERE .. "node.js", port } end,
  },
  {
    name = "fastify",
    label = "Fastify",
    argv = function(port)
      return { "env", "NODE_PATH=" .. config.folder .. "/node_modules", "node",
        HERE .. "fastify.js", port }
    end,
  },
}

for _, subject in ipairs(subjects.list) do subjects[subject.name] = subject end

--- The names in the order of the list that `wanted` (a set, nil: all) holds.
function subjects.names(wanted)
  local names = {}
  for _, subject in ipairs(subjects.list) do
    if not wanted or wanted[subject.name] then names[#names + 1] = subject.name end
  end
  return names
end

return subjects
