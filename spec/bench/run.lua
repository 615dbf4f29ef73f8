--- Runs the benchmark and writes its report; `make bench` builds what it needs and calls this.
--
-- Run: lua5.4 spec/bench/run.lua, from the top folder. See README.md.

require "spec.support.core"

local config = require "spec.bench.config"
local files = require "spec.bench.files"
local logging = require "spec.bench.logging"
local memory = require "spec.bench.memory"
local report = require "spec.bench.report"
local rounds = require "spec.bench.rounds"
local scenarios = require "spec.bench.scenarios"
local subjects = require "spec.bench.subjects"

local function run()
  files.output(("rm -rf '%s' && mkdir -p '%s'"):format(config.scratch, config.scratch))
  local selected = scenarios.select(config.only)
  local with_memory = not config.only or config.only.memory
  local sizes = with_memory and memory.run(config.subjects) or nil
  local with_log = (not config.only or config.only.log)
    and (not config.subjects or config.subjects.luaqueduct)
  local log = with_log and logging.run() or nil
  local result = rounds.run(selected, subjects.names(config.subjects))
  result.memory, result.log = sizes, log
  local text = report.text(result)

  files.write(config.folder .. "/RESULTS.md", text)
  io.stdout:write("\n", text)
end

local done, err = pcall(run)
if not done then
  io.stderr:write("bench: ", tostring(err), "\n")
  os.exit(1, true)
end
