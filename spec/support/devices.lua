--- examples/devices for the specs: the app with routes that break what it runs on, devices on raw
--- sockets, and what is in the file of readings.
--
-- Failure: raises.

local breakable = require "spec.support.breakable"
local client = require "spec.support.client"
local protocol = dofile "examples/devices/protocol.lua"
local server = require "spec.support.server"

local FILES = { "page.html", "protocol.lua", "store.lua", "database.lua", "bus.lua" }

local m = { protocol = protocol, SECRET = "a secret of the example" }

--- The example with 4 workers, on free ports.
---@param store string the file of readings
---@param args? string[] more arguments
---@param database? string the URL of one, instead of the file
function m.start(store, args, database)
  local source, files = breakable.example("devices", FILES, "bus.lua")
  local argv = { "--option", "device_port=0", "--option", "store=" .. store }
  table.move(args or {}, 1, #(args or {}), #argv + 1, argv)
  local app = server.start { source = source, files = files, workers = 4, args = argv,
    env = { DATABASE_URL = database or false } }

  app.device_port = tonumber(app:get("/stats").body:match '"device_port":(%d+)')
  return app
end

-- ---- devices -----------------------------------------------------------------

local Device = {}
Device.__index = Device

--- Sends bytes as one message.
function Device:send_bytes(bytes) assert(self.conn:send(string.pack(">s2", bytes))) end

function Device:send(name, message) self:send_bytes(protocol.pack(name, message)) end

--- The next message; nil and why there is none.
function Device:receive(seconds)
  local head, err = self.conn:read(2, { timeout = seconds or 10 })
  if not head then return nil, err end
  local bytes = assert(self.conn:read((string.unpack(">I2", head))))
  return assert(protocol.unpack(bytes))
end

--- One reading, the next: its value tells it from others.
function Device:report(value, quantity)
  self.seq = self.seq + 1
  self:send("reading", { seq = self.seq, time = 1700000000000 + self.seq,
    quantity = quantity or "temperature", value = value })
end

--- Waits until all that it has sent is stored.
function Device:settle()
  while self.acknowledged < self.seq do
    local message = assert(self:receive())
    assert(message.name == "ack", message.text)
    self.acknowledged = message.seq
  end
end

function Device:close() self.conn:close() end
Device.__close = Device.close

--- A device that has connected and not said anything.
function m.connect(app)
  local conn = client.connect { port = app.device_port }
  return setmetatable({ conn = conn, seq = 0, acknowledged = 0 }, Device)
end

--- One that is welcome: it goes on behind what is stored.
function m.greet(app, id)
  local device = m.connect(app)
  device:send("hello", { version = 1, device = id, secret = m.SECRET })
  local welcome = assert(device:receive())

  assert(welcome.name == "welcome", welcome.text)
  device.id, device.seq, device.acknowledged = id, welcome.last, welcome.last
  return device
end

-- ---- what is stored ----------------------------------------------------------

--- By device, its readings in order: { seq, value }.
function m.stored(path)
  local by_device = {}

  for line in io.lines(path) do
    local seq, device, value = line:match "^(%d+) %d+ (%g+) %g+ (%g+);$"
    assert(seq, line)
    by_device[device] = by_device[device] or {}
    table.insert(by_device[device], { seq = tonumber(seq), value = tonumber(value) })
  end
  return by_device
end

--- Raises unless each device has 1, 2, 3 … and each once. Returns how many there are in all.
function m.check_stored(path)
  local count = 0

  for device, readings in pairs(m.stored(path)) do
    for i, reading in ipairs(readings) do
      if reading.seq ~= i then error(("%s: %d at %d"):format(device, reading.seq, i), 2) end
    end
    count = count + #readings
  end
  return count
end

return m
