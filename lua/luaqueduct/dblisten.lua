--- Notifications of a database: one connection that listens, and who hears what comes.
--
-- The connection belongs to a pool of its own, of one. One task reads it and, when it is lost,
-- makes another one and listens to everything again; what was sent meanwhile is lost.
-- Each subscription runs its function in a task of its own, one payload after another.
-- Failure: an error in such a function is logged.

local core = require "luaqueduct.core.db"
local core_task = require "luaqueduct.core.task"
local log = require "luaqueduct.log".log

local m = {}

local QUEUE_MAX = 10000
local PAUSE_MIN, PAUSE_MAX = 0.05, 2
local PATIENCE = 0.5 -- seconds, between looks whether the task that connects is there

-- ---- subscriptions --------------------------------------------------------------------------

local function traced(err)
  return debug.traceback(tostring(err), 2)
end

--- Starts `fn(subject)` in a task unless one for it runs already.
local function start(subject, fn)
  if subject.task and core_task.is_live(subject.task) then return end
  subject.task = core_task.spawn(fn, subject)
end

--- Runs the function for what has come, until there is no more.
local function work(sub)
  while sub.first <= sub.last and not sub.is_over do
    local payload = sub.queue[sub.first]
    sub.queue[sub.first] = nil
    sub.first = sub.first + 1
    local ok, err = xpcall(sub.fn, traced, payload)
    if not ok then log.error(("error in db:listen(%q): %s"):format(sub.channel, err)) end
  end
end

local function deliver(sub, payload)
  if sub.last - sub.first + 1 >= QUEUE_MAX then
    if not sub.is_full then
      log.warn(("db:listen(%q): %d notifications wait, more are dropped"):format(sub.channel,
        QUEUE_MAX))
    end
    sub.is_full = true
    return
  end
  sub.is_full = false
  sub.queue[sub.last + 1] = payload
  sub.last = sub.last + 1
  start(sub, work)
end

local function dispatch(listener, channel, payload)
  local subs = listener.channels[channel] or {}
  local snapshot = table.move(subs, 1, #subs, 1, {})

  for _, sub in ipairs(snapshot) do deliver(sub, payload) end
end

-- ---- the connection -------------------------------------------------------------------------

local function quote(channel)
  return '"' .. channel:gsub('"', '""') .. '"'
end

local function channels_but(listener, known)
  local list = {}
  for channel in pairs(listener.channels) do
    if not known[channel] then list[#list + 1] = channel end
  end
  return list
end

--- Listens to every channel that somebody wants, also to those that are added meanwhile.
local function listen_to_all(listener, session)
  local heard = {}
  repeat
    local channels = channels_but(listener, heard)
    for _, channel in ipairs(channels) do
      local ok, err = session:query("listen " .. quote(channel))
      if not ok then return nil, err end
      heard[channel] = true
    end
  until #channels == 0
  return true
end

--- Those who wait for the connection go on. Needs no memory.
local function tell(listener, err)
  local waiting = listener.waiting

  for i = 1, #waiting do
    local waiter = waiting[i]
    waiting[i] = nil
    waiter.is_told, waiter.err = true, err or false
    core_task.unpark(waiter.task)
  end
end

local releasing_mt = {}

function releasing_mt:__close()
  self.listener.session = nil
  if self.session then core.release(self.session, true) end
end

--- Reads one connection until it is lost. Returns whether there was one.
local function read(listener)
  local guard <close> = setmetatable({ session = false, listener = listener }, releasing_mt)
  local err

  guard.session, err = core.acquire(listener.db)
  if not guard.session then
    tell(listener, err)
    return false
  end
  local ok, failure = listen_to_all(listener, guard.session)

  if not ok then
    tell(listener, failure)
    return false
  end
  listener.session = guard.session
  tell(listener)
  while true do
    local channel, payload = core.notification(guard.session)
    if not channel then return true end
    dispatch(listener, channel, payload)
  end
end

local function report(err)
  log.error("error in db:listen: " .. tostring(err))
end

--- The same; an error, such as too little memory, is one more way to lose the connection.
local function read_whatever_comes(listener)
  local ok, was_open = pcall(read, listener)

  if ok then return was_open end
  tell(listener, was_open)
  pcall(report, was_open)
end

--- Reads as long as somebody listens.
local function run(listener)
  local pause = PAUSE_MIN

  while next(listener.channels) and not listener.is_closed do
    if read_whatever_comes(listener) then pause = PAUSE_MIN end
    if not next(listener.channels) or listener.is_closed then break end
    core_task.sleep(pause * (0.5 + math.random() / 2))
    pause = math.min(pause * 2, PAUSE_MAX)
  end
end

--- Waits until the channel is listened to.
local function await(listener, channel)
  if listener.session then return listener.session:query("listen " .. quote(channel)) end
  local waiter = { task = core_task.current(), is_told = false, err = false }
  start(listener, run)
  listener.waiting[#listener.waiting + 1] = waiter
  while not waiter.is_told do
    if not core_task.is_live(listener.task) then error("not enough memory", 0) end
    core_task.park(PATIENCE) -- it may not even begin
  end
  if waiter.err then return nil, waiter.err end
  return true
end

local function remove(listener, sub)
  local subs = listener.channels[sub.channel] or {}

  for i, other in ipairs(subs) do
    if other == sub then table.remove(subs, i) break end
  end
  if #subs > 0 then return end
  listener.channels[sub.channel] = nil
  if listener.session then
    core.send(listener.session, "unlisten " .. quote(sub.channel))
  end
end

-- ---- for luaqueduct.db ----------------------------------------------------------------------

--- What hears one channel.
local Subscription = {}
local subscription_mt = { __index = Subscription, __name = "luaqueduct.DatabaseSubscription" }

--- Ends it. A second call does nothing.
function Subscription:cancel()
  if self.is_over then return end
  self.is_over = true
  remove(self.listener, self)
end

subscription_mt.__close = Subscription.cancel
m.Subscription = Subscription

-- What ends a subscription that nobody has got.
local pending_mt = {}

function pending_mt:__close()
  if self.sub then self.sub:cancel() end
end

--- A listener on a database of its own, which is opened now.
function m.new(options)
  local own = {}

  for name, value in pairs(options) do own[name] = value end
  own.size, own.shared, own.listens = 1, false, true
  return { channels = {}, db = core.open(own), waiting = {} }
end

--- Waits until the server has confirmed. Returns the subscription, or nil and the error.
function m.subscribe(listener, channel, fn)
  local sub = setmetatable({ channel = channel, first = 1, fn = fn, last = 0,
    listener = listener, queue = {} }, subscription_mt)

  listener.channels[channel] = listener.channels[channel] or {}
  table.insert(listener.channels[channel], sub)
  local pending <close> = setmetatable({ sub = sub }, pending_mt)
  local ok, err = await(listener, channel)
  if not ok then return nil, err end
  pending.sub = nil
  return sub
end

--- Ends it with its database.
function m.close(listener)
  listener.is_closed = true
  listener.channels = {}
  listener.db:close()
  tell(listener, select(2, core.closed()))
end

return m
