--- The request parser: events, framing, limits, refusals.
--
-- Every case runs whole, cut in two at every byte, and byte by byte; all must
-- tell the same.

local name = package.searchpath("spec_http", package.cpath) and "spec_http" or "spec.http"
local http = require(name)
local refusals = require "spec.support.refusals"

--- One table for a message: what came in which order, the body in one piece,
-- and the request as it stands at the end, when all input is gone.
local function digest(events, consumed)
  local order, body, result = {}, {}, {}

  for _, event in ipairs(events) do
    if order[#order] ~= event.event then order[#order + 1] = event.event end
    if event.event == "body" then body[#body + 1] = event.data else result = event end
  end
  result.order = table.concat(order, " ")
  result.body = table.concat(body)
  if result.event == "done" then result.consumed = consumed end
  return result
end

local function read(bytes, limits)
  local first

  for _, pieces in ipairs(http.cuts(bytes)) do
    local result = digest(http.parse(pieces, limits))
    first = first or result
    assert.are.same(first, result)
  end
  return first
end

local function status_of(bytes, limits)
  return read(bytes, limits).status
end

--- A request with these lines behind the request line, and this body.
local function request(lines, body)
  return "POST / HTTP/1.1\r\nHost: a\r\n" .. lines .. "\r\n" .. (body or "")
end

local function chunked(body)
  return request("Transfer-Encoding: chunked\r\n", body)
end

describe("lq_parser_feed()", function()
  describe("events", function()
    it("tells a request without a body in one event", function()
      local got = read "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"

      assert.are.equal("done", got.order)
      assert.are.equal("GET", got.method)
      assert.are.equal("/a", got.target)
      assert.are.equal(1, got.minor)
      assert.are.same({ { "Host", "a" } }, got.headers)
    end)

    it("tells head, body and end of a body of known length", function()
      local got = read(request("Content-Length: 5\r\n", "hello"))

      assert.are.equal("head body done", got.order)
      assert.are.equal("hello", got.body)
      assert.are.equal(5, got.content_length)
      assert.is_true(got.has_body)
    end)

    it("takes Content-Length: 0 as no body", function()
      local got = read(request "Content-Length: 0\r\n")

      assert.are.equal("done", got.order)
      assert.is_false(got.has_body)
    end)

    it("decodes chunks", function()
      local got = read(chunked "5\r\nhello\r\n00b\r\n, the world\r\n0\r\n\r\n")

      assert.are.equal("head body done", got.order)
      assert.are.equal("hello, the world", got.body)
      assert.is_true(got.chunked)
    end)

    it("takes large and small hexadecimal digits", function()
      local got = read(chunked("1A\r\n" .. ("x"):rep(26) .. "\r\n0f\r\n" .. ("y"):rep(15) ..
        "\r\n000\r\n\r\n"))

      assert.are.equal(("x"):rep(26) .. ("y"):rep(15), got.body)
    end)

    it("passes over chunk extensions", function()
      local got = read(chunked "3;a;b=c;d=\"e;\\\" f\"\r\nabc\r\n0 ; last\r\n\r\n")

      assert.are.equal("done", got.event)
      assert.are.equal("abc", got.body)
    end)

    it("drops trailers", function()
      local got = read(chunked "3\r\nabc\r\n0\r\nHost: b\r\nX-Sum:\r\n\r\n")

      assert.are.equal("done", got.event)
      assert.are.same({ { "Host", "a" }, { "Transfer-Encoding", "chunked" } }, got.headers)
    end)

    it("leaves what follows to the next message", function()
      local first = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
      local second = request("Content-Length: 2\r\n", "ok")
      local third = chunked "1\r\n!\r\n0\r\n\r\n"

      assert.are.equal(#first, read(first .. second).consumed)
      assert.are.equal(#second, read(second .. third).consumed)
      assert.are.equal(#third, read(third .. first).consumed)
    end)

    it("waits without an event while a message is not complete", function()
      assert.is_nil(read "GET / HTTP/1.1\r\nHost: a\r\n".event)
      assert.are.equal("head body", read(request("Content-Length: 5\r\n", "hell")).order)
      assert.are.equal("head body", read(chunked "3\r\nabc\r\n0\r\n").order)
    end)

    it("uses its memory again for the next message", function()
      local parser = http.parser()
      local cut = { "GET /1 HTTP/1.1\r\nHo", "st: a\r\n\r\n" }

      assert.are.equal("/1", parser:parse(cut)[1].target)
      assert.are.equal("/2", parser:parse({ "GET /2 HTTP/1.1\r\nHost: b\r\n\r\n" })[1].target)
      assert.are.equal("/1", parser:parse(cut)[1].target)
      assert.are.equal("a", parser:header "host")
    end)

    it("reads a small request where it lies", function()
      local done = 3
      local event, in_place = http.reads_in_place "GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\n"

      assert.are.equal(done, event)
      assert.is_true(in_place)
    end)

    it("keeps more fields than it has room for at first", function()
      local lines = {}
      for i = 1, 70 do lines[i] = ("N%d: %d\r\n"):format(i, i) end

      local got = read(request(table.concat(lines)))

      assert.are.equal(71, #got.headers)
      assert.are.same({ "N70", "70" }, got.headers[71])
    end)
  end)

  describe("empty lines in front", function()
    local get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    it("are passed over when they are few", function()
      assert.are.equal(#get + 4, read("\r\n\r\n" .. get).consumed)
    end)

    it("are refused when they are many or no CR LF", function()
      assert.are.equal(400, status_of(("\r\n"):rep(5) .. get))
      assert.are.equal(400, status_of("\n" .. get))
      assert.are.equal(400, status_of("\r" .. get))
    end)
  end)

  describe("limits", function()
    local get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    it("answers 431 to a head above the limit and takes one at it", function()
      assert.are.equal("done", read(get, { head = #get }).event)
      assert.are.equal(431, status_of(get, { head = #get - 1 }))
      assert.are.equal(431, status_of(get .. "body", { head = 20 }))
    end)

    it("answers 431 to too many fields", function()
      assert.are.equal("done", read(request "A: b\r\n", { fields = 2 }).event)
      assert.are.equal(431, status_of(request "A: b\r\nC: d\r\n", { fields = 2 }))
    end)

    it("answers 414 to a target above the limit and takes one at it", function()
      local eight = "GET /2345678 HTTP/1.1\r\nHost: a\r\n\r\n"

      assert.are.equal("done", read(eight, { target = 8 }).event)
      assert.are.equal(414, status_of(eight, { target = 7 }))
    end)

    it("answers 414, too, when a byte beyond the limit belongs in no target", function()
      local got = read("GET httpabcd\127 HTTP/1.1\r\nHost: a\r\n\r\n", { target = 7 })

      assert.are.equal(414, got.status)
      assert.are.equal("GET", got.method_name)
      assert.are.equal("httpabc", got.target)
    end)

    it("answers 431 to trailers and chunk extensions above that of the head", function()
      local limits = { head = 64 }
      local long = ("x"):rep(70)

      assert.are.equal(431, status_of(chunked("1;" .. long .. "\r\na\r\n0\r\n\r\n"), limits))
      assert.are.equal(431, status_of(chunked("0\r\nA: " .. long .. "\r\n\r\n"), limits))
      assert.are.equal(431, status_of(chunked("0\r\n" .. ("A: b\r\n"):rep(11) .. "\r\n"), limits))
      assert.are.equal(431, status_of(chunked(("1;abcdef\r\nx\r\n"):rep(10)), limits))
    end)

    it("lets a body be cut in any number of chunks", function()
      local got = read(chunked(("1\r\nx\r\n"):rep(30) .. "0\r\n\r\n"), { head = 64 })

      assert.are.equal(("x"):rep(30), got.body)
    end)
  end)

  describe("refusals", function()
    for what, case in pairs(refusals) do
      it(("answers %d to %s"):format(case[1], what), function()
        local got = read(case[2])

        assert.are.equal(case[1], got.status)
        assert.is_false(got.keep_alive)
        assert.is_true(#got.why > 0)
      end)
    end

    it("tells of a refused head what is known", function()
      local got = read "HEAD /secret HTTP/1.1\r\nHost: a\r\nB C: d\r\n\r\n"

      assert.are.equal("HEAD", got.method_name)
      assert.are.equal("/secret", got.target)
    end)
  end)
end)
