--- Chromium, driven by a script of spec/browser with playwright-core from npm.
--
-- `make browser` puts playwright-core into the build folder.
-- Failure: raises with what the script wrote.

local command = require "spec.support.command"
local core = require "spec.support.core"

local browser = {}

--- Where playwright-core is: in the top build folder, whatever the variant.
local function modules()
  for _, folder in ipairs { core.build, core.build .. "/.." } do
    local path = core.absolute(folder .. "/browser/node_modules")
    local file = io.open(path .. "/playwright-core/package.json")
    if file then
      file:close()
      return path
    end
  end
  error("playwright-core is not in the build folder: make browser", 3)
end

--- Runs one scenario of `spec/browser/<script>.js` against a server.
function browser.play(script, url, scenario)
  local result = command.run({ "node", "spec/browser/" .. script .. ".js", url, scenario }, {
    env = { NODE_PATH = modules() },
    timeout = 90,
  })

  if result.status ~= 0 then error(scenario .. ": " .. result.stderr .. result.stdout, 2) end
end

return browser
