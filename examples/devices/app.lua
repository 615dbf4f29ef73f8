--- Devices: connections over TCP with a protocol of their own (protocol.lua), a service that stores
--- and watches what they report (bus.lua), and a page that shows it live.
--
-- Run: luaqueduct serve -j 4 examples/devices/app.lua
--      luaqueduct serve -j 1 --listen http://127.0.0.1:8889 examples/devices/simulator.lua
--
--   $ curl -si http://127.0.0.1:8888/
--   < 200
--   < Content-Type: text/html; charset=utf-8
--   $ curl -si http://127.0.0.1:8888/stats
--   < 200
--   < "stored":
--
-- Options (`--option K=V`): device_port (7000), device_address (127.0.0.1), secret, store (the
-- file of readings, readings.log), hello_timeout (5 s).

local aq = require "luaqueduct"
local protocol = require "protocol"
local App = aq.channel()

local FOLDER = debug.getinfo(1, "S").source:match "^@(.*/)" or ""
local IDLE_TIMEOUT = 90 -- seconds; devices report more often
local MAX_MESSAGE = 1024 -- bytes, of a device

function App.initialize(options)
  local context = options.context

  context.secret = context.secret or "a secret of the example"
  context.device_port = tonumber(context.device_port or 7000)
  context.hello_timeout = tonumber(context.hello_timeout or 5)
  options:service("bus", "bus.lua", {
    path = context.store or "readings.log",
    database = os.getenv "DATABASE_URL",
  })
end

-- ---- devices -----------------------------------------------------------------

--- Says why, and ends the connection.
local function fail(conn, code, text)
  conn:send(protocol.pack("error", { code = code, text = text }))
  conn:close()
end

--- What a session is to the bus.
local function session_of(conn)
  return { conn = conn.id, worker = aq.instance.id, generation = aq.instance.generation }
end

local on = {} -- what a device may say, by name

function on.hello(app, conn, message)
  local context = conn.context

  if context.device then return fail(conn, "protocol", "A second hello.") end
  if message.version ~= protocol.VERSION then
    return fail(conn, "version", ("Version %d is spoken here."):format(protocol.VERSION))
  end
  if message.secret ~= app.options.context.secret then
    return fail(conn, "secret", "This is not the secret.")
  end
  if not message.device:find "^[%w_.-]+$" or #message.device > 32 then
    return fail(conn, "device", "A device is named by up to 32 letters, digits and _.-")
  end

  context.device = message.device
  app.conns[conn.id] = conn
  conn:subscribe("conn:" .. conn.id) -- what the bus publishes there goes to the device from C
  local last, err = app.bus:call("hello", context.device, session_of(conn))
  if not last then return fail(conn, err.code, err.message) end
  context.deadline:cancel()
  conn:send(protocol.pack("welcome", { version = protocol.VERSION, last = last }))
end

function on.reading(_, conn, reading)
  local is_finite = reading.value - reading.value == 0
  if not is_finite or not reading.quantity:find "^%l+$" or #reading.quantity > 16
    or reading.time < 0 or reading.seq == 0 then
    return fail(conn, "reading", "That is no reading.")
  end
  aq.hub.send("bus", "reading", { conn = conn.id, device = conn.context.device, seq = reading.seq,
    time = reading.time, quantity = reading.quantity, value = reading.value })
end

function on.done(app, conn, done)
  local text = utf8.len(done.text) and done.text:sub(1, 100) or "?"
  app.bus:cast("done", conn.context.device, done.command, done.is_ok == 1, text)
end

function App:device_says(conn, data)
  local message, why_not = protocol.unpack(data)
  local handle = message and on[message.name]

  if not handle then return fail(conn, "protocol", why_not or "Only a server says that.") end
  if not conn.context.device and message.name ~= "hello" then
    return fail(conn, "protocol", "A hello comes first.")
  end
  handle(self, conn, message)
end

function App:device_comes(conn)
  conn.context.deadline = aq.after(self.options.context.hello_timeout, function()
    fail(conn, "late", "A hello comes first, and soon.")
  end)
end

function App:device_goes(conn)
  local context = conn.context

  context.deadline:cancel()
  self.conns[conn.id] = nil
  if context.device then self.bus:cast("gone", context.device, conn.id) end
end

-- ---- pages -------------------------------------------------------------------

--- Only a page of ours may give commands, not any that a browser has open.
local function is_ours(req)
  local origin = req.headers.origin
  return not origin or origin:match "^%w+://(.+)$" == req.host
end

function App:page_comes(ws, req)
  if not is_ours(req) then return ws:close(1008, "another origin") end
  ws:subscribe "live" -- first, so that nothing is missed in between
  local snapshot = self.bus:call "snapshot"
  if not snapshot then return ws:close(1013, "the bus is away") end
  ws:send(snapshot)
end

function App:page_says(ws, data)
  local message = aq.json.decode(data)
  local device = type(message) == "table" and message.device
  local text = type(message) == "table" and message.command
  if type(device) ~= "string" or type(text) ~= "string" or #text > 100 then
    return ws:close(1008, "no command")
  end
  local number, err = self.bus:call("command", device, text)

  ws:send(aq.json.encode(number and { type = "sent", command = number, device = device }
    or { type = "command", device = device, is_ok = false, text = err.message }))
end

-- ---- life --------------------------------------------------------------------

function App:prepare()
  local context = self.options.context
  local file = assert(io.open(FOLDER .. "page.html", "rb"))
  self.page = file:read "a"
  file:close()

  self.bus = aq.service "bus"
  self.conns = {} -- of devices that have said hello, by id
  assert(self.bus:call("forget", aq.instance.id, aq.instance.generation))
  aq.hub.subscribe("bus:started", function()
    for _, conn in pairs(self.conns) do
      self.bus:cast("hello", conn.context.device, session_of(conn))
    end
  end)
  aq.hub.subscribe("dismiss", function(order)
    local conn = self.conns[order.conn]
    if conn then fail(conn, order.code, order.text) end
  end)

  self.listener = aq.tcp.listen {
    port = context.device_port,
    address = context.device_address or "127.0.0.1",
    framing = "u16",
    max_message = MAX_MESSAGE,
    max_buffered = "64K",
    idle_timeout = IDLE_TIMEOUT,
    open = function(conn) self:device_comes(conn) end,
    message = function(conn, data) self:device_says(conn, data) end,
    close = function(conn) self:device_goes(conn) end,
  }
end

function App:entry_point()
  local router = aq.router()

  router:get("/", function()
    return aq.response(200, {
      ["Content-Type"] = "text/html; charset=utf-8",
      ["Content-Security-Policy"] = "default-src 'none'; connect-src 'self';"
        .. " style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:",
    }, self.page)
  end)
  router:get("/stats", function()
    local stats, err = self.bus:call "stats"
    if not stats then return nil, err end
    stats.device_port = self.listener.port
    return stats
  end)
  router:get("/live", aq.websocket {
    max_message = "4K",
    open = function(ws, req) self:page_comes(ws, req) end,
    message = function(ws, data) self:page_says(ws, data) end,
  })
  return router
end

return App
