--- Simulated devices on the runtime's own TCP client: each a task that connects, reports, obeys,
--- and connects again when something has failed.
--
-- Run: luaqueduct serve -j 1 --listen http://127.0.0.1:8889 examples/devices/simulator.lua
--
-- Options (`--option K=V`): server (127.0.0.1:7000), devices (24, over all workers), interval (1 s
-- between readings), secret.

local aq = require "luaqueduct"
local protocol = require "protocol"
local App = aq.channel()

local ACK_WITHIN = 10 -- seconds; then the connection is given up
local MAX_KEPT = 10000 -- readings that a device keeps while nobody acknowledges them
local LONGEST_PAUSE = 30

-- ---- one device --------------------------------------------------------------

local Device = {}
Device.__index = Device

--- What it would measure now: a slow wave; that of one in eight is too high.
function Device:measure()
  local phase = aq.time() / 20 + self.number

  self.turn = self.turn + 1
  if self.turn % 3 == 0 then return "humidity", 48 + 9 * math.cos(phase) + math.random() end
  local height = self.number % 8 == 3 and 11 or 4
  return "temperature", 21 + height * math.sin(phase) + math.random() / 2
end

function Device:send(name, message)
  assert(self.conn:write(string.pack(">s2", protocol.pack(name, message))))
end

--- The next message, or nil when none has come within `seconds`. Raises when the connection is
--- over.
function Device:receive(seconds)
  local length, err = self.conn:read(2, seconds)
  if not length and err.code == "timeout" then return nil end
  local bytes = assert(self.conn:read((string.unpack(">I2", assert(length, err))), ACK_WITHIN))
  local message = assert(protocol.unpack(bytes))
  if message.name == "error" then error(message.text, 0) end
  return message
end

--- What is stored needs not be kept.
function Device:forget(seq)
  while self.kept[1] and self.kept[1].seq <= seq do table.remove(self.kept, 1) end
  self.acknowledged = math.max(self.acknowledged, seq)
end

function Device:report()
  if #self.kept >= MAX_KEPT then return end
  local quantity, value = self:measure()

  self.seq = self.seq + 1
  local reading = { seq = self.seq, time = math.floor(aq.time() * 1000), quantity = quantity,
    value = value }
  self.kept[#self.kept + 1] = reading
  self:send("reading", reading)
end

--- Says hello, and sends again what the server has not stored.
function Device:greet()
  self:send("hello", { version = protocol.VERSION, device = self.id, secret = self.secret })
  local welcome = assert(self:receive(ACK_WITHIN), "no welcome")
  assert(welcome.name == "welcome", "not a welcome")

  self:forget(welcome.last)
  self.seq = math.max(self.seq, welcome.last) -- it has been started anew, the server remembers
  for _, reading in ipairs(self.kept) do self:send("reading", reading) end
end

--- Raises when the connection is over.
function Device:serve(host, port)
  local conn <close> = assert(aq.tcp.connect(host, port))
  self.conn = conn
  self:greet()
  self.is_connected, self.pause = true, 0.5
  local next_report = aq.now() + math.random() * self.interval
  local heard = aq.now()

  while true do
    local message = self:receive(math.max(0.001, next_report - aq.now()))
    if message then
      heard = aq.now()
      if message.name == "ack" then self:forget(message.seq) end
      if message.name == "command" then
        self:send("done", { command = message.command, is_ok = 1, text = message.text .. ": done" })
      end
    elseif #self.kept > 0 and aq.now() - heard > ACK_WITHIN + self.interval then
      error "nothing was acknowledged for too long"
    end
    if aq.now() >= next_report then
      self:report()
      next_report = next_report + self.interval
    end
  end
end

--- For good: after a failure it waits, twice as long each time, shortened at random.
function Device:live(host, port)
  self.pause = 0.5
  while true do
    local _, err = pcall(self.serve, self, host, port)
    self.is_connected = false
    aq.log.debug("a device is away", { device = self.id, reason = tostring(err) })
    aq.sleep(self.pause * (0.5 + math.random() / 2))
    self.pause = math.min(self.pause * 2, LONGEST_PAUSE)
  end
end

local function new_device(number, options)
  return setmetatable({
    number = number,
    id = ("sensor-%03d"):format(number),
    secret = options.secret or "a secret of the example",
    interval = tonumber(options.interval or 1),
    seq = 0, acknowledged = 0, turn = number, kept = {},
  }, Device)
end

-- ---- all of this worker ------------------------------------------------------

function App:ready()
  local options = self.options.context
  local host, port = (options.server or "127.0.0.1:7000"):match "^(.+):(%d+)$"

  self.devices = {}
  for number = aq.instance.id, tonumber(options.devices or 24), aq.instance.workers do
    local device = new_device(number, options)
    self.devices[#self.devices + 1] = device
    aq.spawn(device.live, device, host, tonumber(port))
  end
end

function App:entry_point()
  local router = aq.router()

  router:get("/", function()
    local connected, acknowledged, kept = 0, 0, 0
    for _, device in ipairs(self.devices or {}) do
      connected = connected + (device.is_connected and 1 or 0)
      acknowledged = acknowledged + device.acknowledged
      kept = kept + #device.kept
    end
    return { connected = connected, acknowledged = acknowledged, kept = kept }
  end)
  return router
end

return App
