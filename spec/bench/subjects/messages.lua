--- Streams of 100-byte strings from worker 1, to one other worker and to all of them.
--
-- `stream` is how many a second the receiver has got; `one` and `all` are the ns of CPU that a
-- message takes of the sender. A receiver grants further messages, so that no queue runs over.
--
-- Run: BENCH_MESSAGES=1000000 build/luaqueduct serve -j 9 -p 0 spec/bench/subjects/messages.lua

local aq = require "luaqueduct"
local App = aq.channel()

local GRANT, AHEAD = 8192, 32768
local count = (tonumber(os.getenv "BENCH_MESSAGES") or 1000000) // GRANT * GRANT
local text = ("x"):rep(100)
local id, workers = aq.instance.id, aq.instance.workers

local function receive(topic)
  local got = 0
  aq.hub.subscribe(topic, function()
    got = got + 1
    if got % GRANT == 0 then aq.hub.send(1, "grant", topic) end
  end)
end

--- Sends to `receivers` workers and waits until all have got everything.
---@async
local function stream(topic, receivers)
  local publish, granted, least, sent = aq.hub.publish, {}, 0, 0
  local function send()
    local till = math.min(count, least + AHEAD)
    for _ = sent + 1, till do publish(topic, text) end
    sent = till
  end
  local grants = aq.hub.subscribe("grant", function(_, from)
    granted[from] = (granted[from] or 0) + GRANT
    least = math.huge
    for worker = 2, receivers + 1 do least = math.min(least, granted[worker] or 0) end
    send()
  end)
  send()
  while least < count do aq.sleep(0.001) end
  grants:cancel()
end

--- Seconds of CPU that this thread has had.
local function thread_time()
  local file <close> = assert(io.open "/proc/thread-self/schedstat")
  return tonumber(file:read "a":match "^%d+") * 1e-9
end

---@async
local function measure(name, topic, receivers)
  local from, cpu = aq.now(), thread_time()
  stream(topic, receivers)
  local seconds = aq.now() - from
  if receivers == 1 then io.write(("stream %.0f\n"):format(count / seconds)) end
  io.write(("%s %.2f\n"):format(name, (thread_time() - cpu) / count * 1e9))
end

function App.prepare()
  if id == 1 then return end
  receive "all"
  if id == 2 then receive "one" end
end

function App.ready()
  if id ~= 1 then return end
  stream("one", 1)
  measure("one", "one", 1)
  if workers > 2 then measure("all", "all", workers - 1) end
  io.write "done\n"
  io.flush()
end

function App.entry_point() return aq.router() end

return App
