--- Chromium, driven by a script of spec/browser with playwright-core from npm.
--
-- `make browser` puts playwright-core into the build folder.
-- Failure: raises with what the script wrote.

local command = require "spec.support.command"
local npm = require "spec.support.npm"

local browser = {}

--- Runs one scenario of `spec/browser/<script>.js` against a server.
function browser.play(script, url, scenario)
  local result = command.run({ "node", "spec/browser/" .. script .. ".js", url, scenario }, {
    env = { NODE_PATH = npm.modules("browser", "playwright-core") },
    timeout = 90,
  })

  if result.status ~= 0 then error(scenario .. ": " .. result.stderr .. result.stdout, 2) end
end

return browser
