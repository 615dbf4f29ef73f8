--- What the log costs: a record a request, a sink that is stuck, the queue alone.
--
-- In each round, one after the other: the handler without a record, the same
-- with one record of two fields to a file, and the same to a FIFO that nobody
-- reads. The queue is that of the C test, which fails when a record is lost.

local proc = require "spec.proc"
local config = require "spec.bench.config"
local files = require "spec.bench.files"
local instance = require "spec.bench.instance"
local rounds = require "spec.bench.rounds"
local selftest = require "spec.bench.selftest"
local subjects = require "spec.bench.subjects"

local STALL_SECONDS = 2
local KILL = 9

local logging = { queue_test = config.build .. "/spec/log_test" }

local function scenario(path)
  return { name = "log", path = path, connections = 64, depth = 1, body = "Hello, World!",
    type = "text/plain; charset=utf-8" }
end

local without, with = scenario "/plain", scenario "/logged"

--- A server whose log goes to `path`.
local function start(path)
  local own = subjects.luaqueduct
  return instance.start({
    name = own.name,
    argv = function(port, ...)
      local argv = own.argv(port, ...)
      table.move({ "--log-level", "info", "--log-file", path }, 1, 4, #argv + 1, argv)
      return argv
    end,
  }, with)
end

local Reader = {}

function Reader.__close(self)
  proc.kill(self.pid, KILL)
  proc.wait(self.pid, 5)
end

--- Reads the FIFO until it is closed.
local function read(path)
  local pid = assert(proc.spawn({ "taskset", "-c", config.load_cpu, "cat", path },
    { stdout = "/dev/null" }))
  return setmetatable({ pid = pid }, Reader)
end

--- A burst while nobody reads. The server is new, so that nothing waits in it.
local function measure_stalled(point, fifo)
  local server <close> = start(fifo)
  point.server = server
  do
    local _ <close> = read(fifo)
    selftest.run(server, with)
    rounds.measure(point, 1)
  end
  rounds.keep(point, rounds.measure(point, STALL_SECONDS))
  local _ <close> = read(fifo)
  server:stop()
end

--- Records a second through the queue, from four threads.
local function measure_queue()
  local text = files.output(logging.queue_test .. " 2>&1")
  local rate = text:match "(%d+) records a second through the queue"
  if not rate then error("the queue's test has failed:\n" .. text, 0) end
  return tonumber(rate)
end

---@return table { without, file, stalled: points as in rounds.run; queue: number[] }
function logging.run()
  local path, fifo = config.scratch .. "/app.log", config.scratch .. "/fifo"
  files.output(("mkfifo '%s'"):format(fifo))
  local server <close> = start(path)
  local result = {
    without = rounds.point(server, without),
    file = rounds.point(server, with),
    stalled = rounds.point(nil, with),
    queue = {},
  }

  for _, point in ipairs { result.without, result.file } do
    selftest.run(server, point.scenario)
    rounds.measure(point, 1)
  end
  for round = 1, config.rounds do
    for _, point in ipairs { result.without, result.file } do
      rounds.keep(point, rounds.measure(point, config.seconds))
    end
    measure_stalled(result.stalled, fifo)
    result.queue[round] = measure_queue()
    files.output(("rm -f '%s'"):format(path))
    io.stderr:write(("logging: round %d of %d\n"):format(round, config.rounds))
  end
  return result
end

return logging
