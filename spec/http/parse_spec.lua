--- The request parser: events, framing, limits, refusals.
--
-- Every case runs whole, cut in two at every byte, and byte by byte; all must
-- tell the same.

local name = package.searchpath("spec_http", package.cpath) and "spec_http" or "spec.http"
local http = require(name)

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
    local cases = {
      ["a method that nobody knows"] = { 501, "BREW / HTTP/1.1\r\nHost: a\r\n\r\n" },
      ["a method in small letters"] = { 501, "get / HTTP/1.1\r\nHost: a\r\n\r\n" },
      ["a method that begins like a known one"] = { 501, "GETS / HTTP/1.1\r\nHost: a\r\n\r\n" },
      ["a method without end"] = { 501, ("A"):rep(70) },
      ["a method of RTSP"] = { 501, "DESCRIBE / HTTP/1.1\r\nHost: a\r\n\r\n" },
      ["CONNECT"] = { 501, "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n" },
      ["a method that is no token"] = { 400, "G@T / HTTP/1.1\r\nHost: a\r\n\r\n" },
      ["a method without a target"] = { 400, "BREW\r\n\r\n" },
      ["a TLS greeting"] = { 400, "\22\3\1\2\0\1\0\1\252\3\3" },
      ["RTSP"] = { 400, "DESCRIBE / RTSP/1.0\r\n\r\n" },
      ["HTTP/0.9 by name"] = { 505, "GET / HTTP/0.9\r\nHost: a\r\n\r\n" },
      ["HTTP/0.9 by its form"] = { 505, "GET /\r\n\r\n" },
      ["HTTP/1.2"] = { 505, "GET / HTTP/1.2\r\nHost: a\r\n\r\n" },
      ["HTTP/2.0"] = { 505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n" },
      ["the preface of HTTP/2"] = { 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" },
      ["a version that is none"] = { 400, "GET / HTTP/1.x\r\nHost: a\r\n\r\n" },
      ["another protocol's name"] = { 400, "GET / HTTQ/1.1\r\nHost: a\r\n\r\n" },
      ["two spaces behind the method"] = { 400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n" },
      ["two spaces behind the target"] = { 400, "GET /  HTTP/1.1\r\nHost: a\r\n\r\n" },
      ["a space behind the version"] = { 400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n" },
      ["a request line that ends with LF"] = { 400, "GET / HTTP/1.1\nHost: a\r\n\r\n" },
      ["a field line that ends with LF"] = { 400, request "A: b\n" },
      ["a CR alone in a value"] = { 400, request "A: b\rc\r\n" },
      ["a CR alone in front of a value"] = { 400, request "A:\rbc\r\n" },
      ["a NUL in a value"] = { 400, request "A: b\0c\r\n" },
      ["a control byte in a value"] = { 400, request "A: b\1c\r\n" },
      ["a value that goes on in the next line"] = { 400, request "A: b\r\n c\r\n" },
      ["a value that begins in the next line"] = { 400, request "A:\r\n\tb\r\n" },
      ["a next line of white space"] = { 400, request "A: b\r\n \r\n" },
      ["a first line with white space in front"] = { 400, "GET / HTTP/1.1\r\n A: b\r\n\r\n" },
      ["white space in a name"] = { 400, request "A B: c\r\n" },
      ["white space in front of the colon"] = { 400, request "A : b\r\n" },
      ["an empty name"] = { 400, request ": b\r\n" },
      ["a line without a colon"] = { 400, request "Abc\r\n" },
      ["a name that is no token"] = { 400, request "A(b): c\r\n" },
      ["an empty line that ends with anything"] = { 400, "GET / HTTP/1.1\r\nHost: a\r\n\rX" },
      ["a request without Host"] = { 400, "GET / HTTP/1.1\r\n\r\n" },
      ["two Host fields"] = { 400, request "Host: a\r\n" },
      ["two lengths"] = { 400, request("Content-Length: 1\r\nContent-Length: 1\r\n", "a") },
      ["a list of lengths"] = { 400, request("Content-Length: 1, 1\r\n", "a") },
      ["a length with a sign"] = { 400, request("Content-Length: +1\r\n", "a") },
      ["a negative length"] = { 400, request "Content-Length: -1\r\n" },
      ["a hexadecimal length"] = { 400, request("Content-Length: 0x1\r\n", "a") },
      ["an empty length"] = { 400, request "Content-Length:\r\n" },
      ["a length beyond 63 bits"] = { 400, request "Content-Length: 9223372036854775808\r\n" },
      ["a length beyond 64 bits"] = { 400, request "Content-Length: 18446744073709551617\r\n" },
      ["chunks and a length"] = { 400,
        request("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n") },
      ["a length and chunks"] = { 400,
        request("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n") },
      ["chunks in HTTP/1.0"] = { 400,
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" },
      ["a coding that is not known"] = { 501, request "Transfer-Encoding: gzip, chunked\r\n" },
      ["a coding without chunks"] = { 400, request "Transfer-Encoding: gzip\r\n" },
      ["a coding behind the chunks"] = { 400, request "Transfer-Encoding: chunked, gzip\r\n" },
      ["chunks in chunks"] = { 400, request "Transfer-Encoding: chunked, chunked\r\n" },
      ["chunks named twice"] = { 400, request(("Transfer-Encoding: chunked\r\n"):rep(2)) },
      ["a coding like chunks"] = { 400, request "Transfer-Encoding: xchunked\r\n" },
      ["an expectation that is not known"] = { 417, request "Expect: tea\r\n" },
      ["a chunk without a size"] = { 400, chunked "\r\nabc\r\n" },
      ["a chunk's size that is no number"] = { 400, chunked "x\r\nabc\r\n" },
      ["a chunk's size in C's form"] = { 400, chunked "0x3\r\nabc\r\n" },
      ["a chunk's size with a sign"] = { 400, chunked "-3\r\nabc\r\n" },
      ["a chunk's size with white space"] = { 400, chunked "3 \r\nabc\r\n" },
      ["a chunk's size that ends with LF"] = { 400, chunked "3\nabc\r\n" },
      ["a chunk's size that ends with CR alone"] = { 400, chunked "3\rXabc\r\n" },
      ["a chunk's size beyond 63 bits"] = { 400, chunked "8000000000000000\r\n" },
      ["a chunk's size with too many digits"] = { 400, chunked(("0"):rep(17) .. "\r\n") },
      ["a chunk longer than its size"] = { 400, chunked "3\r\nabcd\r\n0\r\n\r\n" },
      ["data that ends with LF"] = { 400, chunked "3\r\nabc\n0\r\n\r\n" },
      ["data that ends with anything"] = { 400, chunked "3\r\nabcXX0\r\n\r\n" },
      ["a control byte in an extension"] = { 400, chunked "3;a\nb\r\nabc\r\n0\r\n\r\n" },
      ["a trailer that is no field"] = { 400, chunked "0\r\nGET / HTTP/1.1\r\n\r\n" },
      ["a trailer that goes on in the next line"] = { 400, chunked "0\r\nA: b\r\n c\r\n\r\n" },
      ["an end that is no CR LF"] = { 400, chunked "0\r\n\rX" },
    }

    for what, case in pairs(cases) do
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
