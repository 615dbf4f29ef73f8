--- The wall clock jumps, forth and back: deadlines do not notice, dates follow.

local client = require "spec.support.client"
local command = require "spec.support.command"
local core = require "spec.support.core"
local load = require "spec.support.load"
local proc = require "spec.proc"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

local APP = [[
local aq = require "luaqueduct"
local router = aq.router()
router:get("/", function() return aq.instance.id .. " " .. aq.instance.restarts end)
router:get("/clocks", function() return ("%.3f %.3f"):format(aq.now(), aq.time()) end)
router:get("/sleep", function()
  aq.sleep(0.2)
  return "slept"
end)
router:get("/long", function()
  aq.sleep(60)
  return "slept"
end)
router:get("/loop", function() while true do end end)
router:get("/warn", function(req)
  aq.log.warn("jumped " .. req.query.n)
  return ""
end)
router:get("/stop", function()
  aq.instance:stop()
  return "stopping"
end)
return router
]]

local HOUR, DAY, YEAR = 3600, 86400, 365 * 86400
local JUMPS = {
  1, -1, 2, 0, HOUR, -HOUR, DAY, -DAY, YEAR, 0, -YEAR, 10 * YEAR, 0, 59, 61, -DAY, 5 * DAY, HOUR,
  -1, 0,
}

local Clock = { __name = "spec.clock" }
Clock.__index = Clock

--- Sets the wall clock of the server so many seconds ahead.
function Clock:set(seconds)
  local file = assert(io.open(self.path, "r+b"))
  assert(file:write(string.pack("=i8", math.tointeger(seconds))))
  assert(file:close())
  self.ahead = seconds
end

function Clock:now() return os.time() + self.ahead end

function Clock:__close() command.remove(self.folder) end

local function new_clock()
  local folder = command.folder()
  local self = setmetatable({ folder = folder, path = folder .. "/shift" }, Clock)
  local file = assert(io.open(self.path, "wb"))

  assert(file:write(("\0"):rep(8)))
  assert(file:close())
  self:set(0)
  self.env = {
    LD_PRELOAD = core.absolute(core.build .. "/spec/clock_shift.so"), LQ_CLOCK_SHIFT = self.path,
  }
  return self
end

local function start(clock, ...)
  return server.start { source = APP, workers = 2, env = clock.env, args = { ... } }
end

local function ask(conn, path)
  conn:send(client.format("GET", path))
  return assert(conn:read_response())
end

local MONTHS = {
  Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6, Jul = 7, Aug = 8, Sep = 9, Oct = 10,
  Nov = 11, Dec = 12,
}

--- "Sun, 06 Nov 1994 08:49:37 GMT" as os.time() has it.
local function parse_date(text)
  local day, month, year, hour, min, sec =
    text:match "^%a%a%a, (%d%d) (%a%a%a) (%d%d%d%d) (%d%d):(%d%d):(%d%d) GMT$"
  local at = { year = year, month = MONTHS[month], day = day, hour = hour, min = min, sec = sec }
  local there = os.time(at)
  return there + os.difftime(there, os.time(os.date("!*t", there)))
end

-- Sanitizers want to be the first library that is loaded.
describe("a wall clock that jumps #once", function()
  it("does not disturb anybody, and Date follows", function()
    local clock <close> = new_clock()
    local app <close> = start(clock, "--idle-timeout", "30", "--header-timeout", "30")
    local steady <close> = load.start(app, "steady")
    local kept <close> = app:connect()
    local half <close> = app:connect()
    half:send "GET / HTTP/1.1\r\n"

    for i, ahead in ipairs(JUMPS) do
      local sleeper <close> = app:connect()
      local began = proc.now()
      sleeper:send(client.format("GET", "/sleep"))
      clock:set(ahead)

      local res = ask(kept, "/")
      local late = clock:now() - parse_date(res:header "date")
      assert.is_true(late >= -1 and late <= 2, ("jump %d: Date is %g s late"):format(i, late))
      assert.are.equal("slept", assert(sleeper:read_response()).body)
      local took = proc.now() - began
      assert.is_true(took >= 0.19 and took < 1, ("jump %d: slept %g s"):format(i, took))
    end

    half:send "Host: x\r\n\r\n"
    assert.are.equal(200, assert(half:read_response()).status)
    local results = steady:stop()
    assert.are.equal(results.connects, results.answered)
    app:stop { status = 0 }
  end)

  it("shows in aq.time() and not in aq.now()", function()
    local clock <close> = new_clock()
    local app <close> = start(clock)
    local now, time = app:get("/clocks").body:match "(%S+) (%S+)"

    clock:set(DAY)
    local later, tomorrow = app:get("/clocks").body:match "(%S+) (%S+)"

    assert.is_true(later - now >= 0 and later - now < 10)
    assert.is_true(tomorrow - time >= DAY and tomorrow - time < DAY + 10)
    app:stop { status = 0 }
  end)

  for _, ahead in ipairs { DAY, -DAY } do
    describe(("by %d s"):format(ahead), function()
      it("leaves every deadline where it was", function()
        local clock <close> = new_clock()
        local app <close> = start(clock, "--header-timeout", "0.5", "--request-timeout", "0.5",
          "--busy-timeout", "0.3")
        local half <close> = app:connect()
        local long <close> = app:connect()
        local began = proc.now()
        half:send "GET / HTTP/1.1\r\n"
        long:send(client.format("GET", "/long"))

        clock:set(ahead)

        assert.are.equal(503, assert(long:read_response()).status)
        assert.is_true(proc.now() - began >= 0.45)
        assert.are.equal(408, assert(half:read_response()).status)
        assert.is_true(proc.now() - began < 0.5 + 2)
        clock:set(0)
        assert.are.equal(503, app:get("/loop").status)
        app:stop { status = 0 }
      end)

      it("neither holds up the log nor the next worker nor the stop", function()
        local clock <close> = new_clock()
        local app <close> = start(clock, "--drain-timeout", "0.5")

        for n = 1, 3 do
          clock:set(n % 2 * ahead)
          app:get("/warn?n=" .. n)
          app:wait_log("jumped " .. n, 2)
        end
        clock:set(ahead)
        app:get "/stop"
        wait.till(function() return app:get("/").body:match " 1$" end, 5)
        local long <close> = app:connect()
        long:send(client.format("GET", "/long"))
        wait.till(function() return #app:get("/").body > 0 end)
        app:signal "TERM"
        clock:set(-ahead)
        local began = proc.now()

        app:wait_exit(5)

        assert.is_true(proc.now() - began < 3)
        app:stop { status = 0 }
      end)
    end)
  end
end)
