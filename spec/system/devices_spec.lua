--- examples/devices: devices on raw sockets that behave or do not, four workers, and the file of
--- readings after all of it.

local client = require "spec.support.client"
local command = require "spec.support.command"
local devices = require "spec.support.devices"
local scale = require "spec.support.scale"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

local pack = devices.protocol.pack

describe("examples/devices with 4 workers", function()
  local folder, path

  before_each(function()
    folder = command.folder()
    path = folder .. "/readings"
  end)
  after_each(function() command.remove(folder) end)

  local function hello(changes)
    local message = { version = 1, device = "oven", secret = devices.SECRET }
    for key, value in pairs(changes or {}) do message[key] = value end
    return pack("hello", message)
  end

  local function reading(changes)
    local message = { seq = 1, time = 0, quantity = "temperature", value = 20 }
    for key, value in pairs(changes or {}) do message[key] = value end
    return pack("reading", message)
  end

  it("tells a device what was wrong, and ends", function()
    local app <close> = devices.start(path)

    for what, case in pairs {
      ["no message"] = { "protocol", "" },
      ["an unknown one"] = { "protocol", "\xFFabc" },
      ["one that is too short"] = { "protocol", hello():sub(1, -2) },
      ["one that is too long"] = { "protocol", hello() .. "x" },
      ["one of a server"] = { "protocol", pack("ack", { seq = 1 }) },
      ["a reading first"] = { "protocol", reading() },
      ["another version"] = { "version", hello { version = 2 } },
      ["a wrong secret"] = { "secret", hello { secret = "guessed" } },
      ["no secret"] = { "secret", hello { secret = "" } },
      ["no name"] = { "device", hello { device = "" } },
      ["a name with a space"] = { "device", hello { device = "my oven" } },
      ["a long name"] = { "device", hello { device = ("x"):rep(33) } },
      ["a second hello"] = { "protocol", hello(), hello() },
      ["no number"] = { "reading", hello(), reading { value = 0 / 0 } },
      ["an endless number"] = { "reading", hello(), reading { value = math.huge } },
      ["a quantity with a line end"] = { "reading", hello(), reading { quantity = "a\nb" } },
      ["a reading without a place"] = { "reading", hello(), reading { seq = 0 } },
      ["a time before all"] = { "reading", hello(), reading { time = -1 } },
    } do
      local device <close> = devices.connect(app)
      for i = 2, #case do device:send_bytes(case[i]) end
      if #case > 2 then assert.are.equal("welcome", device:receive().name, what) end
      local message = assert(device:receive(), what)

      assert.are.equal("error", message.name, what)
      assert.are.equal(case[1], message.code, what)
      assert.are.equal("closed", select(2, device:receive()), what)
    end

    local device <close> = devices.connect(app)
    assert(device.conn:send(string.pack(">I2", 1025))) -- its bytes are not awaited
    assert.are.equal("closed", select(2, device:receive()))
    app:stop { status = 0 }
    assert.is_nil(io.open(path))
  end)

  it("does not wait for a device that says nothing", function()
    local app <close> = devices.start(path, { "--option", "hello_timeout=0.3" })
    local silent <close> = devices.connect(app)
    local slow <close> = devices.connect(app)
    local good <close> = devices.greet(app, "oven")

    assert(slow.conn:send "\0")
    for _, device in ipairs { silent, slow } do
      assert.are.equal("late", device:receive().code)
      assert.are.equal("closed", select(2, device:receive()))
    end
    good:report(20)
    good:settle()
    good:close()
    app:stop { status = 0 }
  end)

  it("gives a device's place to its new connection, whichever worker has the old one", function()
    local app <close> = devices.start(path)

    for _ = 1, 8 do
      local old <close> = devices.greet(app, "oven")
      old:report(1)
      old:settle()
      local new <close> = devices.greet(app, "oven")
      assert.are.equal(old.seq, new.seq)
      assert.are.equal("replaced", old:receive().code)
      assert.are.equal("closed", select(2, old:receive()))
      new:report(2)
      new:settle()
    end
    app:stop { status = 0 }
    assert.are.equal(16, devices.check_stored(path))
  end)

  it("stores each reading once, over stops", function()
    local rounds, each = 3, scale(40)
    local sent = {}

    for round = 1, rounds do
      local app <close> = devices.start(path)
      local list = {}
      for i = 1, 20 do
        list[i] = devices.greet(app, "d" .. i)
        sent[list[i].id] = sent[list[i].id] or {}
        assert.is_true(round == 1 or list[i].seq <= #sent[list[i].id])
      end
      for _ = 1, each do
        for i, device in ipairs(list) do
          local value = i + device.seq / 1000
          device:report(value)
          sent[device.id][device.seq] = value
        end
      end
      if round == rounds then
        for _, device in ipairs(list) do device:settle() end
      end
      app:stop { status = 0 } -- in between nobody knows how much has arrived
      for _, device in ipairs(list) do device:close() end
    end

    devices.check_stored(path)
    for id, readings in pairs(devices.stored(path)) do
      assert.is_true(#readings >= each)
      for i, got in ipairs(readings) do assert.are.equal(sent[id][i], got.value) end
      sent[id] = nil
    end
    assert.is_nil(next(sent))
  end)

  it("takes nothing behind a gap, and stores nothing twice", function()
    local app <close> = devices.start(path)
    local first <close> = devices.greet(app, "oven")

    for _, value in ipairs { 1, 2 } do first:report(value) end
    first:settle()
    first.seq = 3
    first:report(4) -- 3 is missing
    assert.are.equal("gap", first:receive().code)
    assert.are.equal("closed", select(2, first:receive()))
    local second <close> = devices.greet(app, "oven")
    assert.are.equal(2, second.seq)
    for seq = 1, 3 do
      second.seq = seq - 1
      second:report(seq) -- 1 and 2 are there
    end
    second:settle()
    assert.are.equal(3, second.acknowledged)
    second:close()
    app:stop { status = 0 }
    assert.are.equal(3, devices.check_stored(path))
  end)

  it("goes on behind a line that was not finished", function()
    local file = assert(io.open(path, "wb"))
    file:write("1 1700000000001 oven temperature 20;\n2 1700000000002 oven temperature 2"):close()
    local app <close> = devices.start(path)
    local device <close> = devices.greet(app, "oven")

    assert.are.equal(1, device.seq)
    device:report(21)
    device:settle()
    device:close()
    app:stop { status = 0 }
    local lines = {}
    for line in io.lines(path) do lines[#lines + 1] = line end
    assert.are.equal("2 1700000000002 oven temperature 2", lines[2])
    assert.are.equal("2 1700000000002 oven temperature 21;", lines[3])
  end)

  it("keeps two files of 64 MiB at most, and reads both", function()
    local file = assert(io.open(path, "wb"))
    file:write "1 1700000000001 oven temperature 20;\n"
    file:seek("set", (64 << 20) - 1)
    file:write("\n"):close()

    for round = 1, 2 do
      local app <close> = devices.start(path)
      local device <close> = devices.greet(app, "oven")
      assert.are.equal(round, device.seq)
      device:report(20)
      device:settle()
      device:close()
      app:stop { status = 0 }
    end
    assert.are.equal("3 1700000000003 oven temperature 20;\n", command.read_file(path))
    assert.is_true(#command.read_file(path .. ".1") > 64 << 20)
  end)

  it("keeps what cannot be stored, says so, and stores it when it can", function()
    local away = folder .. "/away"
    local app <close> = devices.start(away .. "/readings")
    local device <close> = devices.greet(app, "oven")

    device:report(20)
    app:wait_log "readings cannot be stored"
    local other <close> = devices.connect(app)
    other:send_bytes(hello { device = "fridge" })
    assert.are.equal("busy", other:receive().code)
    command.run { "mkdir", away }
    device:settle()
    device:close()
    app:stop { status = 0 }
    assert.are.equal(1, devices.check_stored(away .. "/readings"))
  end)

  it("lets only its own page listen and command", function()
    local app <close> = devices.start(path)

    for origin, first in pairs {
      [app.url] = "\x81", -- text
      ["http://elsewhere.example"] = "\x88\x10\x03\xf0another origin", -- close, 1008
      ["null"] = "\x88\x10\x03\xf0another origin",
    } do
      local conn <close> = app:connect()
      assert(conn:send(client.format("GET", "/live", { headers = {
        { "Host", app.url:match "//(.+)$" }, { "Origin", origin },
        { "Upgrade", "websocket" }, { "Connection", "Upgrade" },
        { "Sec-WebSocket-Version", 13 }, { "Sec-WebSocket-Key", "AQIDBAUGBwgJCgsMDQ4PEC==" } } })))
      assert.are.equal(101, conn:read_head().status)
      assert.are.equal(first, conn:read(#first))
    end
    app:stop { status = 0 }
  end)

  it("leaves an answer alone that nobody has asked for", function()
    local app <close> = devices.start(path)
    local device <close> = devices.greet(app, "oven")

    device:send("done", { command = 7, is_ok = 1, text = "\xFF" })
    device:report(20)
    device:settle()
    device:close()
    app:stop { status = 0 }
  end)
end)

describe("examples/devices with its simulator", function()
  local function figures(simulator)
    local body = simulator:get("/").body
    return tonumber(body:match '"connected":(%d+)'), tonumber(body:match '"acknowledged":(%d+)')
  end

  local function wait_going(simulator, count)
    local _, before = figures(simulator)
    wait.till(function()
      local connected, acknowledged = figures(simulator)
      return connected == count and acknowledged > before + count
    end, 30, "all devices to report")
  end

  for title, fault in pairs {
    ["workers that stop"] = function(app) app:get "/stop/1" app:get "/stop/3" end,
    ["workers that break"] = function(app) app:get "/panic/2" end,
    ["a bus that ends"] = function(app) app:get "/die/bus" end,
    ["a reload"] = function(app)
      local generation = app:log():find("generation 2", 1, true) and 3 or 2
      app:signal "HUP"
      app:wait_log("generation " .. generation)
    end,
  } do
    it("loses nothing and doubles nothing over " .. title, function()
      local folder = command.folder()
      local path = folder .. "/readings"
      local app <close> = devices.start(path, { "--drain-timeout", "2" })
      local simulator <close> = server.start { app = "examples/devices/simulator.lua", args = {
        "--option", "server=127.0.0.1:" .. app.device_port, "--option", "devices=20",
        "--option", "interval=0.05" } }

      wait_going(simulator, 20)
      fault(app)
      wait_going(simulator, 20)
      fault(app)
      wait_going(simulator, 20)
      app:stop { status = 0 }
      local _, acknowledged = figures(simulator)
      assert.is_true(devices.check_stored(path) >= acknowledged)
      simulator:stop { status = 0 }
      command.remove(folder)
    end)
  end
end)
