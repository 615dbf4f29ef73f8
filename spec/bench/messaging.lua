--- Messages between threads: luaqueduct's workers, Node's worker_threads, Erlang's processes.
--
-- In each round every program streams 100-byte strings once, on both CPUs, and prints its
-- figures, a name and a number a line. What a broadcast costs is measured in one process with
-- what one receiver costs, as CPU of the sending thread: nine threads on two CPUs say nothing in
-- seconds.

local proc = require "spec.proc"
local config = require "spec.bench.config"
local files = require "spec.bench.files"

local DEADLINE = 120
local TERM, KILL = 15, 9
local HERE = "spec/bench/subjects/messages."

local messaging = {
  names = { "luaqueduct", "node", "erlang" },
  labels = { luaqueduct = "luaqueduct", node = "Node, worker_threads", erlang = "Erlang" },
}

local function serve(workers)
  return { config.build .. "/luaqueduct", "serve", "-j", workers, "-p", 0, "--log-level", "warn",
    HERE .. "lua" }
end

local programs = {
  luaqueduct = serve(2),
  node = { "node", HERE .. "js" },
  erlang = { "escript", HERE .. "erl" },
}

local Program = {}

function Program.__close(self)
  if proc.wait(self.pid, 0) then return end
  proc.kill(self.pid, TERM)
  if proc.wait(self.pid, 10) then return end
  proc.kill(self.pid, KILL)
  proc.wait(self.pid, 5)
end

--- Runs it until it says that it is done; the figures by their names.
local function run(argv)
  local log = config.scratch .. "/messages.log"
  os.remove(log)
  local words = { "taskset", "-c", config.server_cpu .. "," .. config.load_cpu, "env",
    ("BENCH_MESSAGES=%d"):format(config.seconds * 1000000) }
  for _, word in ipairs(argv) do words[#words + 1] = tostring(word) end
  local program <close> = setmetatable({
    pid = assert(proc.spawn(words, { stdout = log, stderr = log })),
  }, Program)
  local deadline = proc.now() + DEADLINE
  local text, ended
  repeat
    ended = proc.wait(program.pid, 0.05) or proc.now() > deadline
    text = files.read(log) or ""
  until text:find "%f[^\n\0]done\n" or ended
  local figures = {}
  for name, number in text:gmatch "%f[^\n\0](%l+) ([%d.]+)\n" do
    figures[name] = tonumber(number)
  end
  if not text:find "%f[^\n\0]done\n" then
    error(("%s has not finished; it wrote:\n%s"):format(argv[1], text), 0)
  end
  return figures
end

---@return table { rates: { luaqueduct, node, erlang: number[] messages/s }, one, all: number[] ns }
function messaging.run()
  local result = { rates = { luaqueduct = {}, node = {}, erlang = {} }, one = {}, all = {} }
  for round = 1, config.rounds do
    for _, name in ipairs(messaging.names) do
      table.insert(result.rates[name], run(programs[name]).stream)
    end
    local cost = run(serve(9))
    table.insert(result.one, cost.one)
    table.insert(result.all, cost.all)
    io.stderr:write(("messages: round %d of %d\n"):format(round, config.rounds))
  end
  return result
end

return messaging
