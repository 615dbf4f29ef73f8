--- What became of the requests of a soak, by what spec/c/load_soak.c wrote and by the deaths
--- that were caused. Pure.
--
-- A connection that ended under a request is explained when the worker that had it was broken
-- just then, or its runtime was. One that had no answer yet has no name: any death will do, when
-- the request was begun before it was over. A runtime that leaves after its third broken worker
-- ends idle connections; it loses no new one.

local verdict = {}

-- How long after a death its connections are noticed: the clients share two processors with all.
local LATE = 3

--- The parts of a worker's name: process, generation, place, restarts.
function verdict.parts(name)
  local process, generation, place, restarts = name:match "^(%d+)%.(%d+)%.(%d+)%.(%d+)$"
  return tonumber(process), tonumber(generation), tonumber(place), tonumber(restarts)
end

--- Reads the lines of the load.
---@return table { workers = list of names, samples = list of { at, sent }, ends = list, wrong =
---  list, counts = name -> number }
function verdict.read(text)
  local found = { workers = {}, samples = {}, ends = {}, wrong = {}, counts = {} }

  for line in text:gmatch "([^\n]+)\n" do
    local word, rest = line:match "^(%S+) (.*)$"
    if word == "by" then
      found.workers[#found.workers + 1] = rest:match "^%S+"
    elseif word == "at" then
      local at, sent = rest:match "^(%S+) (%d+)"
      found.samples[#found.samples + 1] = { at = tonumber(at), sent = tonumber(sent) }
    elseif word == "end" or word == "wrong" and rest:find " " then
      local at, since, name, count, what = rest:match "^(%S+) (%S+) (%S+) (%d+) (.*)$"
      local list = word == "end" and found.ends or found.wrong
      list[#list + 1] = { at = tonumber(at), since = tonumber(since), name = name,
        count = tonumber(count), what = what }
    else
      found.counts[word] = tonumber(rest)
    end
  end
  return found
end

--- Whether this death explains this end.
---@param death table { from, to = seconds, name = worker's or nil, process = the runtime's,
---  leaves = true: it was not killed }
function verdict.explains(death, ending)
  if ending.at < death.from or ending.at > death.to + LATE then return false end
  if ending.name == "-" then return not death.leaves and ending.since <= death.to end
  if death.name then return death.name == ending.name end
  return (verdict.parts(ending.name)) == death.process
end

--- Those of `ends` that no death explains.
function verdict.unexplained(ends, deaths)
  local list = {}

  for _, ending in ipairs(ends) do
    local is_explained = false
    for _, death in ipairs(deaths) do
      is_explained = is_explained or verdict.explains(death, ending)
    end
    if not is_explained then list[#list + 1] = ending end
  end
  return list
end

--- How many were started after the first ones, by the names that answered.
---@return table { runtimes, reloads, workers }
function verdict.restarts(names)
  local runtimes, generations, places = {}, {}, {}
  local counts = { runtimes = -1, reloads = 0, workers = 0 }

  for _, name in ipairs(names) do
    local process, generation, place, restarts = verdict.parts(name)
    local code = process .. "." .. generation
    if not runtimes[process] then counts.runtimes = counts.runtimes + 1 end
    runtimes[process] = true
    if not generations[code] and generation > 1 then counts.reloads = counts.reloads + 1 end
    generations[code] = true
    local key = code .. "." .. place
    places[key] = math.max(places[key] or 0, restarts)
  end
  for _, restarts in pairs(places) do counts.workers = counts.workers + restarts end
  counts.runtimes = math.max(counts.runtimes, 0)
  return counts
end

--- The median of the slopes between any two points: what comes and goes does not move it.
---@param xs number[]
---@param ys number[]
---@return number? nil: fewer than two points
function verdict.slope(xs, ys)
  local slopes = {}

  for i = 1, #xs do
    for j = i + 1, #xs do
      if xs[j] ~= xs[i] then slopes[#slopes + 1] = (ys[j] - ys[i]) / (xs[j] - xs[i]) end
    end
  end
  table.sort(slopes)
  return slopes[(#slopes + 1) // 2]
end

--- How many requests had been sent at that time.
function verdict.sent_at(samples, at)
  local sent = 0
  for _, sample in ipairs(samples) do
    if sample.at > at then break end
    sent = sample.sent
  end
  return sent
end

return verdict
