local wait = require "spec.support.wait"

describe("spec.support.wait #once", function()
  describe("till()", function()
    it("returns what the function returns once that is true", function()
      local calls = 0

      local result = wait.till(function()
        calls = calls + 1
        return calls == 3 and "third"
      end)

      assert.are.equal("third", result)
    end)

    it("raises at the deadline and says what was awaited", function()
      assert.has_error(function() wait.till(function() end, 0.01, "rain") end,
        "waited 0.01 s for rain")
    end)
  end)
end)
