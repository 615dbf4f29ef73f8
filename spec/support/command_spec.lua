local command = require "spec.support.command"

describe("spec.support.command #once", function()
  describe("run()", function()
    it("collects status and both outputs", function()
      local result = command.run { "sh", "-c", "echo out; echo err >&2; exit 7" }

      assert.are.equal(7, result.status)
      assert.are.equal("out\n", result.stdout)
      assert.are.equal("err\n", result.stderr)
    end)

    it("tells a death by signal as 128 plus its number", function()
      assert.are.equal(137, command.run({ "sh", "-c", "kill -9 $$" }).status)
    end)

    it("sets and removes variables, and never hands a preload on", function()
      local result = command.run({ "sh", "-c", "echo $A-$HOME-$LD_PRELOAD-" }, {
        env = { A = "1", HOME = false },
      })

      assert.are.equal("1---\n", result.stdout)
    end)

    it("raises for a program that is not there", function()
      assert.error_matches(function() command.run { "no-such-program" } end, "No such file")
    end)

    it("kills at the deadline, and raises with what was written", function()
      assert.error_matches(function()
        command.run({ "sh", "-c", "echo started; exec sleep 60" }, { timeout = 0.2 })
      end, "still ran after 0.2 s; it wrote:\nstarted")
    end)

    it("gives an empty standard input", function()
      assert.are.equal("", command.run({ "cat" }).stdout)
    end)
  end)
end)
