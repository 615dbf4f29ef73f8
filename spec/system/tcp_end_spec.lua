--- aq.tcp.listen: how connections end, each once and for its reason, and what fails.

local framed = require "spec.support.framed"
local proc = require "spec.proc"
local wait = require "spec.support.wait"

local PREPARE = [[
listen("echo", { framing = "u8", message = echo })
listen("wait", { framing = "u8", message = function(conn, s)
  aq.sleep(0.1)
  conn:send(s)
end })
listen("idle", { framing = "u8", idle_timeout = 0.2, message = echo })
listen("pushed", { framing = "u8", idle_timeout = 0.2, open = function(conn)
  aq.spawn(function()
    for i = 1, 6 do
      aq.sleep(0.1)
      conn:send(tostring(i))
    end
  end)
end })
listen("busy", { framing = "u8", idle_timeout = 0.1, message = function(conn, s)
  aq.sleep(0.4)
  conn:send(s)
end })
listen("farewell", { framing = "u8", message = function(conn, s)
  conn:send(s)
  conn:send(("x"):rep(255))
  conn:close()
  conn:close()
  local sent, err = conn:send "late"
  note(("sent %s %s %s"):format(sent, err.code, conn))
  local ok, subscribed = conn:subscribe "topic"
  note(("subscribed %s %s"):format(ok, subscribed.code))
  conn:unsubscribe "topic"
end })
listen("much", { framing = "raw", max_buffered = "16M", message = function(conn)
  conn:send(("x"):rep(8 << 20))
  conn:close()
end })
listen("bad-open", { framing = "u8", open = function() error "in the opening" end, message = echo })
listen("late-open", { framing = "u8", message = echo, open = function(conn)
  conn:send "welcome"
  aq.sleep(0.05)
  error "in the late opening"
end })
listen("bad-message", { framing = "u8", message = function(conn, s)
  conn:send "first"
  if s == "wait" then aq.sleep(0.01) end
  error "in the message"
end })
listen("bad-close", { framing = "u8", message = echo, close = function(_, reason)
  if reason == "eof" then aq.sleep(0.01) end
  error "in the closing"
end })
listen("slow-close", { framing = "u8", message = echo, close = function(conn)
  aq.sleep(0.05)
  note("closed " .. tostring(conn) .. " " .. tostring(conn.context.last))
end })
listen("both", { framing = "u8", open = function(conn) conn.context.last = "open" end,
  message = function(conn, s)
    note("began " .. s)
    aq.sleep(0.05)
    conn.context.last = s
  end,
  close = function(conn) note("last " .. conn.context.last) end })
listen("bare", { framing = "line" })
]]

