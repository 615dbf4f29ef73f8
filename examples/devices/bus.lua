--- The service of the example: what devices report comes together here, from all workers. It
--- stores readings in batches, acknowledges what is stored, raises alerts, hands commands to
--- devices, and tells the pages.
--
-- A device numbers its readings. The bus takes the next one only; when some were lost on the way,
-- it ends the connection. The device connects anew, hears the last number that is stored, and goes
-- on behind it. Each reading is stored once, whoever fails in between.

local aq = require "luaqueduct"
local database = require "database"
local protocol = require "protocol"
local store = require "store"

local Bus = aq.service()

local BATCH, FLUSH_AFTER = 500, 0.2 -- readings, seconds
local MAX_WAITING = 20000 -- readings that a disk may keep waiting; more are not taken
local MAX_DEVICES, MAX_SHOWN = 50000, 300 -- that are known; that pages show
local MAX_QUANTITIES, MAX_RECENT = 4, 60 -- of one device; values of one quantity, for the page
local MAX_ALERTS = 50
local ANSWER_WITHIN = 10 -- seconds, to a command

-- An alert begins beyond low or high, and is over when the value is back by `margin`.
local LIMITS = {
  temperature = { low = 5, high = 30, margin = 0.5 },
  humidity = { low = 20, high = 75, margin = 2 },
}

function Bus:prepare(options)
  self.store = options.database and database.open(options.database) or store.open(options.path)
  self.devices, self.count = {}, 0 -- by id: { last, conn, worker, quantities, is_shown, ... }
  self.waiting = {} -- readings that are to be stored
  self.stored = 0
  self.alerts = {}
  self.commands, self.last_command = {}, 0

  self.store:restore(function(reading)
    local device = self:_device(reading.device)
    if device and reading.seq > device.last then
      self.stored = self.stored + 1
      self:_take(device, reading)
    end
  end)
  self.changed = {}
  aq.hub.subscribe("reading", function(reading) self:_reading(reading) end)
  aq.every(FLUSH_AFTER, function() self:_flush() end)
  aq.hub.publish("bus:started", true) -- workers tell anew which devices they have
end

local function publish(event) aq.hub.publish("live", aq.json.encode(event)) end

--- To one device, on whichever worker it is: its connection has subscribed to its own id.
local function send(device, name, message)
  aq.hub.publish("conn:" .. device.conn, protocol.pack(name, message), { binary = true })
end

local function describe(device)
  return { id = device.id, worker = device.worker or aq.null, quantities = device.quantities }
end

local function show(device)
  if device.is_shown then publish { type = "device", device = describe(device) } end
end

--- Ends its connection: the worker that has it does.
local function dismiss(device, code, text)
  aq.hub.publish("dismiss", { conn = device.conn, code = code, text = text })
  device.conn, device.worker = nil, nil
  show(device)
end

--- Known from now on; nil when there are too many.
function Bus:_device(id)
  local device = self.devices[id]
  if device or self.count >= MAX_DEVICES then return device end
  self.count = self.count + 1
  device = { id = id, last = 0, quantities = {}, is_shown = self.count <= MAX_SHOWN }
  self.devices[id] = device
  return device
end

-- ---- readings ----------------------------------------------------------------

local function count_of(t)
  local n = 0
  for _ in pairs(t) do n = n + 1 end
  return n
end

--- What the device measures, with its last values; nil when it measures too many things.
local function quantity_of(device, name)
  local quantity = device.quantities[name]
  if quantity or count_of(device.quantities) >= MAX_QUANTITIES then return quantity end
  quantity = { recent = aq.array {} }
  device.quantities[name] = quantity
  return quantity
end

function Bus:_take(device, reading)
  local quantity = quantity_of(device, reading.quantity)

  device.last = reading.seq
  if not quantity or not device.is_shown then return quantity end
  table.insert(quantity.recent, reading.value)
  if #quantity.recent > MAX_RECENT then table.remove(quantity.recent, 1) end
  quantity.time = reading.time
  if self.changed then self.changed[device] = true end
  return quantity
end

