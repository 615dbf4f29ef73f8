--- Storms: clients that open, close and reset, send garbage, fail and leave. Nothing stays.

local load = require "spec.support.load"
local scale = require "spec.support.scale"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

local MIB = 1024

--- Runs it, and asserts that descriptors, threads and memory are as before.
local function storm(app, name, count, most_kib, at_once)
  load.run(app, name, math.max(100, count // 4), at_once) -- what grows once
  local fds, threads, rss = app:fds(), app:threads(), app:rss()

  local results = load.run(app, name, count, at_once)

  assert.are.equal(count, results.peers)
  wait.till(function() return app:fds() <= fds end, 5, "the descriptors")
  assert.are.equal(threads, app:threads())
  local grown = app:rss() - rss
  assert.is_true(grown <= (load.is_plain and most_kib or math.huge), ("%d KiB"):format(grown))
  assert.are.equal("hello", app:get("/").body)
  return results
end

for _, workers in ipairs { 1, 4 } do
  describe(("storms, %d workers"):format(workers), function()
    local app

    before_each(function() app = server.start { app = load.app, workers = workers } end)
    after_each(function() app:stop { status = 0 } end)

    it("of opening, closing and resetting leave nothing behind", function()
      storm(app, "storm", scale(10000, 1000000), 32 * MIB)
    end)

    it("of garbage get refusals, nothing behind them, and no failure", function()
      storm(app, "garbage", scale(10000, 1000000), 32 * MIB)
      assert.are.equal("", app:log())
    end)

    it("of failing requests fail no good one", function()
      -- A peer is 100 requests, one to one.
      storm(app, "mixed", scale(50, 1000), 1 * MIB, 8)
    end)

    it("of clients that leave while their handlers wait mix up nothing", function()
      storm(app, "leave", scale(1000, 20000), 32 * MIB)
      assert.are.equal("", app:log())
    end)
  end)
end
