--- CPU time, memory and descriptors of a subject's process and of those below it (nginx's worker).
--
-- The kernel counts what a thread runs in nanoseconds; whether it was user or
-- kernel time it notes 100 times a second. So the sum is right over a round,
-- the split only over a minute.

local proc = require "spec.proc"
local files = require "spec.bench.files"

local cpu = {}

local TICK = 1 / tonumber(files.output "getconf CLK_TCK")

--- The process and all that descend from it.
---@return integer[]
local function family(pid, list)
  list = list or {}
  list[#list + 1] = pid
  local children = files.read(("/proc/%d/task/%d/children"):format(pid, pid)) or ""
  for child in children:gmatch "%d+" do family(tonumber(child), list) end
  return list
end

cpu.family = family

--- Fields 14 and 15 of /proc/<pid>/stat; the name, field 2, may hold anything.
local function ticks(pid)
  local text = files.read(("/proc/%d/stat"):format(pid)) or ""
  local fields = {}
  for word in (text:match "^.*%)(.*)$" or ""):gmatch "%S+" do fields[#fields + 1] = word end
  return tonumber(fields[12]) or 0, tonumber(fields[13]) or 0
end

--- What its threads ran, in seconds; nil where the kernel does not say.
local function run_time(pid)
  local pipe = io.popen(("cat /proc/%d/task/*/schedstat 2>/dev/null"):format(pid))
  local sum, seen = 0, false
  for line in pipe:lines() do
    sum, seen = sum + (tonumber(line:match "^%d+") or 0) * 1e-9, true
  end
  pipe:close()
  return seen and sum or nil
end

--- Seconds of CPU used up to now.
---@return table { total, user, kernel }
function cpu.times(pid)
  local sum = { total = 0, user = 0, kernel = 0 }
  for _, member in ipairs(family(pid)) do
    local user, kernel = ticks(member)
    sum.user = sum.user + user * TICK
    sum.kernel = sum.kernel + kernel * TICK
    sum.total = sum.total + (run_time(member) or (user + kernel) * TICK)
  end
  return sum
end

local function sum_status(pid, pattern)
  local sum = 0
  for _, member in ipairs(family(pid)) do
    local text = files.read(("/proc/%d/status"):format(member)) or ""
    sum = sum + (tonumber(text:match(pattern)) or 0)
  end
  return sum
end

--- KiB of resident memory.
function cpu.rss(pid) return sum_status(pid, "VmRSS:%s*(%d+)") end

--- KiB that were resident at most since `forget_peak`.
function cpu.peak(pid) return sum_status(pid, "VmHWM:%s*(%d+)") end

function cpu.forget_peak(pid)
  for _, member in ipairs(family(pid)) do
    files.write(("/proc/%d/clear_refs"):format(member), "5")
  end
end

--- KiB of memory, of what is shared with others its part.
function cpu.pss(pid)
  local sum = 0
  for _, member in ipairs(family(pid)) do
    local text = files.read(("/proc/%d/smaps_rollup"):format(member)) or ""
    sum = sum + (tonumber(text:match "\nPss:%s*(%d+)") or 0)
  end
  return sum
end

--- How many descriptors are open.
function cpu.fds(pid)
  local sum = 0
  for _, member in ipairs(family(pid)) do sum = sum + (proc.fds(member) or 0) end
  return sum
end

return cpu
