--- Topics that TCP connections and WebSockets of all workers subscribe to: each gets its framing.

local client = require "spec.support.client"
local framed = require "spec.support.framed"
local proc = require "spec.proc"
local wait = require "spec.support.wait"
local ws = require "spec.support.ws"

local PREPARE = [[
local function subscribe(conn)
  conn:subscribe "news"
  conn:subscribe "news"
end
-- "+topic" and "-topic" subscribe, ">text" publishes, "=text" does, but to oneself, too.
local function obey(conn, s)
  local order, rest = s:sub(1, 1), s:sub(2)
  if order == "+" then conn:subscribe(rest)
  elseif order == "-" then conn:unsubscribe(rest)
  elseif order == ">" then conn:publish("news", rest)
  elseif order == "=" then aq.hub.publish("news", rest)
  end
  conn:send("did " .. order)
end
for _, kind in ipairs { "line", "u8", "u16", "u32" } do
  listen(kind, { framing = kind, open = subscribe, message = obey })
end
listen("raw", { framing = "raw", open = subscribe })
listen("large", { framing = "u32", max_buffered = "64M", open = function(conn)
  conn:subscribe "large"
end })
listen("full", { framing = "raw", max_buffered = "100K", open = function(conn)
  conn:subscribe "full"
end })
router:get("/ws", aq.websocket { deflate = false, open = subscribe })
router:get("/large", function()
  aq.sleep(0.01)
  aq.hub.publish("large", ("x"):rep(12 << 20))
  return "published"
end)
router:get("/part", function()
  aq.hub.publish("large", ("x"):rep(60000))
  return "published"
end)
router:get("/full", function()
  for _ = 1, 400 do aq.hub.publish("full", ("x"):rep(50000)) aq.sleep(0) end
  return "published"
end)
]]

-- What comes of a text for a WebSocket and for raw bytes.
local READ = {
  ws = function(conn) return (conn:read(2 + 5):sub(3)) end,
  raw = function(conn) return conn:read(5) end,
}

for _, workers in ipairs { 1, 4 } do
  describe(("topics with %d workers"):format(workers), function()
    local app

    setup(function() app = framed.start { prepare = PREPARE, workers = workers } end)
    teardown(function() app:stop { status = 0 } end)

    local function open_ws()
      local conn = app:connect()
      assert(conn:send(client.format("GET", "/ws", { headers = { Upgrade = "websocket",
        Connection = "Upgrade", ["Sec-WebSocket-Version"] = "13",
        ["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ==" } })))
      assert.are.equal(101, assert(conn:read_head()).status)
      return conn
    end

    local function open_all(count)
      local list = {}
      for _ = 1, count do
        for _, kind in ipairs(framed.KINDS) do
          list[#list + 1] = { kind = kind, conn = framed.connect(app, kind) }
        end
        list[#list + 1] = { kind = "ws", conn = open_ws() }
      end
      return list
    end

    local function read(one)
      return (READ[one.kind] or framed.read)(one.conn, one.kind)
    end

    --- Publishes until everyone has a text, and takes off what they have got of it.
    local function settle(list)
      local speaker <close> = framed.connect(app, "u8")
      for _, one in ipairs(list) do
        wait.till(function()
          speaker:send(framed.frame("u8", ">ready"))
          return wait.readable(one.conn.socket, 0.02)
        end)
      end
      speaker:send(framed.frame("u8", ">final"))
      for _, one in ipairs(list) do
        repeat until assert(read(one)) == "final"
      end
    end

    local function close_all(list)
      for _, one in ipairs(list) do one.conn:close() end
    end

    it("reach everyone once, each by its framing", function()
      local list = open_all(6)
      settle(list)
      local speaker <close> = framed.connect(app, "u16")

      for i = 1, 50 do speaker:send(framed.frame("u16", (">%05d"):format(i))) end
      for i = 1, 50 do
        for _, one in ipairs(list) do
          assert.are.equal(("%05d"):format(i), read(one), one.kind)
        end
      end
      close_all(list)
    end)

    it("are left out of what oneself publishes, and not of what others do", function()
      local list = open_all(1)
      settle(list)
      local speaker = list[2].conn -- by lines

      speaker:send ">hello\n=world\n>hello\n"
      local got = {}
      for i = 1, 4 do got[i] = framed.read(speaker, "line") end
      table.sort(got)
      assert.are.same({ "did =", "did >", "did >", "world" }, got)
      for i, one in ipairs(list) do
        if i ~= 2 then
          assert.are.same({ "hello", "world", "hello" }, { read(one), read(one), read(one) })
        end
      end
      close_all(list)
    end)

    it("skip a message that a framing cannot have, with a warning", function()
      local list = open_all(1)
      settle(list)
      local speaker <close> = framed.connect(app, "u32")
      local warning = 'messages on "news" did not fit the framing'
      local before = select(2, app:log():gsub(warning, ""))

      speaker:send(framed.frame("u32", ">a\nb\nc"))
      assert.are.equal("did >", framed.read(speaker, "u32"))
      wait.till(function() return select(2, app:log():gsub(warning, "")) > before end)
      speaker:send(framed.frame("u32", ">after"))
      for _, one in ipairs(list) do
        if one.kind ~= "line" then assert.are.equal("a\nb\nc", read(one)) end
        assert.are.equal("after", read(one))
      end
      close_all(list)
    end)

    it("are left by those who unsubscribe", function()
      local conn <close> = framed.connect(app, "u8")
      settle { { kind = "u8", conn = conn } }

      conn:send(framed.frame("u8", "-news"))
      assert.are.equal("did -", framed.read(conn, "u8"))
      conn:send(framed.frames("u8", { "-news", "-never", "=hello" }))
      for _, answer in ipairs { "did -", "did -", "did =" } do
        assert.are.equal(answer, framed.read(conn, "u8"))
      end
      conn:send(framed.frame("u8", "="))
      assert.are.equal("did =", framed.read(conn, "u8"))
    end)

    it("carry what the socket does not take at once", function()
      local conn <close> = framed.connect(app, "large")
      local want = (12 << 20) + 4

      repeat assert.are.equal("published", app:get "/large".body)
      until wait.readable(conn.socket, 0.3)
      assert.are.equal(want, #assert(conn:read(want)), app:log())
    end)

    it("do not stay behind while nothing else happens", function()
      local slow <close> = framed.connect(app, "large", { receive_buffer = 1024 })
      local asking <close> = app:connect()
      local began

      repeat
        assert(asking:get "/part")
      until wait.readable(slow.socket, 0.1)
      for _ = 1, 20 do
        began = proc.now()
        assert(slow:read(60004))
        assert.is_true(proc.now() - began < 0.5)
        assert(asking:get "/part")
      end
    end)

    it("end one that takes too little, and nobody else", function()
      local full <close> = framed.connect(app, "full")
      local other <close> = framed.connect(app, "u8")
      settle { { kind = "u8", conn = other } }

      wait.till(function()
        app:get "/full"
        return framed.count(app, "full slow") > 0
      end, 10)
      framed.wait_note(app, "full slow")
      assert.is_false(full:is_closed(0)) -- there is much to be read before that
      other:send(framed.frame("u8", "-news"))
      assert.are.equal("did -", framed.read(other, "u8"))
    end)

    it("take frames that are masked, too", function()
      local conn <close> = open_ws()
      conn:send(ws.frame { "text", "nobody listens" })
      conn:send(ws.frame { "ping", "x" })
      assert.are.equal("\x8a\1x", conn:read(3))
    end)
  end)
end
