--- Chat: rooms over all workers. A WebSocket subscribes to the topic of its room; a service
--- (rooms.lua) knows who is there and what was said, and publishes.
--
-- Run: luaqueduct serve -j 4 examples/chat/app.lua
--
--   $ curl -si http://127.0.0.1:8888/
--   < 200
--   < Content-Type: text/html; charset=utf-8
--   $ curl -si http://127.0.0.1:8888/socket
--   < 426

local aq = require "luaqueduct"
local App = aq.channel()

local FOLDER = debug.getinfo(1, "S").source:match "^@(.*/)" or ""
local MAX_NAME, MAX_TEXT = 24, 500 -- characters

-- Close codes: the page has left for good; coming again would not help; it would, later.
local LEFT, REFUSED, LATER = 1000, 4000, 1013

function App.initialize(options)
  options:service("rooms", "rooms.lua")
end

--- The text without white space around it; nil and what is wrong unless it is a line or more of
--- `max` characters at most.
local function clean(what, text, max)
  if type(text) ~= "string" then return nil, what .. " is missing." end
  text = text:match "^%s*(.-)%s*$"
  local len = utf8.len(text)
  if text == "" then return nil, what .. " is empty." end
  if not len or text:find "[%z\1-\9\11-\31\127]" then return nil, what .. " is no text." end
  if len > max then return nil, ("%s has more than %d characters."):format(what, max) end
  return text
end

--- Who comes, as the query of the WebSocket's URL says; nil and what is wrong.
local function read_guest(query)
  local name, name_err = clean("The name", query.name, MAX_NAME)
  if not name then return nil, name_err end
  if name:find "\n" then return nil, "The name is no text." end
  local room = query.room or ""
  if not room:find "^[%w_-]+$" or #room > MAX_NAME then
    return nil, "The name of a room has letters, digits, - and _."
  end
  local token = query.token or ""
  if #token < 16 or #token > 64 then return nil, "The token is missing." end
  return { name = name, room = room, token = token }
end

--- Of this worker and this generation of the code: during a reload both have a worker 1.
local function worker_name()
  return ("%d/%d"):format(aq.instance.id, aq.instance.generation)
end

local function tell(ws, event) ws:send(aq.json.encode(event)) end

function App:prepare()
  local file = assert(io.open(FOLDER .. "page.html", "rb"))
  self.page = file:read "a"
  file:close()

  self.rooms = aq.service "rooms"
  self.here = {} -- the guests of this worker, by connection
  assert(self.rooms:call("forget", worker_name()))
  aq.hub.subscribe("rooms:started", function()
    for id, guest in pairs(self.here) do self.rooms:cast("join", id, guest) end
  end)
end

function App:open(ws, req)
  local guest, err = read_guest(req.query)
  local welcome

  if guest then
    guest.worker = worker_name()
    self.here[ws.id] = guest
    ws:subscribe("room:" .. guest.room) -- first, so that nothing is missed in between
    welcome, err = self.rooms:call("join", ws.id, guest)
  end
  if not welcome then
    tell(ws, { type = "error", text = tostring(type(err) == "table" and err.message or err) })
    return ws:close((not guest or err.code == "refused") and REFUSED or LATER)
  end
  tell(ws, { type = "welcome", name = guest.name, room = guest.room, worker = aq.instance.id,
    people = aq.array(welcome.people), history = aq.array(welcome.history) })
end

function App:message(ws, data, is_binary)
  local message = not is_binary and aq.json.decode(data)
  if type(message) ~= "table" then message = {} end
  local key = type(message.key) == "string" and #message.key <= 32 and message.key or nil
  local text, err = clean("The message", message.text, MAX_TEXT)

  if not key then err = "The key is missing." end
  if err then return tell(ws, { type = "error", text = err, key = key }) end
  -- The page says it again when it has come back.
  if not self.rooms:call("say", ws.id, text, key) then ws:close(LATER) end
end

function App:close_socket(ws, code)
  self.here[ws.id] = nil
  self.rooms:cast("leave", ws.id, code == LEFT)
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
  router:get("/socket", aq.websocket {
    max_message = "4K",
    max_buffered = "256K",
    open = function(ws, req) self:open(ws, req) end,
    message = function(ws, data, is_binary) self:message(ws, data, is_binary) end,
    close = function(ws, code) self:close_socket(ws, code) end,
  })
  return router
end

return App
