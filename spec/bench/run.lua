--- Runs the benchmark and writes its report; `make bench` builds what it needs and calls this.
--
-- Run: lua5.4 spec/bench/run.lua, from the top folder. See README.md.

require "spec.support.core"

local bursts = require "spec.bench.bursts"
local calls = require "spec.bench.calls"
local config = require "spec.bench.config"
local connections = require "spec.bench.connections"
local database = require "spec.bench.database"
local files = require "spec.bench.files"
local logging = require "spec.bench.logging"
local memory = require "spec.bench.memory"
local messaging = require "spec.bench.messaging"
local report = require "spec.bench.report"
local rounds = require "spec.bench.rounds"
local scenarios = require "spec.bench.scenarios"
local staying = require "spec.bench.staying"
local subjects = require "spec.bench.subjects"

local function run()
  files.output(("rm -rf '%s' && mkdir -p '%s'"):format(config.scratch, config.scratch))
  local selected = scenarios.select(config.only)
  local with_memory = not config.only or config.only.memory
  local sizes = with_memory and memory.run(config.subjects) or nil
  --- Of all that are asked for.
  local function part(name, fn)
    if not config.only or config.only[name] then return fn() end
  end
  --- Of luaqueduct alone.
  local function own(name, fn)
    if config.subjects and not config.subjects.luaqueduct then return nil end
    return part(name, fn)
  end
  local log, call, stay = own("log", logging.run), own("calls", calls.run),
    own("staying", staying.run)
  local messages = own("messages", messaging.run)
  local stays, fanout, echo = part("connections", connections.run),
    part("fanout", bursts.fanout), part("echo", bursts.echo)
  local result = rounds.run(selected, subjects.names(config.subjects))
  result.memory, result.log, result.calls, result.staying = sizes, log, call, stay
  result.messages = messages
  result.connections, result.fanout, result.echo = stays, fanout, echo
  result.db = part("db", database.run)
  local text = report.text(result)

  files.write(config.folder .. "/RESULTS.md", text)
  io.stdout:write("\n", text)
end

local done, err = pcall(run)
if not done then
  io.stderr:write("bench: ", tostring(err), "\n")
  os.exit(1, true)
end
