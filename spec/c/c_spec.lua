--- Runs the C test programs: what cannot be reached from Lua.

local command = require "spec.support.command"
local core = require "spec.support.core"
local make = require "spec.support.make"

describe("spec/c", function()
  for _, name in ipairs(make.list "C_TESTS") do
    it(("passes %s_test"):format(name), function()
      local result = command.run({ ("%s/spec/%s_test"):format(core.build, name) }, { timeout = 60 })

      assert.are.equal(0, result.status, result.stdout .. result.stderr)
    end)
  end
end)
