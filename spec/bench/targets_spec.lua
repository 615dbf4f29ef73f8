--- The judgement of the benchmark: medians, spreads, ratios inside a round, targets.

require "spec.support.core"

local measures = require "spec.bench.measures"
local stats = require "spec.bench.stats"
local targets = require "spec.bench.targets"

local function target(id)
  for _, each in ipairs(targets.list) do
    if each.id == id then return each end
  end
end

--- A point with the same figure in every round.
local function point(fields)
  local result = {}
  for name, value in pairs(fields) do
    result[name] = type(value) == "table" and value or {}
    if type(value) ~= "table" then
      for i = 1, 20 do result[name][i] = value end
    end
  end
  return result
end

describe("the statistics of the benchmark #once", function()
  it("take median and quartiles between two values where none is in the middle", function()
    local odd, even = stats.summary { 5, 1, 3, 2, 4 }, stats.summary { 4, 1, 3, 2 }
    assert.same({ median = 3, iqr = 2, count = 5 }, odd)
    assert.same({ median = 2.5, iqr = 1.5, count = 4 }, even)
  end)

  it("leave the list in its order", function()
    local list = { 3, 1, 2 }
    stats.summary(list)
    assert.same({ 3, 1, 2 }, list)
  end)

  it("divide inside each round", function()
    -- Both double in the second round: the ratio does not notice.
    assert.same({ median = 1.5, iqr = 0, count = 2 }, stats.ratio({ 3, 6 }, { 2, 4 }))
  end)

  it("skip what cannot be divided", function()
    assert.equal(1, stats.ratio({ 3, 6 }, { 0, 4 }).count)
    assert.is_nil(stats.ratio({ 3 }, { 0 }))
  end)
end)

describe("the measures of the benchmark #once", function()
  it("spread user time over the requests of all rounds", function()
    local one = { user = { 0.5, 0.1 }, requests = { 400000, 200000 } }
    assert.near(1.0, measures.split(one, "user"), 1e-9)
  end)

  it("are absent when a server is", function()
    assert.is_nil(measures.ratio("rps", nil, point { rps = 1 }))
    assert.is_nil(measures.user_ratio(point { user = 1 }, nil))
  end)
end)

describe("the targets of the benchmark #once", function()
  local function judge(id, own, peer_name, peer)
    local scenario = id:match "^%w+"
    return targets.judge(target(id), { [scenario] = { luaqueduct = point(own),
      [peer_name] = point(peer) } })
  end

  it("hold at the limit and miss above it", function()
    local peer = { cpu_us = 100 }
    assert.is_true(judge("plain-cpu-raw", { cpu_us = 115 }, "raw", peer).holds)
    assert.is_false(judge("plain-cpu-raw", { cpu_us = 116 }, "raw", peer).holds)
  end)

  it("allow half the interquartile range, no more", function()
    -- Ratios 1.1 to 1.3 in five steps of 0.05: the range is 0.1.
    local own = { cpu_us = { 110, 115, 120, 125, 130 } }
    local peer = { cpu_us = 100 }
    local verdict = judge("plain-cpu-raw", own, "raw", peer)
    assert.near(1.2, verdict.median, 1e-9)
    assert.near(0.1, verdict.iqr, 1e-9)
    assert.is_true(verdict.holds)
    own.cpu_us[3] = 120.1
    assert.is_false(judge("plain-cpu-raw", own, "raw", peer).holds)
  end)

  it("that are a least are missed below it", function()
    assert.is_true(judge("json-rps-node", { rps = 20 }, "node", { rps = 10 }).holds)
    assert.is_false(judge("json-rps-node", { rps = 19 }, "node", { rps = 10 }).holds)
  end)

  it("say when too little was measured", function()
    local short = judge("plain-cpu-raw", { cpu_us = { 1, 1 } }, "raw", { cpu_us = { 1, 1 } })
    local own = { user = 1, requests = 1e6, seconds = 2 }
    local brief = judge("plain-user-nginx", own, "nginx", own)
    own.seconds = 3
    assert.equal("rounds: 2 of 15", short.caution)
    assert.equal("over 40 s of 60", brief.caution)
    assert.is_nil(judge("plain-user-nginx", own, "nginx", own).caution)
  end)

  it("of the log compare what it costs with what it would be without", function()
    local log = {
      without = point { rps = 100, p99_ms = 1 },
      file = point { rps = 94, p99_ms = 1 },
      stalled = point { rps = 100, p99_ms = 1.1 },
      queue = { 2e6, 1e6, 1e6 },
    }
    local function verdict(id) return targets.judge(target(id), { log = log }) end

    assert.is_false(verdict("log-rps").holds)
    assert.is_false(verdict("log-p99-stalled").holds)
    assert.is_true(verdict("log-queue").holds)
    log.file = point { rps = 95, p99_ms = 1.1 }
    assert.is_true(verdict("log-rps").holds)
    assert.is_true(verdict("log-p99-stalled").holds)
    log.queue = { 9e5 }
    assert.is_false(verdict("log-queue").holds)
  end)

  it("of connections that stay are about luaqueduct, alone and over three runtimes", function()
    local own = { bytes = 640, further = 700, lost = 0, closed = 0, p99 = 3 }
    local shared = { bytes = 700, lost = 0, closed = 1, p99 = 21 }
    local tcp = { luaqueduct = own, shared = shared, node = { bytes = 5000 } }
    local function verdict(id) return targets.judge(target(id), { connections = { tcp = tcp } }) end

    for _, name in ipairs { "bytes", "flat", "p99" } do
      assert.is_true(verdict("tcp-" .. name).holds)
    end
    for _, name in ipairs { "shared", "lost", "shared-p99" } do
      assert.is_false(verdict("tcp-" .. name).holds)
    end
    own.further = 720
    assert.is_false(verdict("tcp-flat").holds)
    assert.is_nil(verdict "ws-bytes")
  end)

  it("of an echo compare the CPU of a message", function()
    local function verdict(own)
      return targets.judge(target "echo-cpu-raw", { echo = { raw = point { cpu_us = 10 },
        luaqueduct = point { cpu_us = own } } })
    end

    assert.is_true(verdict(15).holds)
    assert.is_false(verdict(16).holds)
  end)

  it("of a message to all compare deliveries, alone and in a row", function()
    local fanout = {
      one = { node = point { rate = 10 }, luaqueduct = point { rate = 20 } },
      row = { node = point { rate = 10 }, luaqueduct = point { rate = 19 } },
    }

    assert.is_true(targets.judge(target "fanout-one", { fanout = fanout }).holds)
    assert.is_false(targets.judge(target "fanout-row", { fanout = fanout }).holds)
  end)

  it("are not judged when nothing was measured", function()
    for _, each in ipairs(targets.list) do assert.is_nil(targets.judge(each, {})) end
  end)
end)
