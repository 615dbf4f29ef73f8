--- Asks the Makefile what it knows, so that no list stands twice.

local command = require "spec.support.command"

local make = {}

--- The value of a variable of the Makefile.
---@param name string
---@param variant? string plain unless given
function make.value(name, variant)
  local result = command.run({ "make", "-s", "print-" .. name }, {
    env = { MAKEFLAGS = false, MFLAGS = false, MAKELEVEL = false, VARIANT = variant or false },
  })

  assert(result.status == 0, result.stderr)
  return (result.stdout:gsub("%s+$", ""))
end

--- The words of a variable.
function make.list(name, variant)
  local words = {}

  for word in make.value(name, variant):gmatch "%S+" do words[#words + 1] = word end
  return words
end

return make
