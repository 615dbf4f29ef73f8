--- aq.tcp.connect: connections to other servers, which this spec plays.

local socket = require "socket"
local client = require "spec.support.client"
local scale = require "spec.support.scale"
local server = require "spec.support.server"
local spec_peer = require "spec.support.peer"
local SOURCE = require "spec.support.tcp_app"
local wait = require "spec.support.wait"

local READ_LINES = [[
  local list = {}
  repeat
    local line, err = conn:read "line"
    list[#list + 1] = show(line, err)
  until not line
  return table.concat(list)
]]

--- Sends until the other side takes no more for a while; returns how many bytes.
local function fill(conn, most)
  local block, sent = ("x"):rep(65536), 0

  while sent < most do
    local last, _, partial = conn.socket:send(block)
    sent = sent + math.tointeger(last or partial)
    if not last and not select(2, socket.select(nil, { conn.socket }, 0.2))[1] then break end
  end
  return sent
end

for _, workers in ipairs { 1, 4 } do
  describe(("aq.tcp with %d workers"):format(workers), function()
    local app

    setup(function() app = server.start { source = SOURCE, workers = workers } end)
    teardown(function() app:stop { status = 0 } end)

    --- Sends code to be run; its result comes with `answer`.
    local function begin(path, port, code)
      local conn = app:connect()
      assert(conn:send(client.format("POST", path .. "?port=" .. port, { body = code })))
      return conn
    end

    local function answer(conn)
      local res = assert(conn:read_response())
      assert.are.equal(200, res.status, app:log())
      conn:close()
      return res.body
    end

    local function run(port, code)
      return answer(begin("/run", port, code))
    end

    --- Runs code with a connection, at whose other end `play` is; returns its result.
    local function with(code, play)
      local peer <close> = spec_peer.listen()
      local asking = begin("/with", peer.port, code)
      local conn <close> = peer:accept()
      play(conn)
      return answer(asking)
    end

    describe("connect()", function()
      it("connects to an IPv4 address, an IPv6 address and localhost", function()
        local code = "local c <close> = assert(aq.tcp.connect(%q, port)) return show(c:read(2))"

        for host, address in pairs {
          ["127.0.0.1"] = "127.0.0.1", ["::1"] = "::1", ["LocalHost"] = "127.0.0.1" }
        do
          local peer <close> = spec_peer.listen { host = address }
          local asking = begin("/run", peer.port, code:format(host))
          local conn <close> = peer:accept()
          conn:send "hi"
          assert.are.equal("[hi]", answer(asking))
        end
      end)

      it("tells that nobody listens, and where", function()
        local deaf <close> = spec_peer.deaf()

        assert.are.equal("ECONNREFUSED cannot connect to 127.0.0.1, port " .. deaf.port
          .. ": Connection refused", run(deaf.port, [[
            local conn, err = aq.tcp.connect("127.0.0.1", port)
            return conn == nil and err.code .. " " .. err.message]]))
      end)

      it("tries the next address", function()
        local peer <close> = spec_peer.listen { host = "::1" } -- nobody is at 127.0.0.1
        local asking = begin("/run", peer.port,
          [[local c <close> = assert(aq.tcp.connect("localhost", port)) return show(c:read(2))]])
        local conn <close> = peer:accept()
        conn:send "v6"

        assert.are.equal("[v6]", answer(asking))
      end)

      it("leaves time for the next address when one does not answer", function()
        local silent <close> = spec_peer.listen { backlog = 0 }
        silent:stall()
        local peer <close> = spec_peer.listen { host = "::1", port = silent.port }
        local asking = begin("/run", peer.port, [[local c <close> =
          assert(aq.tcp.connect("localhost", port, { timeout = 0.4 })) return show(c:read(2))]])
        local conn <close> = peer:accept()
        conn:send "v6"

        assert.are.equal("[v6]", answer(asking))
      end)

      it("gives up at the timeout", function()
        local silent <close> = spec_peer.listen { backlog = 0 }
        silent:stall()

        assert.are.equal("timeout true", run(silent.port, [[
          local began = aq.now()
          local conn, err = aq.tcp.connect("127.0.0.1", port, { timeout = 0.05 })
          local took = aq.now() - began
          return err.code .. " " .. tostring(took > 0.048 and took < 2)]]))
      end)

      it("raises for what is no host, port or option", function()
        assert.are.equal("", run(1, [[
          local list = {}
          for _, args in ipairs {
            { "", 1 }, { ("x"):rep(256), 1 }, { "a\0b", 1 }, { 5, 1 }, { "h" }, { "h", 0 },
            { "h", 65536 }, { "h", 1.5 }, { "h", 1, 5 }, { "h", 1, { timeout = 0 } },
            { "h", 1, { timeout = -1 } }, { "h", 1, { timeout = 0/0 } },
            { "h", 1, { timeout = "x" } }, { "h", 1, { tmeout = 1 } },
          } do
            if pcall(aq.tcp.connect, table.unpack(args)) then list[#list + 1] = args[1] end
          end
          return table.concat(list, " ")]]))
      end)

      it("raises where nothing can wait", function()
        assert.matches("cannot wait here", run(1, [[
          return select(2, pcall(string.gsub, "x", "x", function()
            aq.tcp.connect("127.0.0.1", port)
          end))]]))
      end)

      it("works in a user's coroutine", function()
        local peer <close> = spec_peer.listen()
        local asking = begin("/run", peer.port, [[
          local step = coroutine.wrap(function()
            local conn <close> = assert(aq.tcp.connect("127.0.0.1", port))
            coroutine.yield(conn:read(1))
            return conn:read(1)
          end)
          return step() .. step()]])
        local conn <close> = peer:accept()
        conn:send "ab"

        assert.are.equal("ab", answer(asking))
      end)
    end)

    describe("read()", function()
      it("gives exactly so many bytes", function()
        assert.are.equal("[abc][de][fghij]",
          with("return show(conn:read(3)) .. show(conn:read(2)) .. show(conn:read(5))",
            function(conn) conn:send "abcdefghij" end))
      end)

      it("gives as many as 16 MiB, and no more", function()
        local size = 16 * 1024 * 1024

        assert.are.equal(("%d false"):format(size), with([[
          local all = conn:read(16 * 1024 * 1024)
          return #all .. " " .. tostring((pcall(conn.read, conn, 16 * 1024 * 1024 + 1)))]],
          function(conn) assert(conn:send(("x"):rep(size))) end))
      end)

      it("takes LF, or CR LF, off a line", function()
        assert.are.equal("[one][two][][\rx\r][]<eof>", with(READ_LINES, function(conn)
          conn:send "one\r\ntwo\n\n\rx\r\r\n\r\n"
          conn:half_close()
        end))
      end)

      it("gives what is there", function()
        assert.are.equal("[abc][d][nil]", with([[
          local first = conn:read "some"
          conn:write "go on\n"
          return show(first) .. show(conn:read()) .. show(nil)]], function(conn)
          conn:send "abc"
          assert.are.equal("go on\n", conn:read(6))
          conn:send "d"
        end))
      end)

      it("gives the same wherever the bytes are cut", function()
        local bytes = "12345one\r\ntwo\n\r\nend"
        local peer <close> = spec_peer.listen()

        for cut = 0, #bytes do
          local asking = begin("/with", peer.port, [[
            local list = { show(conn:read(5)), show(conn:read "line"), show(conn:read "line"),
              show(conn:read "line"), show(conn:read(3)), show(conn:read "line"),
              show(conn:read(1)), show(conn:read "some") }
            return table.concat(list)]])
          local conn <close> = peer:accept()
          conn:send_pieces { bytes:sub(1, cut), bytes:sub(cut + 1) }
          conn:half_close()

          assert.are.equal("[12345][one][two][][end]<eof><eof><eof>", answer(asking))
        end
      end)

      it("refuses a line beyond 64 KiB, whole or in pieces", function()
        local line = ("x"):rep(65536)
        local code = [[
          local got, err = conn:read "line"
          return got and tostring(#got) or err.code]]

        for _, ending in ipairs { "\n", "\r\n" } do
          assert.are.equal("65536", with(code, function(conn) conn:send(line .. ending) end))
          assert.are.equal("too_large",
            with(code, function(conn) conn:send(line .. "x" .. ending) end))
        end
        for _, cut in ipairs { 1, 65535, 65536, 65537, 65538 } do
          assert.are.equal("65536", with(code, function(conn)
            local bytes = line .. "\r\n"
            conn:send_pieces { bytes:sub(1, cut), bytes:sub(cut + 1) }
          end))
        end
        assert.are.equal("too_large", with(code, function(conn) conn:send(line .. "x") end))
        assert.are.equal("too_large", with(code, function(conn) conn:send(line .. "\rx") end))
      end)

      it("keeps what has come when its time is up", function()
        assert.are.equal("<timeout><timeout><timeout>[abcdef]", with([[
          local list = { show(conn:read(6, 0.02)), show(conn:read("line", 0)) }
          list[3] = show(conn:read(6, 0.02))
          conn:write "more"
          list[4] = show(conn:read(6, 5))
          return table.concat(list)]], function(conn)
          conn:send "abc"
          assert.are.equal("more", conn:read(4))
          conn:send "def"
        end))
      end)

      it("gives what came before the end, then tells of it every time", function()
        assert.are.equal("<eof>[ab]<eof><eof>", with([[
          return show(conn:read(3)) .. show(conn:read "some") .. show(conn:read "some")
            .. show(conn:read "line")]], function(conn)
          conn:send "ab"
          conn:half_close()
        end))
      end)

      it("gives what came before a reset, then tells of it", function()
        assert.are.equal("[ab]<ECONNRESET>", with([[
          local first = show(conn:read(2))
          conn:write "now"
          return first .. show(conn:read(1))]], function(conn)
          conn:send "ab"
          assert.are.equal("now", conn:read(3))
          conn:reset()
        end))
      end)

      it("goes on writing behind the end of the other side", function()
        assert.are.equal("<eof>[true]", with("return show(conn:read(1)) .. show(conn:write 'bye')",
          function(conn)
            conn:half_close()
            assert.are.equal("bye", conn:read_all())
          end))
      end)

      it("reads no further than a mark ahead", function()
        local peer <close> = spec_peer.listen()
        local asking = begin("/run", peer.port, [[
          local conn <close> = assert(aq.tcp.connect("127.0.0.1", port))
          local go <close> = assert(aq.tcp.connect("127.0.0.1", port))
          local count = #conn:read(1) + #go:read(1)
          repeat
            local piece = conn:read()
            count = count + (piece and #piece or 0)
          until not piece
          return tostring(count - 1)]])
        local conn <close> = peer:accept()
        local go <close> = peer:accept()
        local most = 64 * 1024 * 1024

        local sent = fill(conn, most)
        go:send "g"
        conn:half_close()

        assert.is_true(sent < most / 4, sent .. " bytes taken")
        assert.are.equal(tostring(sent), answer(asking))
      end)

      it("raises for what it cannot read", function()
        assert.are.equal("", with([[
          local list = {}
          local wrong = { { 0 }, { -1 }, { 1.5 }, { "all" }, { {} }, { 1, -1 }, { 1, "x" } }
          for _, args in ipairs(wrong) do
            if pcall(conn.read, conn, table.unpack(args)) then list[#list + 1] = args[1] end
          end
          return table.concat(list, " ")]], function() end))
      end)

      it("raises for a second reader, and the first one goes on", function()
        assert.are.equal("another task reads this stream [abc]", with([[
          local first = aq.spawn(function() kept.got = show(conn:read(3)) end)
          aq.sleep(0.001)
          local _, err = pcall(conn.read, conn, 1)
          conn:write "now"
          while not kept.got do aq.sleep(0.001) end
          local got = kept.got
          kept.got = nil
          return err .. " " .. got]], function(conn)
          assert.are.equal("now", conn:read(3))
          conn:send "abc"
        end))
      end)
    end)

    describe("write()", function()
      it("sends what it is given, in order", function()
        local text = ""

        assert.are.equal("[true]", with([[
          for i = 1, 1000 do assert(conn:write(i .. "\n")) end
          return show(conn:write "")]], function(conn) text = assert(conn:read_all()) end))
        local i = 0
        for line in text:gmatch "%d+" do
          i = i + 1
          assert.are.equal(i, tonumber(line))
        end
        assert.are.equal(1000, i)
      end)

      it("waits while the other side does not read", function()
        local size = 8 * 1024 * 1024

        assert.are.equal("waited [true]", with([[
          local is_done, result = false, nil
          aq.spawn(function()
            result = show(conn:write(("x"):rep(8 * 1024 * 1024)))
            is_done = true
          end)
          aq.sleep(0.02)
          local how = is_done and "did not wait" or "waited"
          conn:read(1)
          while not is_done do aq.sleep(0.001) end
          return how .. " " .. result]], function(conn)
          assert(conn:send "y")
          assert.are.equal(size, #assert(conn:read_all()))
        end))
      end)

      it("tells when the other side is gone", function()
        assert.are.equal("gone", with([[
          conn:write "x"
          conn:read(1)
          for _ = 1, 1000 do
            local ok, err = conn:write(("x"):rep(1000))
            if not ok then
              return (err.code == "EPIPE" or err.code == "ECONNRESET") and "gone" or err.code
            end
            aq.sleep(0.001)
          end]], function(conn)
          assert.are.equal("x", conn:read(1))
          conn:reset()
        end))
      end)

      it("ends its wait when the other side goes", function()
        assert.are.equal("gone", with([[
          local ok, err = conn:write(("x"):rep(32 * 1024 * 1024))
          return ok == nil and (err.code == "EPIPE" or err.code == "ECONNRESET") and "gone"
            or tostring(ok)]], function(conn)
          assert(conn:read(1000))
          conn:reset()
        end))
      end)

      it("raises for a second writer", function()
        assert.are.equal("another task writes to this stream", with([[
          aq.spawn(function() conn:write(("x"):rep(8 * 1024 * 1024)) end)
          aq.sleep(0.001)
          local _, err = pcall(conn.write, conn, "y")
          return err]], function(conn)
          assert(conn:read_all())
        end))
      end)

      it("raises where it cannot wait, and sends nothing of it", function()
        assert.are.equal("false", with([[
          local ok = pcall(string.gsub, "x", "x", function()
            conn:write(("x"):rep(100000))
          end)
          return tostring(ok)]], function(conn)
          assert.are.equal("", conn:read_all())
        end))
      end)
    end)

    describe("close()", function()
      it("sends what was written first, to who reads late", function()
        local size = 4 * 1024 * 1024
        local peer <close> = spec_peer.listen()
        local asking = begin("/run", peer.port, [[
          local conn = assert(aq.tcp.connect("127.0.0.1", port))
          aq.spawn(function() conn:write(("x"):rep(4 * 1024 * 1024)) end)
          aq.sleep(0.001)
          conn:close()
          conn:close()
          return show(conn:write "x") .. show(conn:read(1)) .. tostring(conn)]])
        local conn <close> = peer:accept()

        assert.are.equal("<closed><closed>luaqueduct.TcpConnection (closed)", answer(asking))
        assert.are.equal(size, #assert(conn:read_all()))
      end)

      it("ends the waits of other tasks", function()
        assert.are.equal("<closed>", with([[
          local result
          aq.spawn(function() result = show(conn:read(1)) end)
          aq.sleep(0.001)
          conn:close()
          while not result do aq.sleep(0.001) end
          return result]], function(conn) assert.are.equal("", conn:read_all()) end))
      end)

      it("loses nothing when the other side sends on", function()
        assert.are.equal("[true]", with([[
          conn:read(1)
          return show(conn:write(("x"):rep(30000)))]], function(conn)
          for _ = 1, 200 do assert(conn:send(("y"):rep(1000))) end
          assert.are.equal(30000, #assert(conn:read_all()))
        end))
      end)
    end)

    describe("a connection", function()
      local function opened(code)
        local peer = spec_peer.listen()
        local asking = begin("/run", peer.port, code)
        local conn = peer:accept()
        peer:close()
        return conn, asking
      end

      it("is closed when the task that opened it is cancelled", function()
        local conn <close>, asking = opened [[
          local handle = aq.spawn(function()
            kept.conn = assert(aq.tcp.connect("127.0.0.1", port))
            kept.conn:write "begun"
            aq.sleep(60)
          end)
          while not kept.conn do aq.sleep(0.001) end
          handle:cancel()
          local how = tostring(kept.conn)
          kept.conn = nil
          return how]]

        assert.are.equal("begun", conn:read_all())
        assert.are.equal("luaqueduct.TcpConnection (closed)", answer(asking))
      end)

      it("is closed when that task waits for it", function()
        local conn <close>, asking = opened [[
          aq.tcp.connect("127.0.0.1", port):read(1)]]

        asking:reset() -- the client leaves: its handler is cancelled
        assert.are.equal("", conn:read_all())
      end)

      it("is closed when that task fails", function()
        local conn <close>, asking = opened [[
          kept.failed = assert(aq.tcp.connect("127.0.0.1", port))
          error "no"]]

        assert.are.equal("", conn:read_all())
        assert.are.equal(500, assert(asking:read_response()).status)
      end)

      it("outlives a task that ends, in other hands", function()
        local peer <close> = spec_peer.listen()
        local asking = begin("/run", peer.port, [[
          local conn
          aq.spawn(function() conn = assert(aq.tcp.connect("127.0.0.1", port)) end)
          while not conn do aq.sleep(0.001) end
          for _ = 1, 10 do aq.spawn(function() end) aq.sleep(0.001) end
          return show(conn:read(3))]])
        local conn <close> = peer:accept()
        conn:send "abc"

        assert.are.equal("[abc]", answer(asking))
      end)

      it("is closed when it is collected", function()
        local conn <close>, asking = opened [[
          do local conn = assert(aq.tcp.connect("127.0.0.1", port)) end
          aq.sleep(0.001)
          collectgarbage()
          collectgarbage()
          return "collected"]]

        assert.are.equal("collected", answer(asking))
        assert.are.equal("", conn:read_all())
      end)

      it("is given up while it connects when its task is cancelled", function()
        local silent <close> = spec_peer.listen { backlog = 0 }
        silent:stall()

        assert.are.equal("cancelled", run(silent.port, [[
          local handle = aq.spawn(function()
            aq.tcp.connect("127.0.0.1", port, { timeout = 30 })
          end)
          aq.sleep(0.001)
          handle:cancel()
          return "cancelled"]]))
      end)
    end)

    it("leaves no descriptor behind", function()
      local peer <close> = spec_peer.listen()
      local silent <close> = spec_peer.listen { backlog = 0 }
      local deaf <close> = spec_peer.deaf()
      silent:stall()
      local count = scale(1000, 20000)
      run(peer.port, "return ''")
      local before = app:fds()

      local asking = begin("/run", peer.port, ([[
        local count, silent, deaf = %d, %d, %d
        for i = 1, count do
          local how = i %% 4
          if how == 0 then
            assert(not aq.tcp.connect("127.0.0.1", deaf))
          elseif how == 1 then
            aq.spawn(aq.tcp.connect, "127.0.0.1", silent):cancel()
            local handle = aq.spawn(aq.tcp.connect, "127.0.0.1", silent)
            aq.sleep(0)
            handle:cancel()
          else
            local conn = assert(aq.tcp.connect("127.0.0.1", port))
            conn:write "x"
            assert(conn:read(1))
            if how == 2 then conn:close() end
          end
        end
        collectgarbage()
        return "done"]]):format(count, silent.port, deaf.port))
      for i = 1, count do
        if i % 4 >= 2 then
          local conn <close> = peer:accept()
          assert.are.equal("x", conn:read(1))
          conn:send "y"
        end
      end

      assert.are.equal("done", answer(asking))
      wait.till(function() return app:fds() <= before end, 10,
        "descriptors to be closed")
    end)
  end)
end
