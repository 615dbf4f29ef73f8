--- examples/devices with PostgreSQL in place of the file.

local devices = require "spec.support.devices"
local pg = require "spec.support.postgres"

describe("examples/devices with a database", function()
  local postgres, app

  setup(function() postgres = pg.start() end)
  teardown(function() postgres:stop() end)
  before_each(function()
    postgres:psql "drop table if exists readings"
    app = devices.start("/nowhere/readings", nil, postgres.url)
  end)
  after_each(function() app:stop() end)

  local function stored()
    return (postgres:psql [[select coalesce(string_agg(device || ':' || seq || '=' || value, ' '
      order by id), '') from readings]]:gsub("%s+$", ""))
  end

  it("stores readings there, and goes on behind them after a start", function()
    do
      local device <close> = devices.greet(app, "oven")
      for value = 1, 3 do device:report(value) end
      device:settle()
    end
    assert.matches("oven:1=1 oven:2=2 oven:3=3", stored())

    app:stop { status = 0 }
    app = devices.start("/nowhere/readings", nil, postgres.url)

    local device <close> = devices.greet(app, "oven")
    assert.are.equal(3, device.seq)
    device:report(4)
    device:settle()
    assert.matches("oven:1=1 oven:2=2 oven:3=3 oven:4=4", stored())
  end)

  it("keeps readings while it is away, each once", function()
    local device <close> = devices.greet(app, "oven")
    device:report(1)
    device:settle()

    postgres:kill()
    for value = 2, 9 do device:report(value) end
    app:wait_log "readings cannot be stored"
    postgres:start()

    device:settle()
    local expected = {}
    for i = 1, 9 do expected[i] = ("oven:%d=%d"):format(i, i) end
    assert.matches(table.concat(expected, " "), stored())
  end)
end)
