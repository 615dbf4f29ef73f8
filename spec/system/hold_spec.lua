--- Peers by the thousand that hold what they can: little each, and not for long.

local load = require "spec.support.load"
local scale = require "spec.support.scale"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

-- In a soak long enough for a pulse of a thousand beats: the first second, in which all of them
-- come at once, is not what the goal is about.
local SECONDS = load.is_soak and 60 or 2

local function most(count)
  return math.min(scale(count, count * 10), load.descriptors() - 200)
end

--- Runs `count` peers beside a pulse; `held` is called when all hold.
local function hold(app, name, count, held)
  local before = { rss = app:rss(), fds = app:fds() }
  local pulse <close> = load.start(app, "pulse")
  local peers <close> = load.start(app, name, count, count)

  peers:wait_held()
  if held then held() end
  local grown = app:rss() - before.rss
  local results = peers:results()
  wait.till(function() return app:fds() <= before.fds + 1 end, 10, "the descriptors")
  assert.are.equal(count, results.peers)
  return grown, results, pulse:stop()
end

for _, workers in ipairs { 1, 4 } do
  describe(("peers that hold, %d workers"):format(workers), function()
    it("half a request take 10 KiB at most and are gone a second after the limit", function()
      local count = most(1000)
      local app <close> = server.start { app = load.app, workers = workers, args = {
        "--header-timeout", tostring(SECONDS), "--body-timeout", tostring(SECONDS) } }

      local grown, results, beats = hold(app, "half", count)

      assert.is_true(grown <= load.limit(count * 10, count * 10 + 2048), grown .. " KiB")
      assert.is_true(results.first_end > SECONDS - 0.5, results.first_end)
      assert.is_true(results.last_end <= SECONDS + load.limit(1.5, 3), results.last_end)
      assert.is_true(beats.p99 < load.limit(20, 500), beats.p99 .. " ms")
      app:stop { status = 0 }
    end)

    for _, name in ipairs(workers == 4 and { "plain", "streams" } or {}) do
      it(("all they can, %s, and never read, take 100 KiB at most"):format(name), function()
        local count = most(100)
        local app <close> = server.start { app = load.app, workers = workers, args = {
          "--write-timeout", tostring(SECONDS) } }

        local grown, results, beats = hold(app, name, count)

        assert.is_true(grown <= load.limit(count * 100, count * 100 + 4096), grown .. " KiB")
        assert.are.equal(count, results.resets)
        assert.is_true(results.last_end < SECONDS + 10, results.last_end)
        assert.is_true(beats.p99 < load.limit(10, 500), beats.p99 .. " ms")
        app:stop { status = 0 }
      end)
    end
  end)
end
