--- Every allocation fails once: of a start, of each exchange, of a stop.
--
-- The program is that of VARIANT=allocfail, with the address and the undefined sanitizer, so that
-- what leaks or is used too late shows. A point is one allocation at which memory ends: for that
-- one, for two (Lua tries again after a collection) or for all that follow.
--
-- A point is good when the start refuses with status 1 and one message; when the request is
-- answered, with 500 or 503 if not as usual, or its connection ends, and the next one is served by
-- the same worker; when a worker is replaced and code is reloaded once there is memory again; when
-- the stop ends with status 0 in time; and nothing is left behind. A test takes samples; with
-- LQ_SCALE=100 (make soak) every allocation has its turn.

local alloc_fail = require "spec.support.alloc_fail"
local app_of = require "spec.support.alloc_fail_app"
local pg = require "spec.support.postgres"
local proc = require "spec.proc"
local scale = require "spec.support.scale"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

local COUNTS = { 1, 2, alloc_fail.ALL }
local HANGS = 5 -- seconds; what takes longer waits for something that never comes
local NO_MEMORY = { "not enough memory", "Cannot allocate memory", "ENOMEM" }
-- What the program writes when it has not survived.
local FATAL = { "Sanitizer", "runtime error", "panic", "broken", "assertion", "left open", "stuck",
  "still ran" }

-- In one process, in which whatever dies is missed; under a guard; with two workers, of which one
-- hands connections to the other, and a record of each request.
local ALONE = { args = { "--no-respawn", "--option", "key=value" } }
local GUARDED = { args = { "--option", "key=value" } }
local MANY = { args = { "--no-respawn", "--access-log", "--log-format", "json" }, workers = 2 }

local postgres -- what the app asks

local function options(plan, how)
  return {
    source = app_of.source,
    files = app_of.files,
    binary = alloc_fail.binary,
    env = { LQ_ALLOC_FAIL = plan.path, LQ_SPEC_DB = postgres.url },
    args = how.args,
    workers = how.workers,
    timeout = HANGS,
  }
end

--- The word in `text` that tells of a death, if any.
local function fatal_word(text)
  for _, word in ipairs(FATAL) do
    if text:find(word, 1, true) then return word end
  end
end

local function tells_of_memory(text)
  for _, words in ipairs(NO_MEMORY) do
    if text:find(words, 1, true) then return true end
  end
end

