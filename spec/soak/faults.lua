--- The faults that a soak causes from outside, and what each is to do.
--
-- Each is called with the soak (see soak.lua), causes one fault, and returns when it is over:
-- every wait has a deadline. What ends otherwise than it should raises.
--
-- `mild` ones leave the runtime and every connection in peace; those that are `abrupt` take a
-- worker's or the runtime's connections along, and tell the soak so.

local command = require "spec.support.command"
local proc = require "spec.proc"
local socket = require "socket"
local wait = require "spec.support.wait"

local KILL, ABRT, HUP, USR1 = 9, 6, 1, 10
local SECONDS = 30 -- for a successor to answer

local faults = { mild = {}, abrupt = {} }
local mild, abrupt = faults.mild, faults.abrupt

-- ---- what they share -------------------------------------------------------

local function expect(what, res, status)
  local got = res and res.status
  if got ~= status then
    error(("%s was answered %s instead of %s"):format(what, got, status), 0)
  end
end

--- Asks for `path` on a connection whose worker is known.
---@return table? response
---@return string the worker's name
local function ask(soak, path)
  local conn <close> = soak.app:connect { timeout = SECONDS }
  local first = assert(conn:request("GET", "/echo/1"))
  return conn:request("GET", path), assert(first:header "By")
end

--- Asks for what ends the worker; waits for its successor.
local function replaced(soak, path, status)
  local res, name = ask(soak, path)
  expect(path, res, status)
  soak:wait_successor(name, SECONDS)
end

--- The same, where the worker takes its connections along.
local function broken(soak, path, status)
  local death = soak:begin_death {}
  local conn <close> = soak.app:connect { timeout = SECONDS }
  death.name = assert(assert(conn:request("GET", "/echo/1")):header "By")
  expect(path, conn:request("GET", path), status)
  if status then conn:is_closed(SECONDS) end
  death.to = proc.now()
  soak:lose_worker(death)
  soak:wait_successor(death.name, SECONDS)
end

local function put(soak, text)
  local path = soak.app.folder .. "/app.lua"
  local file = assert(io.open(path .. ".new", "wb"))
  assert(file:write(text))
  assert(file:close())
  assert(os.rename(path .. ".new", path))
end

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

-- ---- one request, one worker -----------------------------------------------

function mild.loop(soak) expect("/loop", ask(soak, "/loop"), 503) end
function mild.swallow(soak) expect("/swallow", ask(soak, "/swallow"), 503) end

--- What the load has just left behind may be collected then: the heap may fall below the mark.
function mild.keep(soak)
  local conn <close> = soak.app:connect { timeout = SECONDS }
  local name = assert(assert(conn:request("GET", "/echo/1")):header "By")

  for _ = 1, 20 do
    local res = conn:request("GET", "/keep")
    if not res then break end
    expect("/keep", res, 503)
    if res:header "Connection" == "close" then break end
  end
  soak:wait_successor(name, SECONDS)
end

function mild.stop(soak) replaced(soak, "/stop", 200) end
function mild.exit(soak) replaced(soak, "/exit", 500) end

function abrupt.panic(soak) broken(soak, "/panic", nil) end
function abrupt.spoil(soak) broken(soak, "/spoil", 200) end
function abrupt.stuck(soak) broken(soak, "/stuck", nil) end

-- ---- reloads ---------------------------------------------------------------

function mild.reload(soak)
  local process, generation = soak:newest()
  proc.kill(soak.app.pid, HUP)
  soak:wait_generation(process, generation + 1, SECONDS)
end

--- The new code says that it was there, and breaks.
function mild.broken_reload(soak)
  local good, mark = command.read_file(soak.app.folder .. "/app.lua"), soak.app.folder .. "/mark"

  put(soak, ("io.open(%q, 'w'):close() error 'broken'"):format(mark))
  proc.kill(soak.app.pid, HUP)
  wait.till(function() return exists(mark) end, SECONDS, "the broken code to be read")
  put(soak, good)
  os.remove(mark)
end

-- ---- the log ---------------------------------------------------------------

function mild.removed_log(soak)
  os.remove(soak.log_path)
  wait.till(function() return exists(soak.log_path) end, SECONDS, "the log file to be made again")
end

function mild.moved_log(soak)
  os.rename(soak.log_path, soak.log_path .. ".moved")
  proc.kill(soak.app.pid, USR1)
  wait.till(function() return exists(soak.log_path) end, SECONDS, "the log file to be opened again")
  os.remove(soak.log_path .. ".moved")
end

function mild.full_disk(soak)
  if not soak.disk then return "skipped" end
  soak.disk:fill()
  mild.loop(soak)
  soak.disk:free()
end

-- ---- the runtime -----------------------------------------------------------

--- Ends it; the next one answers. The guard gives up at the fifth death within ten seconds.
local function end_runtime(soak, signal)
  local process = soak:newest()
  local death = soak:begin_death { process = process }

  proc.kill(process, signal)
  soak:wait_runtime(process, SECONDS)
  death.to = proc.now()
  socket.sleep(2.5)
end

function abrupt.kill(soak) end_runtime(soak, KILL) end
function abrupt.crash(soak) end_runtime(soak, ABRT) end

function abrupt.kill_while_it_reloads(soak)
  proc.kill(soak.app.pid, HUP)
  end_runtime(soak, KILL)
end

return faults
