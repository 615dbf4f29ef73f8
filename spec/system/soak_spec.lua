--- Load of every kind with faults of every kind at random: the short form of `make soak-faults`.

local faults = require "spec.soak.faults"
local scale = require "spec.support.scale"
local soak = require "spec.soak.soak"

local SECONDS = scale(6, 60) -- that faults are caused for; each happens at least once

describe("load with faults", function()
  it("loses no request but with the worker or the runtime that had it", function()
    local seed = tonumber(os.getenv "LQ_SEED") or os.time()

    local result = soak.run { seconds = SECONDS, seed = seed }

    assert.are.equal(0, #result.problems, soak.text(result))
    assert.are.equal(0, result.reset)
    assert.are.equal(0, result.counts.refused)
    assert.is_true(result.counts.answered > 1000, soak.text(result))
    for _, kinds in ipairs { faults.mild, faults.abrupt } do
      for name in pairs(kinds) do
        assert.is_true(name == "full_disk" or result.caused[name] ~= nil, name)
      end
    end
  end)
end)
