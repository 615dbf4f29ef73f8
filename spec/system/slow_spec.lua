--- Peers that are slow, silent or never end: each has a deadline, and what it gets is told.

local client = require "spec.support.client"
local proc = require "spec.proc"
local server = require "spec.support.server"
local socket = require "socket"
local wait = require "spec.support.wait"

local APP = [[
local aq = require "luaqueduct"
local router = aq.router()
router:get("/", function() return "hello" end)
router:get("/wait", function() aq.sleep(0.1) return "waited" end)
router:get("/big", function() return ("x"):rep(8000000) end)
router:get("/endless", function()
  return aq.stream(function(write) while write(("x"):rep(50000)) do end end)
end)
router:post("/read", function(req) return assert(req:body()) end)
router:post("/ignore", function() return "ignored" end)
return router
]]

-- Every limit of the server; what is over is gone a tick of the wheel (1 s) later.
local LIMIT, TICK, SLACK = 1, 1, 1.5
local HEAD = "POST %s HTTP/1.1\r\nHost: a\r\n"
local ONE = client.format("GET", "/")

local function post(path, lines, body)
  return HEAD:format(path) .. lines .. "\r\n\r\n" .. (body or "")
end

--- What is sent at once and then nothing more -> the statuses that come, then the end.
local SILENT = {
  ["nothing at all"] = { "" },
  ["an empty line"] = { "\r\n", 408 },
  ["half a method"] = { "GE", 408 },
  ["half a request line"] = { "GET / HT", 408 },
  ["half a head"] = { "GET / HTTP/1.1\r\nHost: a\r\n", 408 },
  ["no body"] = { post("/read", "Content-Length: 5"), 408 },
  ["half a body"] = { post("/read", "Content-Length: 5", "ab"), 408 },
  ["no chunk"] = { post("/read", "Transfer-Encoding: chunked"), 408 },
  ["half a chunk's size"] = { post("/read", "Transfer-Encoding: chunked", "1"), 408 },
  ["half a chunk"] = { post("/read", "Transfer-Encoding: chunked", "5\r\nab"), 408 },
  ["half an extension"] = { post("/read", "Transfer-Encoding: chunked", "5;ab"), 408 },
  ["half a trailer"] = { post("/read", "Transfer-Encoding: chunked", "0\r\nA: b"), 408 },
  ["no body that anybody reads"] = { post("/ignore", "Content-Length: 5"), 200 },
  ["half a body that nobody reads"] = { post("/ignore", "Content-Length: 5", "ab"), 200 },
  ["no body for a path that is not there"] = { post("/nowhere", "Content-Length: 5"), 404 },
  ["no body for a method that is not there"] = { post("/", "Content-Length: 5"), 405 },
  ["no body for a path that is none"] = { post("/%zz", "Content-Length: 5"), 400 },
  ["no further request"] = { ONE, 200 },
  ["half a second request"] = { ONE .. "GET / HT", 200, 408 },
  ["half a request behind one that waits"] = { client.format("GET", "/wait") .. "G", 200, 408 },
  ["no body behind one that waits"] = { client.format("GET", "/wait")
    .. post("/read", "Content-Length: 5"), 200, 408 },
}

--- All of it, with a byte more of `rest` every 50 ms as long as it lasts.
local function drip(conns, seconds)
  local deadline, i = proc.now() + seconds, 0

  repeat
    i = i + 1
    for _, one in ipairs(conns) do
      if not one.broken and i <= #one.rest then
        one.broken = not one.conn:send(one.rest:sub(i, i))
      end
    end
    socket.select(nil, nil, 0.05)
  until proc.now() > deadline
end

