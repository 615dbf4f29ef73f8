--- A soak: load of every kind for a time, with faults at random, and counts in the end.
--
--   local result = soak.run { seconds = 600, seed = 1 }
--   print(soak.text(result))       -- #result.problems == 0: all is well
--
-- A third of the time for faults that take connections or the whole runtime along; then one
-- runtime, with all others, in which memory is measured.
-- Failure: raises when the server does not start or a fault is not over in time.

local command = require "spec.support.command"
local core = require "spec.support.core"
local faults = require "spec.soak.faults"
local load = require "spec.support.load"
local proc = require "spec.proc"
local server = require "spec.support.server"
local socket = require "socket"
local tmpfs = require "spec.support.tmpfs"
local verdict = require "spec.soak.verdict"
local wait = require "spec.support.wait"

local CLIENTS, WORKERS = 32, 4
local KIB_A_MILLION, SETTLING = 1024, 0.25 -- of the time until memory is looked at
local LEAST_SENT = 2e6 -- requests from which on a slope says something
local LOST_MOST, DRAIN_SECONDS = 3, 10
local NOISE_KIB = 32 * 1024 -- in a soak that is shorter

local soak = {}
local methods = {}

-- ---- what faults ask -------------------------------------------------------

--- What the load has written up to now.
local function output(self) return command.read_file(self.peers.folder .. "/stdout") end

