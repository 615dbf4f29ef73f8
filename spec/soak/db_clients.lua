--- The clients of spec/system/db_soak_spec.lua: they ask all the time, each for one answer after
--- the other, and look at what they get.
--
-- Run: lua5.4 spec/soak/db_clients.lua PORT SECONDS CLIENTS FIRST COMMITTED, from the top folder.
-- FIRST is the number of the first request; the numbers of the transactions that are said to have
-- been committed are written to the file COMMITTED. What is counted is printed at the end.

require "spec.support.core"

local client = require "spec.support.client"
local proc = require "spec.proc"
local socket = require "socket"
local wait = require "spec.support.wait"

local PORT, SECONDS, CLIENTS, FIRST = table.unpack(arg, 1, 4)
local KINDS = { "value", "pair", "many", "rows", "fails", "pair", "value" }
local ANSWER_SECONDS = 40
local LATE_SECONDS = 10 -- more than all waits in a handler may take

local committed = assert(io.open(arg[5], "w"))
local counts = { answered = 0, unavailable = 0, wrong = 0, unanswered = 0, late = 0, slowest = 0 }
local codes = {}
local next_number = math.tointeger(FIRST)

--- What is wrong goes to standard error, the first of it.
local function tell(name, ...)
  counts[name] = counts[name] + 1
  if counts[name] <= 20 then io.stderr:write(name, ": ", ("%s %d: %s\n"):format(...)) end
end

local function connect()
  return client.connect { port = tonumber(PORT), timeout = ANSWER_SECONDS }
end

local function ask(one)
  one.kind, one.number, one.since = KINDS[next_number % #KINDS + 1], next_number, proc.now()
  next_number = next_number + 1
  one.conn:send(client.format("GET", ("/%s/%d"):format(one.kind, one.number)))
end

local function check(one, res)
  if res.status == 503 then
    counts.unavailable = counts.unavailable + 1
    codes[res.body] = (codes[res.body] or 0) + 1
  elseif res.status == 200 and res.body == ("%s %d"):format(one.kind, one.number) then
    counts.answered = counts.answered + 1
    if one.kind == "pair" then committed:write(one.number, "\n") end
  else
    tell("wrong", one.kind, one.number, res.status .. " " .. res.body)
  end
end

--- Reads the answer; whether the connection is one to go on with.
local function finish(one)
  local res, err = one.conn:read_response { timeout = wait.left(one.since + ANSWER_SECONDS) }
  local seconds = proc.now() - one.since

  counts.slowest = math.max(counts.slowest, seconds)
  if seconds > LATE_SECONDS then
    local what = res and res.status .. " " .. res.body or err
    tell("late", one.kind, one.number, ("%.1f s, %s"):format(seconds, what))
  end
  if not res then
    tell("unanswered", one.kind, one.number, err)
    return false
  end
  check(one, res)
  return true
end

--- Those under way that have an answer, or should have had one.
local function ready(all)
  local sockets, found = {}, {}

  for _, one in ipairs(all) do sockets[#sockets + 1] = one.conn.socket end
  local readable = socket.select(sockets, nil, 0.5)
  for i = #all, 1, -1 do
    local one = all[i]
    if readable[one.conn.socket] or proc.now() > one.since + ANSWER_SECONDS then
      found[#found + 1] = table.remove(all, i)
    end
  end
  return found
end

local ends = proc.now() + tonumber(SECONDS)
local waiting = {}

for i = 1, tonumber(CLIENTS) do
  waiting[i] = { conn = connect() }
  ask(waiting[i])
end
while #waiting > 0 do
  for _, one in ipairs(ready(waiting)) do
    if not finish(one) then
      one.conn:close()
      one.conn = connect()
    end
    if proc.now() < ends then
      ask(one)
      waiting[#waiting + 1] = one
    else
      one.conn:close()
    end
  end
end
committed:close()
for name, count in pairs(counts) do print(name, count) end
for code, count in pairs(codes) do print("code." .. code, count) end