for _, workers in ipairs { 1, 4 } do
  describe(("slow peers, %d workers"):format(workers), function()
    local app

    before_each(function()
      app = server.start { source = APP, workers = workers, args = {
        "--header-timeout", tostring(LIMIT), "--body-timeout", tostring(LIMIT),
        "--idle-timeout", tostring(LIMIT), "--write-timeout", tostring(LIMIT) } }
    end)
    after_each(function() app:stop { status = 0 } end)

    it("get 408 or the end in time when they fall silent", function()
      local conns, begun = {}, proc.now()
      for what, case in pairs(SILENT) do
        conns[what] = app:connect()
        conns[what]:send(case[1])
      end

      for what, conn in pairs(conns) do
        local answers, statuses = conn:answers(), {}
        for i, res in ipairs(answers) do statuses[i] = res.status end
        assert.are.same({ table.unpack(SILENT[what], 2) }, statuses, what)
        assert.are.equal("eof", answers.ended, what)
        local last = answers[#answers]
        if last and last.status == 408 then
          assert.are.same({ "close", "408 Request Timeout\n" }, { last:header "connection",
            last.body }, what)
        end
        conn:close()
      end
      assert.is_true(proc.now() - begun < LIMIT + TICK + SLACK, "not in time")
    end)

    it("are cut when they do not read, also when they go on sending", function()
      local before, conns = app:fds(), {}
      for i, path in ipairs { "/big", "/endless", "/big", "/endless" } do
        conns[i] = { conn = app:connect { receive_buffer = 4096 }, rest = "" }
        conns[i].conn:send(client.format("GET", path))
      end
      conns[3].rest = ONE:rep(100)
      conns[4].rest = ONE:rep(100)
      wait.till(function() return app:fds() >= before + 4 end)
      drip(conns, LIMIT + TICK + 0.2)

      wait.till(function() return app:fds() <= before end, LIMIT + TICK + SLACK, "the cut")
      for _, one in ipairs(conns) do one.conn:close() end
    end)

    if workers > 1 then return end

    it("have a deadline over the whole head, however it drips", function()
      local rest = "GET / HTTP/1.1\r\nHost: a\r\nX: " .. ("y"):rep(1000)
      local one = { conn = app:connect(), rest = rest }
      drip({ one }, LIMIT + TICK + SLACK)

      local answers = one.conn:answers { timeout = 0.5 }
      assert.are.same({ 1, 408 }, { #answers, answers[1].status })
      assert.are.equal("eof", answers.ended)
      one.conn:close()
    end)

    it("are served while each byte of a body comes in time", function()
      local rest = ("z"):rep(math.floor((LIMIT + TICK) * 1.2 / 0.05))
      local one = { conn = app:connect(), rest = rest }
      one.conn:send(post("/read", "Content-Length: " .. #rest))
      drip({ one }, (LIMIT + TICK) * 1.5)

      assert.are.equal(rest, one.conn:read_response().body)
      one.conn:close()
    end)

    it("get everything when they read slowly but steadily", function()
      local conn = app:connect { receive_buffer = 4096 }
      conn:send(ONE:rep(200) .. client.format("GET", "/big") .. ONE)
      for _ = 1, 200 do assert.are.equal("hello", conn:read_response().body) end

      local head = conn:read_head()
      local left, begun = tonumber(head:header "content-length"), proc.now()
      while left > 0 do
        local piece = assert(conn:read(math.min(left, 100000)))
        left = left - #piece
        if proc.now() - begun < LIMIT * 3 then socket.select(nil, nil, 0.05) end
      end

      assert.is_true(proc.now() - begun > LIMIT * 2)
      assert.are.equal("hello", conn:read_response().body)
      conn:close()
    end)

    it("do not stay behind a refusal", function()
      local before = app:fds()
      local silent, sending = app:connect(), app:connect()
      silent:send "BAD@\r\n\r\n"
      sending:send "BAD@\r\n\r\n"
      assert.are.equal(400, silent:read_response().status)
      wait.till(function() return app:fds() == before + 2 end)

      -- What is sent meanwhile does no harm; 2 s after the last byte it is over.
      drip({ { conn = sending, rest = ("x"):rep(1000) } }, 0.5)
      wait.till(function() return app:fds() <= before end, 2 + TICK + SLACK)

      assert.are.equal(400, sending:answers()[1].status)
      silent:close()
      sending:close()
    end)
  end)
end

describe("a client that sends on behind a refusal #soak", function()
  it("is cut after half a minute", function()
    local app <close> = server.start { source = APP }
    local before, begun = app:fds(), proc.now()
    local one = { conn = app:connect(), rest = ("x"):rep(1000) }

    one.conn:send "BAD@\r\n\r\n"
    drip({ one }, 28)
    assert.are.equal(before + 1, app:fds())
    drip({ one }, 5)

    wait.till(function() return app:fds() <= before end, 1)
    assert.is_true(proc.now() - begun < 35)
    one.conn:close()
    app:stop { status = 0 }
  end)
end)
