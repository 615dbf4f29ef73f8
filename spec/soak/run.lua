--- Soaks for a given time and prints the counts; `make soak-faults` calls this.
--
-- Run: lua5.4 spec/soak/run.lua SECONDS [SEED], from the top folder. Exit status 1 when a request
-- failed without a reason, or memory grew.

require "spec.support.core"

local soak = require "spec.soak.soak"

local seconds, seed = tonumber(arg[1]), math.tointeger(arg[2]) or os.time()
if not seconds then
  io.stderr:write "usage: run.lua SECONDS [SEED]\n"
  os.exit(2, true)
end
local count = 0
io.stderr:write(("soak: %g s, seed %d\n"):format(seconds, seed))
local result = soak.run {
  seconds = seconds,
  seed = seed,
  say = function(name)
    count = count + 1
    if os.getenv "LQ_VERBOSE" then io.stderr:write(name, "\n") end
  end,
}
print(soak.text(result))
os.exit(#result.problems == 0, true)
