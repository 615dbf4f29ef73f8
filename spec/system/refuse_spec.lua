--- Everything that is refused, through sockets: one answer, nothing behind it, an orderly end.

local client = require "spec.support.client"
local refusals = require "spec.support.refusals"
local server = require "spec.support.server"
local socket = require "socket"

local APP = [[
local aq = require "luaqueduct"
local router = aq.router()
router:any("/", function(req)
  assert(req:body())
  return "read"
end)
router:any("/unread", function() return "unread" end)
router:any("/smuggled", function() print "SMUGGLED" return "smuggled" end)
return router
]]

local REASONS = { [400] = "Bad Request", [405] = "Method Not Allowed", [413] = "Content Too Large",
  [414] = "URI Too Long", [417] = "Expectation Failed", [431] = "Request Header Fields Too Large",
  [501] = "Not Implemented", [505] = "HTTP Version Not Supported" }
local SMUGGLED = client.format("GET", "/smuggled")

--- Cases beside those of the parser: what depends on the server's limits.
local function limits()
  local post = "POST / HTTP/1.1\r\nHost: a\r\n"
  local chunked = post .. "Transfer-Encoding: chunked\r\n\r\n"

  return {
    ["a head that is too large"] = { 431, post .. "A: " .. ("b"):rep(3000) .. "\r\n\r\n" },
    ["a head without end"] = { 431, post .. ("A: b\r\n"):rep(400) },
    ["too many fields"] = { 431, post .. ("A:\r\n"):rep(130) .. "\r\n" },
    ["a body that is too large"] = { 413, post .. "Content-Length: 1001\r\n\r\n" },
    ["a body that is far too large"] = { 413, post .. "Content-Length: 9000000000000000\r\n\r\n" },
    ["chunks that are too large"] = { 413, chunked .. "3e9\r\n" .. ("x"):rep(1001) .. "\r\n" },
    ["many chunks that are too large"] = { 413, chunked .. ("64\r\n%s\r\n"):format(("x"):rep(100))
      :rep(11) },
    ["chunk extensions that are too long"] = { 431, chunked .. "1;" .. ("a"):rep(3000) .. "\r\n" },
    ["many chunk extensions"] = { 431, chunked .. ("1;abcdefghi\r\nx\r\n"):rep(300) },
    ["trailers that are too long"] = { 431, chunked .. "0\r\nA: " .. ("b"):rep(3000) .. "\r\n" },
    ["too many trailers"] = { 431, chunked .. "0\r\n" .. ("A: b\r\n"):rep(400) },
  }
end

local function merge(...)
  local all = {}
  for _, cases in ipairs { ... } do
    for what, case in pairs(cases) do all[what] = case end
  end
  return all
end

--- Asserts that all that came is the refusal, and that the end was in order.
local function check(what, case, answers)
  local status, res = case[1], answers[1]

  assert.are.equal(1, #answers, what)
  assert.are.equal(status, res.status, what)
  assert.is_nil(answers.rest, what)
  assert.are.equal("eof", answers.ended, what)
  assert.are.equal(REASONS[status], res.reason, what)
  assert.are.equal(("%d %s\n"):format(status, REASONS[status]), res.body, what)
  assert.are.equal("close", res:header "connection", what)
  assert.are.equal("text/plain; charset=utf-8", res:header "content-type", what)
  assert.are.equal("1.1", res.version, what)
end

--- Sends the bytes of all cases at the same time, `step` at once, each piece as a packet.
local function send_together(app, cases, step)
  local conns, longest = {}, 0

  for what, case in pairs(cases) do
    conns[what] = app:connect()
    longest = math.max(longest, #case[2])
  end
  for first = 1, longest, step do
    for what, case in pairs(cases) do
      local piece = case[2]:sub(first, first + step - 1)
      if piece ~= "" then assert(conns[what]:send(piece), what) end
    end
    socket.select(nil, nil, 0.001)
  end
  return conns
end

local function check_together(app, cases, step)
  local conns = send_together(app, cases, step)

  for what, conn in pairs(conns) do
    assert(conn:send(SMUGGLED), what)
    check(what, cases[what], conn:answers())
    conn:close()
  end
end

for _, workers in ipairs { 1, 4 } do
  describe(("refusals, %d workers"):format(workers), function()
    local app

    setup(function()
      app = server.start { source = APP, workers = workers,
        args = { "--header-limit", "2K", "--body-limit", "1000" } }
    end)
    teardown(function()
      local _, log = app:stop { status = 0 }
      assert.is_nil(log:find("SMUGGLED", 1, true))
    end)

    local all = merge(refusals, limits())

    it("answer with the status and end, whatever follows in the same packet", function()
      for what, case in pairs(all) do
        local conn = app:connect()
        assert(conn:send(case[2] .. SMUGGLED))
        check(what, case, conn:answers())
        conn:close()
      end
    end)

    it("are the same when the bytes come in sevens", function()
      check_together(app, all, 7)
    end)

    it("are the same when the bytes come one by one", function()
      check_together(app, refusals, 1)
    end)

    it("come behind the whole answers to the requests in front", function()
      local good = client.format("POST", "/", { body = "good" })

      for what, case in pairs(all) do
        local conn = app:connect()
        assert(conn:send(good .. good .. case[2] .. SMUGGLED))
        local answers = conn:answers()
        for _ = 1, 2 do assert.are.equal("read", table.remove(answers, 1).body, what) end
        check(what, case, answers)
        conn:close()
      end
    end)

    it("let nothing behind a malformed body be served that nobody read", function()
      for what, case in pairs(refusals) do
        local conn = app:connect()
        local text, count = case[2]:gsub("^POST / ", "POST /unread ")
        if count > 0 then
          assert(conn:send(text .. SMUGGLED))
          local answers = conn:answers()
          assert.are.equal(1, #answers, what)
          assert.are.equal("close", answers[1]:header "connection", what)
          assert.are.equal("eof", answers.ended, what)
        end
        conn:close()
      end
    end)
  end)
end

describe("the target", function()
  it("is refused with 414 above 8 KiB, in any cut", function()
    local app <close> = server.start { source = APP }
    local long = { 414, "GET /" .. ("a"):rep(8192) .. " HTTP/1.1\r\nHost: a\r\n\r\n" }

    check_together(app, { a = long, b = long }, 1000)
    assert.are.equal(404, app:get("/" .. ("a"):rep(8191)).status)
    app:stop { status = 0 }
  end)
end)
