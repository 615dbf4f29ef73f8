--- What a run does, from the environment: `make bench BENCH_ROUNDS=5 BENCH_ONLY=plain,json`.
--
-- Pure: reads the environment once. A word that means nothing ends the program
-- with status 2.

local function refuse(message)
  io.stderr:write("bench: ", message, "\n")
  os.exit(2, true)
end

local function number(name, default)
  local text = os.getenv(name)
  if not text or text == "" then return default end
  local value = tonumber(text)
  if not value or value < 1 then refuse(name .. " is not a number above 0: " .. text) end
  return value
end

--- Words between commas as a set; nil when nothing is given.
local function words(name, known)
  local set
  for word in (os.getenv(name) or ""):gmatch "[^,%s]+" do
    if not (" " .. known .. " "):find(" " .. word .. " ", 1, true) then
      refuse(("%s: %q is none of %s"):format(name, word, known))
    end
    set = set or {}
    set[word] = true
  end
  return set
end

local build = os.getenv "LQ_BUILD" or "build"

return {
  rounds = math.floor(number("BENCH_ROUNDS", 20)),
  seconds = math.floor(number("BENCH_SECONDS", 3)),
  idle = math.floor(number("BENCH_IDLE", 19000)),
  server_cpu = os.getenv "BENCH_SERVER_CPU" or "0",
  load_cpu = os.getenv "BENCH_LOAD_CPU" or "1",
  only = words("BENCH_ONLY", "plain json route pipelined many memory log messages calls staying "
    .. "connections fanout echo db"),
  subjects = words("BENCH_SUBJECTS", "raw prototype luaqueduct nginx node fastify erlang "
    .. "bare pgx"),
  build = build,
  folder = build .. "/bench", -- programs, what npm installed, RESULTS.md
  scratch = build .. "/bench/run", -- logs and configuration of the last run
}