--- Collects what is wrong, point by point.
local function new_report(what)
  local report = { what = what, points = 0, wrong = {} }

  function report:check(n, count, fault)
    self.points = self.points + 1
    if not fault then return end
    self.wrong[#self.wrong + 1] = ("%s, allocation %d (%s): %s"):format(self.what, n,
      count == alloc_fail.ALL and "and all behind it" or count .. " in a row", fault)
  end

  function report:finish()
    if os.getenv "LQ_VERBOSE" then print(("%s: %d points"):format(self.what, self.points)) end
    assert(self.points > 0, "no point at all")
    assert(#self.wrong == 0, ("%d of %d points are wrong; the first ones:\n%s"):format(#self.wrong,
      self.points, table.concat(self.wrong, "\n\n", 1, math.min(#self.wrong, 3))))
  end

  return report
end

--- Calls `fn(n)` for at most `most` numbers from 1 to `last`, evenly spread.
local function spread(last, most, fn)
  local step = math.max(1, last // most)

  for n = 1, last, step do fn(n) end
end

--- Stops it; what is wrong with its end, or nil.
local function stop_fault(app)
  local began = proc.now()
  local ok, status, log = pcall(app.stop, app, { status = false, timeout = HANGS })
  local text = ok and log or tostring(status)

  if not ok then return text end
  if fatal_word(text) then return text end
  if status ~= 0 then return ("status %d: %s"):format(status, text) end
  if proc.now() - began > HANGS then return "the stop took too long" end
end

-- ---- the start ------------------------------------------------------------------------------

--- What is wrong with a start that has ended.
local function refusal_fault(ending)
  local text = ending.stderr
  local _, messages = text:gsub("%f[^\n\0]luaqueduct: ", "")
  local _, losses = text:gsub("luaqueduct: %d+ records of the log were lost: ", "")

  if ending.status ~= 1 then return ("status %s: %s"):format(ending.status, text) end
  if fatal_word(text) then return text end
  if messages - losses ~= 1 then return messages .. " messages: " .. text end
  if not tells_of_memory(text) then return "it does not speak of memory: " .. text end
end

local function try_start(how, n, count)
  local plan <close> = alloc_fail.plan()
  plan:arm(n, count)
  local app, ending = server.try(options(plan, how))

  if not app then return refusal_fault(ending) end
  plan:disarm()
  local res = app:get("/", { timeout = HANGS })
  if not res or res.body ~= "ok" then
    app:kill()
    return "it has started and does not serve: " .. app:log()
  end
  return stop_fault(app)
end

-- ---- an exchange ----------------------------------------------------------------------------

--- The answers of a text, which a pipeline puts behind each other.
local function answers_of(text)
  local answers = {}

  for answer in (text .. ", "):gmatch "(.-), " do answers[#answers + 1] = answer end
  return answers
end

--- What is wrong with what came of an exchange, of which `failed` allocations failed: each answer
--- is as it is told, or 500 or 503.
local function exchange_fault(exchange, failed, text, err)
  if text == exchange.told then return nil end
  if failed == 0 then return ("nothing failed, but: %s"):format(text or err) end
  if not text then return err ~= "closed" and err or nil end
  local told = answers_of(exchange.told)
  for i, answer in ipairs(answers_of(text)) do
    if answer ~= told[i] and not answer:find "^50[03]%f[^%d]" then return text end
  end
end

local function talk(app, exchange)
  local conn <close> = app:connect { timeout = HANGS }

  return exchange.talk(conn, app)
end

--- One exchange on a connection of its own, and then a request on another one.
---@return string? fault
---@return integer failed how many allocations
local function try_exchange(app, plan, exchange, n, count)
  plan:arm(n, count)
  local _, text, err = pcall(talk, app, exchange)
  local _, failed = plan:disarm()
  local fault = exchange_fault(exchange, failed, text, err)
  if fault then return fault, failed end

  local is_there, res, next_err = pcall(app.get, app, "/", { timeout = HANGS })
  if not is_there then return res, failed end
  if not res or res.body ~= "ok" then
    return "the next request: " .. (res and res.status or next_err), failed
  end
  return nil, failed
end

--- How many allocations a first exchange asks for.
local function count_first(exchange)
  local plan <close> = alloc_fail.plan()
  local app <close> = server.start(options(plan, ALONE))

  plan:arm(0)
  local conn <close> = app:connect()
  assert.are.equal(exchange.told, exchange.talk(conn, app))
  return (plan:disarm())
end

--- The first exchange of a server: nothing is pooled yet.
local function try_first(exchange, n, count)
  local plan <close> = alloc_fail.plan()
  local app = server.start(options(plan, ALONE))
  local fault = try_exchange(app, plan, exchange, n, count)

  if fault then
    app:kill()
    return fault .. "\n" .. app:log()
  end
  return stop_fault(app)
end

--- One server for every point of an exchange; of one that takes long every `step`th, unless there
--- is time for all.
local function try_all(how, exchange, report)
  local plan <close> = alloc_fail.plan()
  local app = server.start(options(plan, how))
  local step = math.max(1, (exchange.step or 1) // scale(1))

  for _, count in ipairs(COUNTS) do
    local n = 1 - step
    repeat
      n = n + step
      local fault, failed = try_exchange(app, plan, exchange, n, count)
      report:check(n, count, fault)
    until fault or failed == 0
  end
  report:check(0, 0, stop_fault(app))
end

-- ---- the stop -------------------------------------------------------------------------------

local function try_stop(how, n, count)
  local plan <close> = alloc_fail.plan()
  local app = server.start(options(plan, how))
  app:get "/wait"

  plan:arm(n, count)
  return stop_fault(app)
end

local function count_stop(how)
  local plan <close> = alloc_fail.plan()
  local app = server.start(options(plan, how))

  plan:arm(0)
  app:stop()
  return (plan:counts())
end

local function count_start(how)
  local plan <close> = alloc_fail.plan()
  local app = server.start(options(plan, how))
  local asked = plan:counts()

  app:stop()
  return asked
end

-- ---- workers and code that are replaced -----------------------------------------------------

local SOON = { timeout = 0.5 }

--- Who answers: generation and restarts; nil when nobody does.
local function life_of(app)
  local ok, res = pcall(app.get, app, "/life", SOON)

  if ok and res and res.status == 200 then return res.body end
end

local function end_worker(app) pcall(app.get, app, "/end", SOON) end
local function hang_up(app) app:signal "HUP" end

local changes = {
  { name = "a worker that is replaced", begin = end_worker },
  { name = "a reload", begin = hang_up },
}

--- Whether somebody else serves; one that could not begin is begun again.
local function is_over(change, app)
  local life = life_of(app)

  if life == "1 0" then change.begin(app) end
  return life and life ~= "1 0"
end

--- Memory fails while it is under way, and is back then.
local function undergo(app, plan, change)
  change.begin(app)
  wait.till(function() return select(2, plan:counts()) > 0 or is_over(change, app) end, HANGS,
    change.name)
  plan:disarm()
  wait.till(function() return is_over(change, app) end, HANGS, change.name .. ", with memory")
end

local function try_change(change, n, count)
  local plan <close> = alloc_fail.plan()
  local app = server.start(options(plan, GUARDED))

  plan:arm(n, count)
  local ok, err = pcall(undergo, app, plan, change)
  if ok then return stop_fault(app) end
  local asked, failed = plan:counts()
  app:kill()
  return ("%s (%d asked, %d failed)\n%s"):format(err, asked, failed, app:log())
end

local function count_change(change)
  local plan <close> = alloc_fail.plan()
  local app <close> = server.start(options(plan, GUARDED))

  plan:arm(0)
  change.begin(app)
  wait.till(function() return is_over(change, app) end, HANGS, change.name)
  return (plan:counts())
end

describe("an allocation that fails #once", function()
  setup(function() postgres = pg.start() end)
  teardown(function() postgres:stop() end)

  it("in a start lets it refuse, or go on", function()
    local report, last = new_report "the start", count_start(ALONE)

    for _, count in ipairs(COUNTS) do
      spread(last, scale(60), function(n) report:check(n, count, try_start(ALONE, n, count)) end)
    end
    report:finish()
  end)

  it("in a start under a guard does, too", function()
    local report, last = new_report "the start under a guard", count_start(GUARDED)

    spread(last, scale(20), function(n) report:check(n, 2, try_start(GUARDED, n, 2)) end)
    report:finish()
  end)

  for _, exchange in ipairs(app_of.exchanges) do
    it("in the first exchange costs no more than that: " .. exchange.name, function()
      local report, last = new_report(exchange.name), count_first(exchange)

      for _, count in ipairs(COUNTS) do
        spread(last, scale(5), function(n)
          report:check(n, count, try_first(exchange, n, count))
        end)
      end
      report:finish()
    end)
  end

  for _, exchange in ipairs(app_of.exchanges) do
    it("in an exchange costs no more than that: " .. exchange.name, function()
      local report = new_report(exchange.name)

      for _, how in ipairs { ALONE, MANY } do try_all(how, exchange, report) end
      report:finish()
    end)
  end

  for _, change in ipairs(changes) do
    it("delays it at most: " .. change.name, function()
      local report, last = new_report(change.name), count_change(change)

      for _, count in ipairs(COUNTS) do
        spread(last, scale(5), function(n)
          report:check(n, count, try_change(change, n, count))
        end)
      end
      report:finish()
    end)
  end

  it("in a stop lets it end in time all the same", function()
    local report = new_report "the stop"

    for _, how in ipairs { ALONE, GUARDED, MANY } do
      local last = count_stop(how)
      for _, count in ipairs(COUNTS) do
        spread(last, scale(5), function(n) report:check(n, count, try_stop(how, n, count)) end)
      end
    end
    report:finish()
  end)
end)
