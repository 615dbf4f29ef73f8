--- The service of the example: who is in which room, and what was said there. As there is one of
--- it, all workers see the same people, and messages have one order.
--
-- What it publishes on a room's topic are strings, so it goes to the WebSockets of all workers
-- without entering their Lua.

local aq = require "luaqueduct"
local Rooms = aq.service()

local HISTORY = 50 -- messages that a room remembers
local MAX_ROOMS = 1000 -- those that nobody is in are forgotten when there are more
local MAX_PEOPLE = 200 -- in one room
local GRACE = 2 -- seconds in which who comes back has not left

function Rooms:prepare()
  self.rooms = {} -- by name: { people = by name, history = list }
  self.count = 0
  self.guests = {} -- by connection: { room, name, worker }
  self.last = 0
  aq.hub.publish("rooms:started", true) -- workers tell anew who is there
end

local function publish(room_name, event)
  aq.hub.publish("room:" .. room_name, aq.json.encode(event))
end

local function names_of(room)
  local names = aq.array {}

  for name in pairs(room.people) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local function refuse(text) return nil, { code = "refused", message = text } end

function Rooms:_make_room(room_name)
  if self.count >= MAX_ROOMS then
    for other, room in pairs(self.rooms) do
      if not next(room.people) then
        self.rooms[other] = nil
        self.count = self.count - 1
      end
    end
    if self.count >= MAX_ROOMS then return nil end
  end
  local room = { people = {}, history = {} }
  self.rooms[room_name] = room
  self.count = self.count + 1
  return room
end

--- A connection comes into a room. Several connections of one token are one person: windows, or
--- the same window once more while its old connection is still thought to be there.
---@param id string of the connection
---@param guest table { room, name, token, worker }
---@return table? welcome { people, history }
---@return table? err
function Rooms:join(id, guest)
  local room = self.rooms[guest.room] or self:_make_room(guest.room)
  if not room then return refuse "There are too many rooms just now." end
  local names = names_of(room)
  local person = room.people[guest.name]
  if not person and #names >= MAX_PEOPLE then return refuse "The room is full." end
  if person and person.token ~= guest.token then
    return refuse(("Somebody named %s is in this room already."):format(guest.name))
  end

  if not person then
    person = { token = guest.token, connections = 0 }
    room.people[guest.name] = person
    names = names_of(room)
    publish(guest.room, { type = "joined", name = guest.name, people = names })
  end
  if not self.guests[id] then person.connections = person.connections + 1 end
  self.guests[id] = guest
  return { people = names, history = room.history }
end

--- It has gone. Not knowing it is no mistake: it may have been refused.
---@param id string
---@param is_final? boolean it has said so: nobody waits for it to come back
function Rooms:leave(id, is_final)
  local guest = self.guests[id]
  if not guest then return end
  local room = self.rooms[guest.room]
  local person = room.people[guest.name]

  self.guests[id] = nil
  person.connections = person.connections - 1
  if person.connections > 0 then return end
  aq.after(is_final and 0 or GRACE, function()
    if person.connections > 0 or room.people[guest.name] ~= person then return end
    room.people[guest.name] = nil
    publish(guest.room, { type = "left", name = guest.name, people = names_of(room) })
  end)
end

--- A worker starts: who was connected to the one before it in its place is gone.
function Rooms:forget(worker)
  local gone = {}

  for id, guest in pairs(self.guests) do
    if guest.worker == worker then gone[#gone + 1] = id end
  end
  for _, id in ipairs(gone) do self:leave(id) end
  return true
end

--- Somebody says something. Ids grow, also over a restart, so that a page knows what it has.
---@param id string of the connection
---@param text string
---@param key string the page's own: it says again what it has not seen come back
---@return true?
---@return table? err
function Rooms:say(id, text, key)
  local guest = self.guests[id]
  if not guest then return nil, { code = "unknown", message = "Not in a room." } end
  local history = self.rooms[guest.room].history
  local now = aq.time()

  for _, message in ipairs(history) do
    if message.key == key and message.name == guest.name then
      publish(guest.room, message)
      return true
    end
  end
  self.last = math.max(self.last + 1, math.floor(now * 1000))
  local message = { type = "message", id = self.last, name = guest.name, text = text, time = now,
    key = key }
  history[#history + 1] = message
  if #history > HISTORY then table.remove(history, 1) end
  publish(guest.room, message)
  return true
end

return Rooms
