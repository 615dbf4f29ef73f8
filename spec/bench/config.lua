--- What a run does, from the environment: `make bench BENCH_ROUNDS=5 BENCH_ONLY=plain,json`.
--
-- Pure: reads the environment once. Failure: raises on a word that means nothing.

local function number(name, default)
  local text = os.getenv(name)
  if not text or text == "" then return default end
  local value = tonumber(text)
  assert(value and value > 0, name .. " is not a number above 0: " .. text)
  return value
end

--- Words between commas as a set; nil when nothing is given.
local function words(name)
  local set
  for word in (os.getenv(name) or ""):gmatch "[^,%s]+" do
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
  only = words "BENCH_ONLY",
  subjects = words "BENCH_SUBJECTS",
  build = build,
  folder = build .. "/bench",
}
