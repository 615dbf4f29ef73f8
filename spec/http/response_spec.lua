--- The response writer: status lines, fields, framing, the date.

local name = package.searchpath("spec_http", package.cpath) and "spec_http" or "spec.http"
local http = require(name)

--- The head's lines without the date, which changes.
local function lines_of(text)
  local lines = {}

  for line in text:gmatch "([^\r\n]*)\r\n" do
    if not line:find "^Date: " then lines[#lines + 1] = line end
  end
  return lines
end

local function head(options)
  return lines_of(assert(http.head(options)))
end

--- The lines of framing: behind Server, in front of the empty one.
local function framing(options)
  local lines = head(options)
  return table.concat(lines, "; ", 3, #lines - 1)
end

describe("lq_response_begin()", function()
  it("writes status line, Server and Date", function()
    local pattern = "^HTTP/1%.1 404 Not Found\r\nServer: luaqueduct\r\n" ..
      "Date: %a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d GMT\r\n"

    assert.truthy(http.head({ status = 404, length = 0 }):find(pattern))
  end)

  it("tells the time of now", function()
    local before = os.time()
    local text = http.head({ length = 0 }):match "Date: ([^\r]*)"
    local after = os.time()

    assert.is_true(text == http.date(before) or text == http.date(after))
  end)

  it("takes a status that has no name", function()
    assert.are.equal("HTTP/1.1 599 Unknown", head({ status = 599, length = 0 })[1])
  end)
end)

describe("lq_date_write()", function()
  it("writes the form of RFC 9110", function()
    assert.are.equal("Thu, 01 Jan 1970 00:00:00 GMT", http.date(0))
    assert.are.equal("Sun, 06 Nov 1994 08:49:37 GMT", http.date(784111777))
    assert.are.equal("Thu, 29 Feb 2024 23:59:59 GMT", http.date(1709251199))
  end)

  it("stays within four digits of a year", function()
    assert.are.equal("Fri, 31 Dec 9999 23:59:59 GMT", http.date(math.maxinteger))
    assert.are.equal("Sat, 01 Jan 0000 00:00:00 GMT", http.date(math.mininteger))
  end)
end)

describe("lq_response_field()", function()
  it("writes one line a field", function()
    local lines = head { length = 0, fields = { { "A", "b" }, { "C-d", "" }, { "A", "\té\t" } } }

    assert.are.same({ "A: b", "C-d: ", "A: \té\t" }, { table.unpack(lines, 3, 5) })
  end)

  it("refuses a name that is no token", function()
    for _, wrong in ipairs { "", "a b", "a:", "a\r\nb", "a\0", "é", "a(" } do
      local text, err = http.head { length = 0, fields = { { wrong, "b" } } }

      assert.is_nil(text)
      assert.are.equal("invalid", err)
    end
  end)

  it("refuses a value with a control byte other than HTAB", function()
    for byte = 0, 255 do
      local value = "x" .. string.char(byte) .. "y"
      local is_refused = (byte < 32 and byte ~= 9) or byte == 127

      assert.are.equal(is_refused, not http.head { length = 0, fields = { { "a", value } } })
    end
  end)
end)

describe("lq_response_end()", function()
  it("tells the length", function()
    assert.are.equal("Content-Length: 0", framing { length = 0 })
    assert.are.equal("Content-Length: 1234567890123", framing { length = 1234567890123 })
    assert.are.equal("Content-Length: 9223372036854775807", framing { length = math.maxinteger })
  end)

  it("uses chunks when the length is not known", function()
    assert.are.equal("Transfer-Encoding: chunked", framing {})
  end)

  it("ends an HTTP/1.0 stream with the connection", function()
    assert.are.equal("Connection: close", framing { minor = 0 })
    assert.are.equal("Connection: close", framing { minor = 0, keep_alive = false })
  end)

  it("says what becomes of the connection where the version does not", function()
    assert.are.equal("Content-Length: 1; Connection: close",
      framing { length = 1, keep_alive = false })
    assert.are.equal("Content-Length: 1; Connection: keep-alive", framing { length = 1, minor = 0 })
    assert.are.equal("Content-Length: 1; Connection: Upgrade", framing { length = 1, status = 426 })
    assert.are.equal("Content-Length: 1; Connection: close",
      framing { length = 1, minor = 0, keep_alive = false })
  end)

  it("frames no body where there can be none", function()
    for _, status in ipairs { 101, 204, 304 } do
      assert.are.equal("", framing { status = status, length = 5 })
      assert.are.equal("", framing { status = status })
      assert.are.equal("Connection: close", framing { status = status, keep_alive = false })
      assert.are.equal("Connection: keep-alive", framing { status = status, minor = 0 })
    end
  end)

  it("frames the answer to HEAD like that to GET", function()
    assert.are.equal("Content-Length: 5", framing { head_only = true, length = 5 })
    assert.are.equal("Transfer-Encoding: chunked", framing { head_only = true })
    assert.are.equal("Connection: keep-alive", framing { head_only = true, minor = 0 })
  end)

  it("ends with an empty line", function()
    assert.are.equal("\r\n\r\n", http.head({ length = 5 }):sub(-4))
  end)
end)

describe("lq_response_plain()", function()
  local hello = { type = "text/plain", body = "hello" }

  local function plain(options)
    return http.plain(setmetatable(options, { __index = hello }))
  end

  it("writes a whole answer", function()
    local text = plain {}
    local lines = lines_of(text)

    assert.are.same({ "HTTP/1.1 200 OK", "Server: luaqueduct", "Content-Type: text/plain",
      "Content-Length: 5", "" }, lines)
    assert.are.equal("\r\n\r\nhello", text:sub(-9))
  end)

  it("leaves the body out for HEAD", function()
    local text = plain { head_only = true }

    assert.truthy(text:find("Content-Length: 5\r\n", 1, true))
    assert.are.equal("\r\n\r\n", text:sub(-4))
  end)

  it("leaves body and framing out where there can be none", function()
    for _, status in ipairs { 204, 304 } do
      local text = plain { status = status }

      assert.is_nil(text:find "Content%-")
      assert.are.equal("\r\n\r\n", text:sub(-4))
    end
  end)

  it("writes a body of any size", function()
    local large = ("x"):rep(1000000)

    assert.are.equal(large, http.plain({ body = large }):match "\r\n\r\n(.*)$")
    assert.is_nil(http.plain({ body = "" }):find "Content%-Type")
  end)
end)

describe("lq_response_chunk()", function()
  it("writes the size in hexadecimal", function()
    assert.are.equal("5\r\nhello\r\n0\r\n\r\n", http.chunks { "hello" })
    assert.are.equal("1a\r\n" .. ("x"):rep(26) .. "\r\n0\r\n\r\n", http.chunks { ("x"):rep(26) })
  end)

  it("does not end the body with an empty piece", function()
    assert.are.equal("1\r\na\r\n1\r\nb\r\n0\r\n\r\n", http.chunks { "a", "", "b" })
  end)

  it("is read back by the parser", function()
    local body = http.chunks { ("x"):rep(300), "y", ("z"):rep(70000) }
    local events = http.parse { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
      body }
    local read = {}

    for _, event in ipairs(events) do read[#read + 1] = event.data end

    assert.are.equal("done", events[#events].event)
    assert.are.equal(("x"):rep(300) .. "y" .. ("z"):rep(70000), table.concat(read))
  end)
end)

describe("lq_status_reason()", function()
  it("knows the names of RFC 9110", function()
    assert.are.equal("OK", http.reason(200))
    assert.are.equal("Content Too Large", http.reason(413))
    assert.are.equal("Network Authentication Required", http.reason(511))
  end)

  it("has a word for every other number", function()
    for _, status in ipairs { -1, 0, 99, 299, 418, 512, 999, 2147483647 } do
      assert.are.equal("Unknown", http.reason(status))
    end
  end)
end)