--- Of the connection that the device has now, and the next one: else it is not taken.
function Bus:_reading(reading)
  local device = self.devices[reading.device]
  if not device or device.conn ~= reading.conn or #self.waiting >= MAX_WAITING then return end
  if device.last > 0 and reading.seq ~= device.last + 1 then
    if reading.seq > device.last then dismiss(device, "gap", "A reading in between is missing.") end
    return
  end

  self.waiting[#self.waiting + 1] = reading
  local quantity = self:_take(device, reading)
  if quantity then self:_watch(device, quantity, reading) end
  if #self.waiting % BATCH == 0 then self:_flush() end
end

--- Stores what waits; what cannot be stored stays, and nobody is told that it is stored. A database
--- takes its time: meanwhile more may come, and others who want it stored wait for their turn.
function Bus:_flush()
  while self.is_flushing do aq.sleep(0.01) end
  local batch = self.waiting
  if #batch == 0 then return true end
  self.is_flushing, self.waiting = true, {}
  local ok, err = self.store:append(batch)
  self.is_flushing = false
  if not ok then
    self.waiting = table.move(self.waiting, 1, #self.waiting, #batch + 1, batch)
    if not self.is_failing then aq.log.error("readings cannot be stored", { reason = err }) end
    self.is_failing = true
    return nil, err
  end

  self.is_failing = false
  self.stored = self.stored + #batch
  local last = {}
  for _, reading in ipairs(batch) do last[reading.device] = reading.seq end
  for id, seq in pairs(last) do
    local device = self.devices[id]
    if device.conn then send(device, "ack", { seq = seq }) end
  end
  self:_show_changes()
  return true
end

function Bus:_show_changes()
  local list = aq.array {}

  for device in pairs(self.changed) do
    for name, quantity in pairs(device.quantities) do
      list[#list + 1] = { device.id, name, quantity.time, quantity.recent[#quantity.recent] }
    end
  end
  self.changed = {}
  publish { type = "readings", list = list, stored = self.stored }
end

-- ---- alerts ------------------------------------------------------------------

--- Begins or ends the alert of a quantity when the reading says so.
function Bus:_watch(device, quantity, reading)
  local limit = LIMITS[reading.quantity]
  if not limit then return end
  local margin = quantity.alert and limit.margin or 0
  local is_low, is_high = reading.value < limit.low + margin, reading.value > limit.high - margin
  local is_alert = is_low or is_high
  if is_alert == (quantity.alert or false) then return end

  quantity.alert = is_alert
  local alert = { device = device.id, quantity = reading.quantity, value = reading.value,
    time = reading.time, is_over = not is_alert, is_low = is_low }
  table.insert(self.alerts, alert)
  if #self.alerts > MAX_ALERTS then table.remove(self.alerts, 1) end
  aq.log.warn(is_alert and "alert" or "alert is over", { device = device.id,
    quantity = reading.quantity, value = reading.value })
  publish { type = "alert", alert = alert }
end

-- ---- devices come and go -----------------------------------------------------

--- A device has a connection, which takes the place of one that it had.
---@param id string of the device
---@param session table { conn, worker, generation }
---@return integer? last number that is stored
---@return table? err
function Bus:hello(id, session)
  local device = self:_device(id)
  if not device then return nil, { code = "full", message = "There are too many devices." } end
  if device.conn and device.conn ~= session.conn then
    dismiss(device, "replaced", "The device has another connection.")
  end
  device.conn, device.worker, device.generation = session.conn, session.worker, session.generation
  show(device)
  if self:_flush() then return device.last end
  return nil, { code = "busy", message = "Nothing can be stored now." }
end

--- A connection is gone.
function Bus:gone(id, conn)
  local device = self.devices[id]
  if not device or device.conn ~= conn then return end
  device.conn, device.worker = nil, nil
  show(device)
end

--- A worker starts: the connections of the one before it in its place are gone.
function Bus:forget(worker, generation)
  for id, device in pairs(self.devices) do
    if device.worker == worker and device.generation == generation then
      self:gone(id, device.conn)
    end
  end
  return true
end

-- ---- commands ----------------------------------------------------------------

--- Sends a command to a device; pages hear what became of it.
---@return integer? number
---@return table? err
function Bus:command(id, text)
  local device = self.devices[id]
  if not device or not device.conn then
    return nil, { code = "away", message = id .. " is not connected." }
  end
  self.last_command = self.last_command + 1
  local number = self.last_command

  self.commands[number] = id
  send(device, "command", { command = number, text = text })
  aq.after(ANSWER_WITHIN, function() self:done(id, number, false, "no answer") end)
  return number
end

--- The device has answered, or nobody waits for it any more.
function Bus:done(id, number, is_ok, text)
  if self.commands[number] ~= id then return end
  self.commands[number] = nil
  publish { type = "command", command = number, device = id, is_ok = is_ok, text = text }
end

-- ---- pages -------------------------------------------------------------------

--- Everything that a page shows, as JSON.
function Bus:snapshot()
  local list = aq.array {}

  for _, device in pairs(self.devices) do
    if device.is_shown then list[#list + 1] = describe(device) end
  end
  return aq.json.encode { type = "snapshot", devices = list, alerts = aq.array(self.alerts),
    stored = self.stored, known = self.count }
end

function Bus:stats()
  return { known = self.count, stored = self.stored, waiting = #self.waiting }
end

function Bus:close() self:_flush() end

return Bus
