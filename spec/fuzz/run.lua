--- Runs fuzz targets one after the other and says how each went.
--
-- `lua5.4 spec/fuzz/run.lua FOLDER HOW TARGET...`: FOLDER is the build, HOW a
-- number of seconds for each target, or `short`: the seeds and a few thousand
-- runs, the same ones every time. The corpus of a long run stays in
-- FOLDER/corpus and is where the next one begins; what was found stands in
-- FOLDER/findings, what libFuzzer said in FOLDER/logs.
-- Failure: the last line is `N passed, M failed`, the status 1 for a finding.

local scale = require "spec.support.scale"

local SHORT_RUNS = scale(10000)
local INPUT_SECONDS = 10 -- more than one input can take
local MEMORY_MIB = 2048

-- Longest input, words that the target knows.
local TARGETS = {
  head = { max_len = 2048, dict = "http" },
  body = { max_len = 1024, dict = "http" },
  forwarded = { max_len = 512, dict = "forwarded" },
  router = { max_len = 1024, dict = "router" },
  url = { max_len = 256 },
  json = { max_len = 1024, dict = "json" },
  pack = { max_len = 512 },
  ws = { max_len = 1024, dict = "ws" },
  ws_handshake = { max_len = 512, dict = "ws_handshake" },
  framing = { max_len = 512 },
}

local folder, how = arg[1], arg[2]
local is_short = how == "short"

local function shell(format, ...)
  return os.execute(format:format(...))
end

--- Two corpora: libFuzzer adds to the first what it finds new.
local function folders_of(target)
  local corpus = ("%s/%s/%s"):format(folder, is_short and "short" or "corpus", target)

  if is_short then shell("rm -rf '%s'", corpus) end
  assert(shell("mkdir -p '%s' '%s/findings' '%s/logs'", corpus, folder, folder))
  return ("'%s' '%s/seeds/%s'"):format(corpus, folder, target)
end

local function flags_of(target)
  local options = TARGETS[target]
  local flags = {
    ("-max_len=%d"):format(options.max_len),
    ("-timeout=%d"):format(INPUT_SECONDS),
    ("-rss_limit_mb=%d"):format(MEMORY_MIB),
    ("-artifact_prefix='%s/findings/%s-'"):format(folder, target),
    "-print_final_stats=1",
    is_short and ("-runs=%d -seed=1"):format(SHORT_RUNS)
      or ("-max_total_time=%d"):format(tonumber(how)),
  }

  if options.dict then flags[#flags + 1] = ("-dict=spec/fuzz/%s.dict"):format(options.dict) end
  return table.concat(flags, " ")
end

local function read_file(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  return text
end

--- The last number behind a word of the log.
local function last_number(text, word)
  return tonumber(text:match(".*" .. word .. "%s*(%d+)")) or 0
end

local function report(target, is_clean, log, text)
  print(("%-12s %10d runs %7d a second  coverage %5d  %s"):format(target,
    last_number(text, "number_of_executed_units:"), last_number(text, "average_exec_per_sec:"),
    last_number(text, "cov:"), is_clean and "clean" or "FINDING, see " .. log))
  if not is_clean then
    for line in text:gmatch "[^\n]+" do
      if line:find "does not hold" or line:find "ERROR" or line:find "runtime error"
        or line:find "assertion" or line:find "written to" then print("  " .. line) end
    end
  end
  io.stdout:flush()
end

--- A run that was cut short by whatever is no clean one.
local function run(target)
  local log = ("%s/logs/%s"):format(folder, target)
  local is_ok = shell("'%s/fuzz_%s' %s %s >'%s' 2>&1", folder, target, flags_of(target),
    folders_of(target), log)
  local text = read_file(log)
  local is_clean = is_ok and text:find "number_of_executed_units:" ~= nil

  report(target, is_clean, log, text)
  return is_clean
end

assert(shell("lua5.4 spec/fuzz/seeds.lua '%s/seeds'", folder))
local passed, failed = 0, 0
for i = 3, #arg do
  assert(TARGETS[arg[i]], "no such target: " .. arg[i])
  if run(arg[i]) then passed = passed + 1 else failed = failed + 1 end
end
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and passed > 0)
