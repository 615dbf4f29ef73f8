--- req:detach(): the connection as a stream in the hands of the handler.

local client = require "spec.support.client"
local server = require "spec.support.server"

local SOURCE = [[
local aq = require "luaqueduct"
local router = aq.router()

local function describe(value, err)
  return value and ("[%s]"):format(value) or ("<%s>"):format(err.code)
end

router:get("/read", function(req)
  local stream <close> = assert(req:detach())
  while true do
    local line, err = stream:read "line"
    if not line then
      stream:write(describe(line, err) .. "\n")
      return nil
    end
    local what, seconds = line:match "^(%S+)%s*(%S*)$"
    stream:write(describe(stream:read(tonumber(what) or what, tonumber(seconds))) .. "\n")
  end
end)
router:get("/close", function(req)
  local stream = assert(req:detach())
  stream:write "last words"
  stream:close()
  stream:close()
  print("write after close: " .. describe(stream:write "more"))
  print("read after close: " .. describe(stream:read "some"))
end)
router:get("/large", function(req)
  local stream <close> = assert(req:detach())
  for i = 0, 63 do assert(stream:write(string.char(i):rep(65536))) end
end)
router:get("/gone", function(req)
  local stream <close> = assert(req:detach())
  stream:write "begun\n"
  local value, err = stream:read "line"
  print("gone: " .. describe(value, err))
end)
router:get("/later", function(req)
  local stream = assert(req:detach())
  aq.spawn(function()
    aq.sleep(0.02)
    stream:write("later " .. stream:read(3))
    stream:close()
  end)
end)
router:get("/two", function(req)
  local stream <close> = assert(req:detach())
  aq.spawn(pcall, stream.read, stream, 1)
  aq.sleep(0.002)
  stream:write(select(2, pcall(stream.read, stream, 1)) .. "\n")
end)
router:get("/misuse", function(req)
  local stream <close> = assert(req:detach())
  local list = {}
  for _, what in ipairs { 0, -1, "word", 1.5 } do
    list[#list + 1] = tostring(pcall(stream.read, stream, what))
  end
  stream:write(table.concat(list, " ") .. "\n")
end)
router:get("/slow", function() aq.sleep(0.05) return "slow" end)
router:get("/try", function(req)
  local stream, err = req:detach()
  if not stream then return "refused: " .. tostring(err) end
  stream:write "got it"
  stream:close()
end)
router:get("/forgotten", function() return nil end)
router:get("/answers", function(req)
  local stream <close> = assert(req:detach())
  stream:write "mine\n"
  return "an answer"
end)
return router
]]

for _, workers in ipairs { 1, 4 } do
  describe(("req:detach() with %d workers"):format(workers), function()
    local app

    setup(function() app = server.start { source = SOURCE, workers = workers } end)
    teardown(function() app:stop { status = 0 } end)

    local function detach(path, behind)
      local conn = app:connect()
      conn:send(client.format("GET", path) .. (behind or ""))
      return conn
    end

    local function says(conn, text)
      assert.are.equal(text, (conn:read(#text)))
    end

    it("reads counts, lines and what is there", function()
      local conn <close> = detach "/read"

      conn:send "5\nhello"
      says(conn, "[hello]\n")
      conn:send "line\r\na line\r\n"
      says(conn, "[a line]\n")
      conn:send "line\n\n"
      says(conn, "[]\n")
      conn:send "some\n"
      conn:send "x"
      says(conn, "[x]\n")
    end)

    it("reads what came with the head, and a count in pieces", function()
      local conn <close> = detach("/read", "3\nabc4\nde")

      says(conn, "[abc]\n")
      conn:send_pieces { "f", "g" }
      says(conn, "[defg]\n")
    end)

    it("gives up at the timeout and can go on", function()
      local conn <close> = detach("/read", "6 0.02\n5")

      says(conn, "<timeout>\n")
      conn:send "\nhello" -- what had come is still there
      says(conn, "[hello]\n")
    end)

    it("tells of the end, and may still write", function()
      local conn <close> = detach "/read"

      conn:half_close()
      assert.are.equal("<eof>\n", (conn:read_all()))
    end)

    it("tells of an end within a count", function()
      local conn <close> = detach("/read", "10\nshort")

      conn:half_close()
      assert.matches("^<eof>\n", (conn:read_all()))
    end)

    it("ends for a line beyond 64 KiB", function()
      local conn <close> = detach("/read", "line\n" .. ("x"):rep(70000))

      says(conn, "<too_large>\n")
    end)

    it("sends what was written before it closes", function()
      local conn <close> = detach "/close"

      assert.are.equal("last words", (conn:read_all()))
      app:wait_log "write after close: <closed>"
      app:wait_log "read after close: <closed>"
    end)

    it("waits for a slow reader and sends all of it", function()
      local conn <close> = detach "/large"
      local all = conn:read_all()

      assert.are.equal(64 * 65536, #all)
      for i = 0, 63 do assert.are.equal(i, all:byte(i * 65536 + 1)) end
    end)

    it("tells of a reset", function()
      local conn = detach "/gone"
      says(conn, "begun\n")
      conn:reset()

      app:wait_log "gone: <"
    end)

    it("lives on after the handler has returned", function()
      local conn <close> = detach("/later", "abc")

      assert.are.equal("later abc", (conn:read_all()))
    end)

    it("has one reader, and raises for what cannot be read", function()
      local two <close> = detach "/two"
      local misuse <close> = detach "/misuse"

      assert.matches("another task reads", (two:read_all()))
      assert.are.equal("false false false false\n", (misuse:read_all()))
    end)

    it("is refused while an answer before it is not out", function()
      local conn <close> = app:connect()
      local answers = assert(conn:pipeline { { "GET", "/slow" }, { "GET", "/try" } })

      assert.are.equal("slow", answers[1].body)
      assert.matches("^refused: .", answers[2].body)
    end)

    it("is granted behind an answer that is out", function()
      local conn <close> = app:connect()
      assert.are.equal("slow", conn:get("/slow").body)

      conn:send(client.format("GET", "/try"))
      assert.are.equal("got it", (conn:read_all()))
    end)

    it("takes an answer from nobody, and nil only from who detached", function()
      local conn <close> = detach "/answers"

      assert.are.equal("mine\n", (conn:read_all()))
      assert.are.equal(500, app:get("/forgotten").status)
    end)
  end)
end
