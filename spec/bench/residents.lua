--- The servers whose connections stay: how each is started on a port of 127.0.0.1.
--
-- By what they do: `tcp` and `ws` give back each message, `room` gives what one
-- sends to all, `raw` gives back the bytes. See subjects.lua for the fields.

local config = require "spec.bench.config"

local HERE = "spec/bench/subjects/"
local BOTH = config.server_cpu .. "," .. config.load_cpu

--- `...`: further arguments of the command line.
local function luaqueduct(what, ...)
  local more = { ... }
  return {
    name = "luaqueduct",
    label = "luaqueduct",
    ready = "luaqueduct: listening on",
    cpus = what == "room" and BOTH or nil,
    argv = function(port, _, workers)
      local is_tcp = what == "tcp"
      return { "env", "STAY_PORT=" .. (is_tcp and port or ""), config.build .. "/luaqueduct",
        "serve", HERE .. "stay.lua", "-p", is_tcp and 0 or port, "-j", workers or 1,
        "--log-level", "warn", table.unpack(more) }
    end,
  }
end

local function node(what, label)
  return {
    name = "node",
    label = label,
    cpus = what == "room" and BOTH or nil,
    argv = function(port)
      return { "env", "NODE_PATH=" .. config.folder .. "/node_modules", "node",
        HERE .. "stay.js", what, port }
    end,
  }
end

local erlang = {
  name = "erlang",
  label = "Erlang gen_tcp",
  argv = function(port) return { "escript", HERE .. "stay.erl", port } end,
}

local echo = {
  name = "raw",
  label = "raw epoll loop",
  argv = function(port) return { config.folder .. "/echo", port } end,
}

--- Those that are asked for.
local function list(...)
  local wanted = {}
  for _, subject in ipairs { ... } do
    if not config.subjects or config.subjects[subject.name] then wanted[#wanted + 1] = subject end
  end
  return wanted
end

return {
  tcp = list(luaqueduct "tcp", node("tcp", "Node net"), erlang),
  ws = list(luaqueduct "ws", node("ws", "Node ws")),
  room = list(luaqueduct "room", node("room", "Node ws")),
  raw = list(echo),
  --- One of several runtimes on the same port.
  shared = { tcp = luaqueduct("tcp", "--share-port"), ws = luaqueduct("ws", "--share-port") },
}
