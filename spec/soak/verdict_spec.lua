--- The judgement of a soak: what explains an end, what counts as a restart, what growth is.

local verdict = require "spec.soak.verdict"

local function ending(name, at, since)
  return { name = name, at = at, since = since or at - 0.1, count = 1, what = "echo" }
end

describe("spec.soak.verdict", function()
  describe("unexplained()", function()
    local panic = { from = 10, to = 10.1, name = "7.1.2.0" }
    local kill = { from = 20, to = 20.1, process = 7 }

    it("is empty when each end is that of the worker or of the runtime that died", function()
      local ends = { ending("7.1.2.0", 10.05), ending("7.1.1.0", 20.05), ending("-", 10.05) }

      assert.are.same({}, verdict.unexplained(ends, { panic, kill }))
    end)

    it("has those of another worker, of another runtime, and of another time", function()
      local ends = {
        ending("7.1.1.0", 10.05), ending("7.1.2.1", 10.05), ending("8.1.2.0", 20.05),
        ending("7.1.2.0", 9.9), ending("7.1.2.0", 15), ending("-", 15), ending("-", 10.5, 10.2),
      }

      assert.are.same(ends, verdict.unexplained(ends, { panic, kill }))
    end)
  end)

  it("unexplained() has new connections of a runtime that leaves, and not its idle ones", function()
    local leaving = { from = 10, to = 20, process = 7, leaves = true }
    local new = ending("-", 12)

    assert.are.same({ new }, verdict.unexplained({ ending("7.1.2.0", 12), new }, { leaving }))
  end)

  it("read() takes the lines of the load apart", function()
    local found = verdict.read [[
by 7.1.2.0 1.5
at 2.0 100 98
end 3.0 2.9 - 2 wait: Connection reset by peer
wrong 4.0 3.9 7.1.2.0 1 echo: status 500, 7 bytes
sent 100
wrong 1
]]

    assert.are.same({ "7.1.2.0" }, found.workers)
    assert.are.same({ { at = 2, sent = 100 } }, found.samples)
    assert.are.same({ at = 3, since = 2.9, name = "-", count = 2,
      what = "wait: Connection reset by peer" }, found.ends[1])
    assert.are.equal("7.1.2.0", found.wrong[1].name)
    assert.are.same({ sent = 100, wrong = 1 }, found.counts)
  end)

  it("restarts() counts runtimes, generations and workers that came later", function()
    local names = { "7.1.1.0", "7.1.2.0", "7.1.2.1", "7.1.2.3", "7.2.1.0", "7.2.2.0", "8.1.1.0",
      "8.1.1.1" }

    assert.are.same({ runtimes = 1, reloads = 1, workers = 4 }, verdict.restarts(names))
  end)

  it("slope() follows growth and not what comes and goes", function()
    local xs, flat, grows = {}, {}, {}
    for i = 1, 50 do
      xs[i] = i
      flat[i] = 100 + (i % 7 == 0 and 30 or 0)
      grows[i] = flat[i] + 2 * i
    end

    assert.is_true(math.abs(verdict.slope(xs, flat)) < 0.1)
    assert.is_true(math.abs(verdict.slope(xs, grows) - 2) < 0.1)
  end)
end)
