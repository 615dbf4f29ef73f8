--- examples/devices in Chromium: what devices report and what pages command, over four workers.

local browser = require "spec.support.browser"
local command = require "spec.support.command"
local devices = require "spec.support.devices"

describe("the page of examples/devices", function()
  for _, case in ipairs {
    { "readings", "shows devices and what they report, as it comes and as it was" },
    { "alert", "shows an alert, and its end" },
    { "commands", "commands devices of all workers" },
    { "worker", "comes back when its worker ends" },
  } do
    it(case[2], function()
      local folder = command.folder()
      local app <close> = devices.start(folder .. "/readings")

      browser.play("devices", app.url, case[1])
      app:stop { status = 0 }
      command.remove(folder)
    end)
  end
end)