--- The names of all workers that have answered, each taken apart: the process as a number that
--- counts runtimes (1, 2, ...), generation, place, restarts; and the processes by that number.
local function workers(self)
  local list, numbers, processes = {}, {}, {}

  for name in output(self):gmatch "by (%S+) %S+\n" do
    local process, generation, place, restarts = verdict.parts(name)
    if not numbers[process] then
      processes[#processes + 1] = process
      numbers[process] = #processes
    end
    list[#list + 1] = { runtime = numbers[process], generation = generation, place = place,
      restarts = restarts }
  end
  return list, processes, numbers
end

local function wait_worker(self, seconds, what, is_it)
  wait.till(function()
    local list, _, numbers = workers(self)
    for _, w in ipairs(list) do
      if is_it(w, numbers) then return true end
    end
  end, seconds, what)
end

--- Process and generation of the newest worker that has answered.
function methods:newest()
  local list, processes = workers(self)
  local generation = 0
  for _, w in ipairs(list) do
    if w.runtime == #processes then generation = math.max(generation, w.generation) end
  end
  return processes[#processes], generation
end

--- Waits for an answer of who took the place of `name`, in this runtime or in the next.
function methods:wait_successor(name, seconds)
  local process, generation, place, restarts = verdict.parts(name)
  wait_worker(self, seconds, "the successor of " .. name, function(w, numbers)
    if w.runtime ~= numbers[process] then return w.runtime > numbers[process] end
    return w.generation > generation or w.generation == generation and w.place == place
      and w.restarts > restarts
  end)
end

function methods:wait_generation(process, generation, seconds)
  wait_worker(self, seconds, "generation " .. generation, function(w, numbers)
    return w.runtime > numbers[process] or w.runtime == numbers[process]
      and w.generation >= generation
  end)
end

--- Waits for an answer of a later runtime than `process`.
function methods:wait_runtime(process, seconds)
  wait_worker(self, seconds, "the runtime after " .. process, function(w, numbers)
    return w.runtime > numbers[process]
  end)
end

--- From now on until `to` is set, ends are those of this death.
function methods:begin_death(death)
  death.from, death.to = proc.now(), math.huge
  table.insert(self.deaths, death)
  return death
end

--- A worker's thread does not come back. The third one of a runtime takes it along, as far as it
--- may wait for what is under way.
function methods:lose_worker(death)
  local process = verdict.parts(death.name)
  self.lost[process] = (self.lost[process] or 0) + 1
  if self.lost[process] < LOST_MOST then return end
  table.insert(self.deaths, { from = death.from, to = death.to + DRAIN_SECONDS, process = process,
    leaves = true })
end

-- ---- the course ------------------------------------------------------------

local function names_of(kinds)
  local names = {}
  for name in pairs(kinds) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local function shuffle(list)
  for i = #list, 2, -1 do
    local j = math.random(i)
    list[i], list[j] = list[j], list[i]
  end
  return list
end

--- The newest of what the log says that is no record of a request, for who looks for a reason.
local function log_tail(self)
  local file, lines = io.open(self.log_path), {}
  if not file then return "" end
  for line in file:lines() do
    if line:find "worker" or line:find "runtime" then lines[#lines + 1] = "\n  " .. line end
  end
  file:close()
  return table.concat(lines, "", math.max(1, #lines - 9))
end

local function cause(self, name)
  local fn, began = faults.mild[name] or faults.abrupt[name], proc.now()
  local ok, result = pcall(fn, self)
  if not ok then
    self.problems[#self.problems + 1] = ("%s: %s%s"):format(name, tostring(result), log_tail(self))
  elseif result ~= "skipped" then
    self.caused[name] = (self.caused[name] or 0) + 1
  end
  table.insert(self.course, ("%.3f to %.3f: %s"):format(began, proc.now(), name))
  if self.say then self.say(self.course[#self.course]) end
end

--- All of them once, and again until the time is up.
local function cause_all(self, names, seconds, between)
  local till, pause = proc.now() + seconds, seconds / 200

  repeat
    for i, name in ipairs(shuffle(names)) do
      cause(self, name)
      socket.sleep(math.random() * math.min(pause, 2))
      if between then between() end
      if #self.problems > 20 or i == #names and proc.now() > till then break end
    end
  until #self.problems > 20 or proc.now() > till
end

--- Memory of the runtime, with the time.
local function look(self)
  local process = self:newest()
  local kib = proc.rss(process)
  if kib then table.insert(self.memory, { at = proc.now(), kib = kib }) end
end

local function start(options)
  local disk = tmpfs.mount(16 * 1024)
  local folder = not disk and command.folder() or nil
  local log_path = (disk and disk.path or folder) .. "/soak.log"
  local busy = load.is_plain and 0.3 or 1.5
  local app = server.start {
    source = command.read_file "spec/soak/app.lua",
    workers = WORKERS,
    timeout = 60,
    args = {
      "--busy-timeout", tostring(busy), "--memory-limit", "16M", "--body-limit", "1M",
      "--drain-timeout", tostring(DRAIN_SECONDS), "--access-log",
      "--log-file", log_path, "--log-rotate", "2M,2",
      "--option", "breaker=" .. core.build .. "/spec/breaker.so",
      "--option", "pause=" .. (core.build:find "tsan" and "os.time" or ""),
    },
  }
  return setmetatable({
    app = app, disk = disk, folder = folder, log_path = log_path, say = options.say,
    problems = {}, caused = {}, course = {}, deaths = {}, lost = {}, memory = {},
  }, { __index = methods })
end

-- ---- the counts ------------------------------------------------------------

local function add_problem(result, text, ...)
  result.problems[#result.problems + 1] = text:format(...)
end

local function judge_requests(result, found, deaths)
  local unexplained = verdict.unexplained(found.ends, deaths)
  local counts = found.counts
  local whole = counts.answered + counts.torn + counts.left + counts.announced + counts.died
    + counts.wrong

  result.counts, result.reset = counts, 0
  for _, ending in ipairs(unexplained) do result.reset = result.reset + ending.count end
  for _, list in ipairs { unexplained, found.wrong } do
    for i = 1, math.min(#list, 10) do
      local e = list[i]
      add_problem(result, "%s, begun at %.3f, ended at %.3f, worker %s", e.what, e.since, e.at,
        e.name)
    end
  end
  if result.reset > 0 then add_problem(result, "%d without a reason", result.reset) end
  if counts.refused > 0 then add_problem(result, "%d refused", counts.refused) end
  if whole ~= counts.sent then
    add_problem(result, "%d of %d requests are not accounted for", counts.sent - whole, counts.sent)
  end
end

--- Growth of the last runtime, after it has settled.
local function judge_memory(result, found, memory)
  local first = math.max(1, math.floor(#memory * SETTLING))
  local xs, ys = {}, {}

  for i = first, #memory do
    xs[#xs + 1] = verdict.sent_at(found.samples, memory[i].at) / 1e6
    ys[#ys + 1] = memory[i].kib
  end
  result.start_kib, result.end_kib = ys[1], ys[#ys]
  result.measured = (xs[#xs] or 0) - (xs[1] or 0)
  result.slope = verdict.slope(xs, ys) or 0
  if not load.is_plain then return end
  if result.measured * 1e6 >= LEAST_SENT then
    if result.slope > KIB_A_MILLION then
      add_problem(result, "memory grows by %.0f KiB per million requests", result.slope)
    end
  elseif result.end_kib - result.start_kib > NOISE_KIB then
    add_problem(result, "memory grows from %d to %d KiB", result.start_kib, result.end_kib)
  end
end

local function judge_rest(self, result, fds, threads)
  local process = self.app:runtime()
  local function settles(what, count, most)
    if pcall(wait.till, function() return count(process) <= most end, 15) then return end
    add_problem(result, "%d %s, %d at the start", count(process), what, most)
  end
  settles("descriptors", proc.fds, fds)
  settles("threads", proc.threads, threads)
end

local function stop(self, result)
  local ok, err = pcall(self.app.stop, self.app, { status = 0, timeout = 60 })
  if not ok then add_problem(result, "%s", tostring(err)) end
  local text = self.app.log_text or ""
  if text:find "Sanitizer" or text:find "runtime error" then add_problem(result, "%s", text) end
end

local function clean_up(self)
  if self.peers then getmetatable(self.peers).__close(self.peers) end
  if not self.app.status then self.app:kill() end
  if self.disk then getmetatable(self.disk).__close(self.disk) end
  if self.folder then command.remove(self.folder) end
end

--- Ends the load; what it wrote.
local function end_load(self)
  proc.kill(self.peers.pid, 15)
  self.peers.status = assert(proc.wait(self.peers.pid, 60), "the clients still run")
  return verdict.read(output(self))
end

---@param options table { seconds, seed, say = called with the name of each fault, may be nil }
---@return table { problems = list of texts, counts, caused, restarts, reset, start_kib, end_kib,
---  slope (KiB per million requests), measured (millions of requests), seed, seconds }
function soak.run(options)
  math.randomseed(options.seed)
  local began = proc.now()
  local self = start(options)
  local _ <close> = setmetatable({}, { __close = function() clean_up(self) end })
  local fds, threads = self.app:fds(), self.app:threads()

  self.peers = load.start(self.app, "soak", CLIENTS, options.seed)
  wait_worker(self, 20, "the first answer", function() return true end)
  cause_all(self, names_of(faults.abrupt), options.seconds / 3)
  cause(self, "kill")
  cause_all(self, names_of(faults.mild), options.seconds * 2 / 3, function() look(self) end)
  local found = end_load(self)

  local result = {
    problems = self.problems, caused = self.caused, course = self.course, seed = options.seed,
    restarts = verdict.restarts(found.workers), seconds = proc.now() - began, died = #found.ends,
  }
  judge_requests(result, found, self.deaths)
  judge_memory(result, found, self.memory)
  judge_rest(self, result, fds, threads)
  stop(self, result)
  return result
end

--- The counts as lines.
function soak.text(result)
  local c, caused = result.counts, {}
  for name, count in pairs(result.caused) do caused[#caused + 1] = name .. " " .. count end
  table.sort(caused)
  local lines = {
    ("requests sent        %d in %.0f s, seed %d"):format(c.sent, result.seconds, result.seed),
    ("  answered           %d, %d of them faults of 1 %%"):format(c.answered, c.faults),
    ("  cut as they should %d streams, and %d whose client left"):format(c.torn, c.left),
    ("  behind an announced end  %d"):format(c.announced),
    ("  died with their worker or runtime  %d on %d connections"):format(c.died - result.reset,
      result.died),
    ("  wrong              %d"):format(c.wrong),
    ("connections refused  %d of %d"):format(c.refused, c.connects),
    ("reset without reason %d"):format(result.reset),
    ("workers restarted    %d, runtimes %d, reloads %d"):format(result.restarts.workers,
      result.restarts.runtimes, result.restarts.reloads),
    ("faults caused        %s"):format(table.concat(caused, ", ")),
    ("memory               %d KiB at the start, %d at the end: %.0f per million over %.2f million"
      ):format(result.start_kib, result.end_kib, result.slope, result.measured),
  }
  for _, problem in ipairs(result.problems) do lines[#lines + 1] = "PROBLEM: " .. problem end
  if #result.problems > 0 then table.move(result.course, 1, #result.course, #lines + 1, lines) end
  return table.concat(lines, "\n")
end

return soak
