--- aq.tcp.listen: a client that sends too fast, one that reads too slowly, what is kept for both.

local framed = require "spec.support.framed"
local proc = require "spec.proc"
local wait = require "spec.support.wait"

local MIB = 1 << 20

local PREPARE = [[
listen("gate", { framing = "u16", message = function(conn)
  while conn:send "" do aq.sleep(0.01) end
end })
listen("one", { framing = "u8", message = function(conn, s)
  conn.context.inside = (conn.context.inside or 0) + 1
  if s == "2" then aq.sleep(0.01) elseif s == "3" then aq.sleep(0) end
  conn:send(s .. conn.context.inside)
  conn.context.inside = conn.context.inside - 1
end })
local function pour(conn, count, size)
  for i = 1, count do
    local sent, err = conn:send(("x"):rep(size))
    if sent ~= true then
      note "poured"
      return i, sent, err
    end
  end
  return count, true
end
listen("pour", { framing = "raw", max_buffered = "64M", message = function(conn)
  local count, sent = pour(conn, 1000, 16384)
  note(("stopped %s %s"):format(count < 1000, sent))
  conn.context.left = 1000 - count
end, drain = function(conn)
  note "drained"
  local count = pour(conn, conn.context.left, 16384)
  conn.context.left = conn.context.left - count
  if conn.context.left == 0 then conn:close() end
end })
listen("slow", { framing = "raw", max_buffered = "256K", message = function(conn)
  local sent, err
  for _ = 1, 1000 do
    sent, err = conn:send(("x"):rep(16384))
    if sent == nil then break end
  end
  note(("slow %s %s"):format(sent, err and err.code))
end })
listen("small", { framing = "raw", max_buffered = 10, message = function(conn)
  note("small " .. tostring(conn:send(("x"):rep(1000))))
  note("small " .. tostring(conn:send(("y"):rep(30000))))
end })
-- The client reads nothing until there is a note that it was poured.
listen("bad-drain", { framing = "raw", max_buffered = "64M", message = function(conn)
  pour(conn, 1000, 16384)
end, drain = function() error "in the draining" end })
listen("silent", { framing = "raw", max_buffered = "64M", message = function(conn)
  pour(conn, 1000, 16384)
end })
listen("late-drain", { framing = "raw", max_buffered = "64M", message = function(conn, s)
  if s == "more" then
    conn.context.has_more = true
  else
    pour(conn, 1000, 16384)
  end
end, drain = function(conn)
  note "draining"
  while not conn.context.has_more do aq.sleep(0.002) end
  conn:close()
end })
]]

--- Sends `bytes` again and again until the other side takes no more; returns how many it took.
local function flood(conn, bytes, most)
  local sent, at = 0, 1

  while sent < most and wait.writable(conn.socket, 0.3) do
    local last, _, partial = conn.socket:send(bytes, at)
    local upto = last or partial
    sent = sent + upto - at + 1
    at = upto < #bytes and upto + 1 or 1
  end
  return sent
end

--- Reads until the end, or `is_enough` says true; returns how many bytes.
local function swallow(conn, is_enough)
  local deadline, count = proc.now() + 10, 0

  repeat
    wait.readable(conn.socket, 0.02)
    local data, err, partial = conn.socket:receive(65536)
    count = count + #(data or partial)
    local is_over = (err and err ~= "timeout") or (is_enough and is_enough())
    assert(is_over or proc.now() < deadline, "the end does not come")
  until is_over
  return count
end

for _, workers in ipairs { 1, 4 } do
  describe(("what is kept, %d workers"):format(workers), function()
    local app

    before_each(function()
      app = framed.start { prepare = PREPARE, workers = workers, args = { "--write-timeout", "1" } }
    end)
    after_each(function() app:stop { status = 0 } end)

    it("is bounded for a client that sends while its handler waits", function()
      local before = app:rss()
      local conn <close> = framed.connect(app, "gate")

      local bytes = framed.frame("u16", ("x"):rep(16382)):rep(64)
      local sent = flood(conn, bytes, 64 * MIB)

      assert.is_true(sent < 32 * MIB, sent .. " bytes were taken")
      assert.is_true(app:rss() - before < 1024, app:rss() - before .. " KiB are kept")
    end)

    it("is handled one at a time, in order, whether a handler waits or not", function()
      local conn <close> = framed.connect(app, "one")
      local list, expected = {}, {}
      for i = 1, 300 do
        list[i] = tostring(i % 5)
        expected[i] = list[i] .. "1"
      end

      conn:send(framed.frames("u8", list))
      for i = 1, 300 do assert.are.equal(expected[i], (framed.read(conn, "u8"))) end
    end)

    it("lets send say false, and drain follow", function()
      local conn <close> = framed.connect(app, "pour")

      conn:send "go"
      framed.wait_note(app, "stopped true false")
      assert.are.equal(0, framed.count(app, "drained"))
      assert.are.equal(1000 * 16384, swallow(conn))
      assert.is_true(framed.count(app, "drained") > 0)
      framed.wait_note(app, "pour closed")
    end)

    it("ends a connection that takes too little, as slow", function()
      local conn <close> = framed.connect(app, "slow")

      conn:send "go"
      framed.wait_note(app, "slow slow")
      framed.wait_note(app, "slow nil closed")
      local count = 0
      for _ = 1, 8 * workers do
        count = math.max(count, tonumber(app:get "/stats/slow".body:match '"slow":(%d+)'))
      end
      assert.are.equal(1, count)
    end)

    it("ends one that takes nothing for the write timeout, as slow", function()
      local conn <close> = framed.connect(app, "silent")
      local began = proc.now()

      conn:send "go"
      framed.wait_note(app, "silent slow")
      assert.is_true(proc.now() - began > 0.9)
    end)

    it("is what the socket does not take, and nothing else", function()
      local conn <close> = framed.connect(app, "small")

      conn:send "go"
      framed.wait_note(app, "small true", 2)
      assert.are.equal(31000, #conn:read(31000))
    end)

    it("ends with an error of drain", function()
      local conn <close> = framed.connect(app, "bad-drain")

      conn:send "go"
      framed.wait_note(app, "poured")
      assert.is_true(swallow(conn) > 65536)
      framed.wait_note(app, "bad-drain error")
      app:wait_log "error in drain of a TCP connection"
    end)

    it("does not hold messages up while drain waits", function()
      local conn <close> = framed.connect(app, "late-drain")

      conn:send "go"
      framed.wait_note(app, "poured")
      swallow(conn, function() return framed.count(app, "draining") == 1 end)
      conn:send "more"
      swallow(conn)
      framed.wait_note(app, "late-drain closed")
    end)
  end)
end