for _, workers in ipairs { 1, 4 } do
  describe(("the end of a connection, %d workers"):format(workers), function()
    local app

    setup(function() app = framed.start { prepare = PREPARE, workers = workers } end)
    teardown(function() app:stop { status = 0 } end)

    --- Runs fn with a connection; the note of the end must come once.
    local function ends(name, reason, fn, options)
      local text = name .. " " .. reason
      local before = framed.count(app, text)
      local conn <close> = framed.connect(app, name, options)

      fn(conn)
      framed.wait_note(app, text, before + 1)
    end

    local function send(conn, message)
      return conn:send(framed.frame("u8", message))
    end

    local function assert_read(conn, message)
      assert.are.equal(message, framed.read(conn, "u8"))
    end

    it("is eof when the client has said all", function()
      ends("echo", "eof", function(conn)
        send(conn, "one")
        conn:half_close()
        assert_read(conn, "one")
        assert.is_true(conn:is_closed())
      end)
      ends("echo", "eof", function(conn)
        send(conn, "one")
        assert_read(conn, "one")
        conn:close()
      end)
    end)

    it("is eof when a message is not whole", function()
      ends("echo", "eof", function(conn)
        conn:send "\5abc"
        conn:half_close()
        assert.is_true(conn:is_closed())
      end)
    end)

    it("comes behind what came before it, however long that takes", function()
      ends("wait", "eof", function(conn)
        conn:send(framed.frames("u8", { "one", "two", "three" }))
        conn:half_close()
        for _, message in ipairs { "one", "two", "three" } do assert_read(conn, message) end
        assert.is_true(conn:is_closed())
      end)
    end)

    it("is reset", function()
      ends("echo", "reset", function(conn)
        send(conn, "one")
        assert_read(conn, "one")
        conn:reset()
      end)
    end)

    it("is reset while a handler waits, which goes on", function()
      ends("both", "reset", function(conn)
        send(conn, "done")
        framed.wait_note(app, "began done")
        conn:reset()
        framed.wait_note(app, "last done")
      end)
    end)

    it("is idle when nothing goes either way", function()
      ends("idle", "idle", function(conn)
        local began = proc.now()
        for _ = 1, 4 do
          wait.readable(conn.socket, 0.1)
          send(conn, "still here")
          assert_read(conn, "still here")
        end
        assert.is_true(proc.now() - began > 0.35)
        assert.is_true(conn:is_closed())
      end)
    end)

    it("is not idle while half a message comes", function()
      ends("idle", "idle", function(conn)
        for _, byte in ipairs { "\3", "a", "b", "c" } do
          wait.readable(conn.socket, 0.1)
          conn:send(byte)
        end
        assert_read(conn, "abc")
        assert.is_true(conn:is_closed())
      end)
    end)

    it("is not idle while it is sent something", function()
      ends("pushed", "idle", function(conn)
        for i = 1, 6 do assert_read(conn, tostring(i)) end
        assert.is_true(conn:is_closed())
      end)
    end)

    it("is not idle while its handler waits", function()
      ends("busy", "idle", function(conn)
        send(conn, "long")
        assert_read(conn, "long")
        assert.is_true(conn:is_closed())
      end)
    end)

    it("is closed, and what was sent goes out first", function()
      local sent = framed.count(app, "sent nil closed luaqueduct.TcpSession (closed)")
      local subscribed = framed.count(app, "subscribed nil closed")

      ends("farewell", "closed", function(conn)
        send(conn, "one")
        send(conn, "two")
        assert_read(conn, "one")
        assert_read(conn, ("x"):rep(255))
        assert.is_true(conn:is_closed())
      end)
      framed.wait_note(app, "sent nil closed luaqueduct.TcpSession (closed)", sent + 1)
      framed.wait_note(app, "subscribed nil closed", subscribed + 1)
    end)

    it("is closed, and much that was sent goes out first", function()
      ends("much", "closed", function(conn)
        conn:send "go"
        assert.are.equal(8 << 20, #conn:read_all())
      end)
    end)

    it("is an error of open", function()
      ends("bad-open", "error", function(conn)
        assert.is_true(conn:is_closed())
        app:wait_log "in the opening"
        app:wait_log "error in open of a TCP connection"
      end)
    end)

    it("is an error of open that has waited, while messages wait for it", function()
      ends("late-open", "error", function(conn)
        send(conn, "early")
        assert_read(conn, "welcome")
        assert.is_true(conn:is_closed())
        app:wait_log "in the late opening"
      end)
    end)

    for _, how in ipairs { "at once", "wait" } do
      it("is an error of message, and what was sent goes out: " .. how, function()
        ends("bad-message", "error", function(conn)
          conn:send(framed.frames("u8", { how, "another" }))
          assert_read(conn, "first")
          assert.is_true(conn:is_closed())
          app:wait_log "error in message of a TCP connection"
        end)
      end)
    end

    it("is told once although close fails", function()
      ends("bad-close", "eof", function(conn) conn:half_close() end)
      app:wait_log "error in close of a TCP connection"
      ends("bad-close", "reset", function(conn) conn:reset() end)
    end)

    it("may take its time", function()
      local text = "closed luaqueduct.TcpSession (closed) nil"
      local before = framed.count(app, text)

      ends("slow-close", "eof", function(conn) conn:half_close() end)
      framed.wait_note(app, text, before + 1)
    end)

    it("comes behind open and all messages", function()
      local before = framed.count(app, "last three")

      ends("both", "eof", function(conn)
        conn:send(framed.frames("u8", { "one", "two", "three" }))
        conn:half_close()
      end)
      framed.wait_note(app, "last three", before + 1)
    end)

    it("needs no functions at all", function()
      ends("bare", "eof", function(conn)
        conn:send "one\n"
        conn:half_close()
        assert.is_true(conn:is_closed())
      end)
    end)

    it("leaves no descriptor and nothing in the figures", function()
      local fds = app:fds()

      for _ = 1, 50 do
        local conn <close> = framed.connect(app, "echo")
        send(conn, "one")
        assert_read(conn, "one")
      end
      wait.till(function() return app:fds() <= fds end)
      for _ = 1, 4 * workers do
        wait.till(function()
          return app:get "/stats/echo".body:find('"open":0', 1, true)
        end)
      end
    end)
  end)
end
