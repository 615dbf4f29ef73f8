--- aq.tcp.listen: messages by each framing, whole, cut anywhere, many at once, and their limits.

local framed = require "spec.support.framed"

local LIMIT = 40

local PREPARE = [[
for _, kind in ipairs { "raw", "line", "u8", "u16", "u32" } do
  listen(kind, { framing = kind, message = echo })
  listen("small-" .. kind, { framing = kind, max_message = 40, message = echo })
  listen("count-" .. kind, { framing = kind, message = function(conn, s)
    conn.context.count = (conn.context.count or 0) + 1
    conn:send(("%d:%s"):format(conn.context.count, s))
  end })
end
listen("wait", { framing = "u8", message = function(conn, s)
  aq.sleep(0.001)
  conn:send(s)
end })
listen("send", { framing = "u8", message = function(conn, s)
  local ok, err = pcall(conn.send, conn, ("x"):rep(256))
  conn:send(ok and "sent" or err)
end })
listen("send-line", { framing = "line", message = function(conn, s)
  for _, text in ipairs { "a\nb", "\n", "a\r", ("x"):rep(65537) } do
    local ok, err = pcall(conn.send, conn, text)
    conn:send(ok and "sent" or err)
  end
  conn:send(("x"):rep(65536))
  conn:send "a\rb"
end })
listen("large", { framing = "u32", max_message = "8M", max_buffered = "16M", message = echo })
listen("ignored", { framing = "u8" })
]]

-- Each with what would be mistaken for something else: lengths, ends, zeros.
local MESSAGES = {
  line = { "one", "", "a\rb", ("x"):rep(300), "\r\r", "\0" },
  u8 = { "one", "", "\n", ("x"):rep(255), "\0\0" },
  u16 = { "one", "", "\n", ("x"):rep(300), "\0\0\0" },
  u32 = { "one", "", "\n", ("x"):rep(300), "\0\0\0\0\0" },
}

