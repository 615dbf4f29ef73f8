--- A TCP listener's app and its clients: framings on the wire, and what the app tells of each end.
--
--   local app <close> = framed.start { prepare = [[listen("echo", { framing = "u8",
--     message = function(conn, s) conn:send(s) end })]] }
--   local conn <close> = framed.connect(app, "echo")
--   conn:send(framed.frame("u8", "hello"))
--   framed.read(conn, "u8")
--
-- `listen` puts a record into the log for each connection that closes; `framed.ends` counts them.
-- Failure: what is not read in time is `nil, err` as client.lua has it.

local client = require "spec.support.client"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

local PRELUDE = [[
local aq = require "luaqueduct"
local App = aq.channel()
local listeners, notes = {}, {}

local function note(text) aq.log.info("<" .. text .. ">") end

local function listen(name, options)
  local close = options.close
  options.port = options.port or 0
  options.close = function(conn, reason)
    note(name .. " " .. reason)
    if close then close(conn, reason) end
  end
  listeners[name] = aq.tcp.listen(options)
  return listeners[name]
end

local function echo(conn, s) conn:send(s) end

local router = aq.router()
router:get("/", function() return "fine" end)
router:get("/port/:name", function(req) return tostring(listeners[req.params.name].port) end)
router:get("/stats/:name", function(req) return listeners[req.params.name]:stats() end)
router:post("/run", function(req)
  local env = { aq = aq, listeners = listeners, listen = listen, note = note, notes = notes }
  local fn = assert(load(req:body(), "=run", "t", setmetatable(env, { __index = _G })))
  local _, value = pcall(fn)
  return tostring(value)
end)
function App:entry_point() return router end
]]

local PREFIX = { u8 = ">s1", u16 = ">s2", u32 = ">s4" }

local framed = { KINDS = { "raw", "line", "u8", "u16", "u32" } }

--- A message as it goes over the wire.
function framed.frame(kind, message)
  if kind == "raw" then return message end
  if kind == "line" then return message .. "\n" end
  return PREFIX[kind]:pack(message)
end

function framed.frames(kind, messages)
  local parts = {}

  for i, message in ipairs(messages) do parts[i] = framed.frame(kind, message) end
  return table.concat(parts)
end

--- The text of an app whose `prepare` is `code`; `top` stands in front of it.
function framed.source(code, top)
  return ("%s\n%s\nfunction App:prepare()\n%s\nend\nreturn App\n"):format(PRELUDE, top or "", code)
end

--- Starts it; options as server.lua has them, and `prepare` and `top`: code.
function framed.start(options)
  options.source = framed.source(options.prepare, options.top)
  return server.start(options)
end

function framed.port(app, name)
  return tonumber(app:get("/port/" .. name).body)
end

--- A connection to the listener of that name.
---@param options? table as client.connect has them
function framed.connect(app, name, options)
  local all = { port = framed.port(app, name) }

  for k, v in pairs(options or {}) do all[k] = v end
  return client.connect(all)
end

local function read_line(conn)
  local parts = {}

  while true do
    local byte, err = conn:read(1)
    if not byte then return nil, err end
    if byte == "\n" then return table.concat(parts) end
    parts[#parts + 1] = byte
  end
end

--- The next message; of raw ones `len` bytes.
function framed.read(conn, kind, len)
  if kind == "raw" then return conn:read(len) end
  if kind == "line" then return read_line(conn) end
  local size = tonumber(kind:sub(2)) // 8
  local head, err = conn:read(size)
  if not head then return nil, err end
  return conn:read((string.unpack(">I" .. size, head)))
end

--- Runs code in the app; its result, or error, as text.
function framed.run(app, code)
  return assert(app:post("/run", { body = code })).body
end

--- How often the log has noted that text.
function framed.count(app, text)
  return select(2, app:log():gsub("<" .. text:gsub("%p", "%%%0") .. ">", ""))
end

--- Waits until the log has noted the text as often as that (1), and no more often.
function framed.wait_note(app, text, count, seconds)
  wait.till(function() return framed.count(app, text) >= (count or 1) end, seconds,
    ("the note %q"):format(text))
  assert(framed.count(app, text) == (count or 1), ("%q too often"):format(text))
end

return framed