for _, workers in ipairs { 1, 4 } do
  describe(("aq.tcp.listen with %d workers"):format(workers), function()
    local app

    setup(function() app = framed.start { prepare = PREPARE, workers = workers } end)
    teardown(function() app:stop { status = 0 } end)

    local function read_all(conn, kind, messages)
      for i, message in ipairs(messages) do
        assert.are.equal(message:gsub("\r+$", ""), (framed.read(conn, kind)), "message " .. i)
      end
    end

    for kind, messages in pairs(MESSAGES) do
      -- A line that ends with a return cannot be sent back.
      local echoed = {}
      for _, message in ipairs(messages) do
        if kind ~= "line" or not message:find "\r$" then echoed[#echoed + 1] = message end
      end

      it("takes messages one by one: " .. kind, function()
        local conn <close> = framed.connect(app, kind)

        for _, message in ipairs(echoed) do
          conn:send(framed.frame(kind, message))
          assert.are.equal(message, framed.read(conn, kind))
        end
      end)

      it("takes many in one segment: " .. kind, function()
        local conn <close> = framed.connect(app, kind)
        local list = {}
        for _ = 1, 100 do table.move(echoed, 1, #echoed, #list + 1, list) end

        conn:send(framed.frames(kind, list))
        read_all(conn, kind, list)
      end)

      it("takes them cut at every byte: " .. kind, function()
        local short = { "one", "", "a\rb", "\0\0" }
        local bytes = framed.frames(kind, short)
        local conn <close> = framed.connect(app, kind)

        for at = 1, #bytes - 1 do
          conn:send_pieces { bytes:sub(1, at), bytes:sub(at + 1) }
          read_all(conn, kind, short)
        end
      end)

      it("takes them byte by byte: " .. kind, function()
        local bytes, pieces = framed.frames(kind, echoed), {}
        for i = 1, #bytes do pieces[i] = bytes:sub(i, i) end
        local conn <close> = framed.connect(app, kind)

        conn:send_pieces(pieces)
        read_all(conn, kind, echoed)
      end)
    end

    it("takes what comes as a message when it is raw", function()
      local conn <close> = framed.connect(app, "raw")

      conn:send "\0one\n"
      assert.are.equal("\0one\n", conn:read(5))
      conn:send(("x"):rep(200000))
      assert.are.equal(("x"):rep(200000), conn:read(200000))
    end)

    it("cuts raw bytes into messages that are not too large", function()
      local conn <close> = framed.connect(app, "small-raw")

      conn:send(("x"):rep(1000))
      assert.are.equal(1000, #conn:read(1000))
    end)

    it("takes a return in front of a line feed off", function()
      local conn <close> = framed.connect(app, "count-line")

      conn:send "one\r\n\r\n\r\r\ntwo\n"
      assert.are.equal("1:one\n2:\n", conn:read(9))
      conn:send_pieces { "three\r", "\n" }
    end)

    it("takes a return off that comes alone", function()
      local conn <close> = framed.connect(app, "line")

      conn:send_pieces { "three", "\r", "\n" }
      assert.are.equal("three", framed.read(conn, "line"))
    end)

    it("takes one at a time while its handler waits", function()
      local conn <close> = framed.connect(app, "wait")
      local list = {}
      for i = 1, 200 do list[i] = tostring(i) end

      conn:send(framed.frames("u8", list))
      read_all(conn, "u8", list)
    end)

    it("takes large ones", function()
      local conn <close> = framed.connect(app, "large")
      local message = ("0123456789abcdef"):rep(8 * 65536)

      conn:send(framed.frame("u32", message))
      assert.is_true(message == framed.read(conn, "u32"))
    end)

    it("takes messages that nobody handles", function()
      local conn <close> = framed.connect(app, "ignored")

      conn:send(framed.frames("u8", { "one", "two" }))
      assert.is_false(conn:is_closed(0.05))
      conn:half_close()
      assert.is_true(conn:is_closed())
    end)

    for _, kind in ipairs { "line", "u8", "u16", "u32" } do
      it("takes a message as long as the limit, and none longer: " .. kind, function()
        local name, before = "small-" .. kind, framed.count(app, "small-" .. kind .. " too_large")
        local conn <close> = framed.connect(app, name)

        conn:send(framed.frame(kind, ("x"):rep(LIMIT)))
        assert.are.equal(("x"):rep(LIMIT), framed.read(conn, kind))
        conn:send(framed.frames(kind, { "a", ("x"):rep(LIMIT + 1), "b" }))
        assert.are.equal("a", framed.read(conn, kind))
        assert.is_true(conn:is_closed())
        framed.wait_note(app, name .. " too_large", before + 1)
      end)
    end

    it("refuses a length before the body has come", function()
      for kind, head in pairs { u8 = "\41", u16 = "\0\41", u32 = "\xff\xff\xff\xff" } do
        local conn <close> = framed.connect(app, "small-" .. kind)

        conn:send(head)
        assert.is_true(conn:is_closed(), kind)
      end
    end)

    it("takes a line as long as the limit with each end", function()
      local conn <close> = framed.connect(app, "small-line")

      for _, ending in ipairs { "\n", "\r\n" } do
        conn:send(("x"):rep(LIMIT) .. ending)
        assert.are.equal(("x"):rep(LIMIT), framed.read(conn, "line"))
      end
      conn:send(("x"):rep(LIMIT + 1))
      assert.is_true(conn:is_closed())
    end)

    it("takes lines of 64 KiB, and none longer", function()
      local conn <close> = framed.connect(app, "line")

      conn:send(("x"):rep(65536) .. "\r\n")
      assert.are.equal(65537, #conn:read(65537))
      conn:send(("x"):rep(65537) .. "\n")
      assert.is_true(conn:is_closed())
    end)

    it("raises for what cannot be framed", function()
      local conn <close> = framed.connect(app, "send")
      conn:send(framed.frame("u8", "go"))
      assert.are.equal("the message is longer than the framing allows", framed.read(conn, "u8"))

      local lines <close> = framed.connect(app, "send-line")
      lines:send "go\n"
      local text = "a line that is sent has no line feed inside and no carriage return at its end"
      for _ = 1, 3 do assert.are.equal(text, framed.read(lines, "line")) end
      assert.are.equal("the message is longer than the framing allows", framed.read(lines, "line"))
      assert.are.equal(65536, #framed.read(lines, "line"))
      assert.are.equal("a\rb", framed.read(lines, "line"))
    end)
  end)
end
