--- What a request's head says: target, host, fields, connection.
--
-- Every head is read whole, cut in two at every byte, and byte by byte.

local name = package.searchpath("spec_http", package.cpath) and "spec_http" or "spec.http"
local http = require(name)

--- The last event for `bytes`, the same for each way to cut them.
local function read(bytes)
  local first

  for _, pieces in ipairs(http.cuts(bytes)) do
    local events = http.parse(pieces)
    local last = events[#events]
    first = first or last
    assert.are.same(first, last)
  end
  return first
end

local function get(target, lines, version)
  return read(("GET %s HTTP/%s\r\nHost: a\r\n%s\r\n"):format(target, version or "1.1", lines or ""))
end

describe("lq_request_read()", function()
  describe("target", function()
    it("is cut into path and query", function()
      local got = get "/a/b%20c?d=e&f"

      assert.are.equal("/a/b%20c?d=e&f", got.target)
      assert.are.equal("/a/b%20c", got.path)
      assert.are.equal("d=e&f", got.query)
    end)

    it("tells an empty query from none", function()
      assert.are.equal("", get("/a?").query)
      assert.is_nil(get("/a").query)
    end)

    it("cuts at the first question mark", function()
      local got = get "/a?b?c"

      assert.are.equal("/a", got.path)
      assert.are.equal("b?c", got.query)
    end)

    it("may be absolute, and names the host then", function()
      local got = get "http://b.example:81/c?d"

      assert.are.equal("/c", got.path)
      assert.are.equal("d", got.query)
      assert.are.equal("b.example:81", got.host)
    end)

    it("may be absolute without a path", function()
      assert.are.equal("/", get("http://b").path)
      assert.are.equal("/", get("HTTPS://b?c").path)
      assert.are.equal("c", get("https://b?c").query)
    end)

    it("may be * for OPTIONS", function()
      local got = read "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"

      assert.are.equal("done", got.event)
      assert.are.equal("*", got.path)
      assert.are.equal(400, get("*").status)
    end)

    it("may have what browsers leave unencoded", function()
      assert.are.equal("/a|b{c}[d]^'", get("/a|b{c}[d]^'").path)
    end)

    for _, target in ipairs { "a", "/a#b", "/a\tb", "/a\127", "/\195\169", "ftp://b/", "http:///a",
      "http://", "http://:80/", "http://u@b/", "http://b c/", "http://b:x/", "*a", "?a" } do
      it(("is refused as %q"):format(target), function()
        assert.are.equal(400, get(target).status)
      end)
    end
  end)

  describe("method", function()
    it("is known by number", function()
      for _, method in ipairs { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" } do
        local got = read(method .. " / HTTP/1.1\r\nHost: a\r\n\r\n")

        assert.are.equal(method, got.method)
        assert.are.equal(method, got.method_name)
      end
    end)

    it("is other when it is one of HTTP's extensions", function()
      local got = read "PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n"

      assert.are.equal("PROPFIND", got.method)
      assert.are.equal("OTHER", got.method_name)
    end)
  end)

  describe("fields", function()
    it("keep order, repetition and the case of their names", function()
      local got = get("/", "B: 1\r\nA: 2\r\nb: 3\r\n")

      assert.are.same({ { "Host", "a" }, { "B", "1" }, { "A", "2" }, { "b", "3" } }, got.headers)
    end)

    it("lose the white space around their values", function()
      local got = get("/", "A: \t b c \t\r\nD:e\r\nF:\r\nG: \t \r\nH: i:j\r\n")

      assert.are.same({ { "Host", "a" }, { "A", "b c" }, { "D", "e" }, { "F", "" }, { "G", "" },
        { "H", "i:j" } }, got.headers)
    end)

    it("may have bytes above ASCII", function()
      assert.are.same({ "A", "\195\169\255" }, get("/", "A: \195\169\255\r\n").headers[2])
    end)

    it("are found by their small name, the first one", function()
      local parser = http.parser()
      parser:parse { "GET / HTTP/1.1\r\nHOST: a\r\nX-b: 1\r\nx-B: 2\r\n\r\n" }

      assert.are.equal("a", parser:header "host")
      assert.are.equal("1", parser:header "x-b")
      assert.is_nil(parser:header "x")
    end)
  end)

  describe("host", function()
    it("is taken as sent", function()
      for _, host in ipairs { "a", "A.b-c_d:8080", "127.0.0.1", "[::1]", "[::1]:80", "a:", "",
        "%41b", "a%2d.b%7E:1", "[v1.a:b]", "[::ffff:1.2.3.4]" } do
        local got = read(("GET / HTTP/1.1\r\nHost: %s\r\n\r\n"):format(host))

        assert.are.equal(host, got.host)
      end
    end)

    it("is refused when it is none", function()
      for _, host in ipairs { "a b", "a/b", "u@a", "a:b", "a:1:2", "[::1", "[::1]x", "\195\169",
        "[]", "[g]", "[v.a]", "[v1]", "[v1.]", "[v1.a%20]", "%", "a%4", "%zz", "a%4g",
        "[1]", "[::1::]", "[fe80::1%25eth0]", "[v1a]", "[" .. ("0"):rep(100) .. "::]" } do
        assert.are.equal(400, read(("GET / HTTP/1.1\r\nHost: %s\r\n\r\n"):format(host)).status)
      end
    end)

    it("may be missing in HTTP/1.0", function()
      local got = read "GET / HTTP/1.0\r\n\r\n"

      assert.are.equal("done", got.event)
      assert.is_nil(got.host)
    end)
  end)

  describe("keep_alive", function()
    local function keeps(version, connection)
      return get("/", connection and "Connection: " .. connection .. "\r\n", version).keep_alive
    end

    it("follows the version", function()
      assert.is_true(keeps "1.1")
      assert.is_false(keeps "1.0")
    end)

    it("follows the members of Connection in any case", function()
      assert.is_false(keeps("1.1", "close"))
      assert.is_false(keeps("1.1", "x, CLOSE ,y"))
      assert.is_true(keeps("1.0", "Keep-Alive"))
      assert.is_true(keeps("1.0", ",te, keep-alive"))
    end)

    it("takes close before keep-alive", function()
      assert.is_false(keeps("1.1", "keep-alive, close"))
      assert.is_false(keeps("1.0", "close, keep-alive"))
      assert.is_false(keeps("1.0", "keep-alive\r\nConnection: close"))
    end)

    it("takes whole members only", function()
      assert.is_true(keeps("1.1", "closed, not-close"))
    end)
  end)

  describe("upgrade", function()
    local lines = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"

    it("needs both fields and HTTP/1.1", function()
      assert.is_true(get("/", lines).upgrade)
      assert.is_false(get("/", lines, "1.0").upgrade)
      assert.is_false(get("/", "Upgrade: websocket\r\n").upgrade)
      assert.is_false(get("/", "Connection: upgrade\r\n").upgrade)
    end)

    it("does not hide a body", function()
      local got = read("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n" .. lines .. "\r\nok")

      assert.are.equal("done", got.event)
      assert.is_true(got.has_body)
    end)
  end)

  describe("expect_continue", function()
    local function expects(lines, version)
      return read(("POST / HTTP/%s\r\nHost: a\r\n%s\r\n"):format(version or "1.1", lines))
        .expect_continue
    end

    it("is told when a body follows", function()
      assert.is_true(expects "Expect: 100-Continue\r\nContent-Length: 1\r\n")
      assert.is_true(expects "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n")
    end)

    it("may be named more than once, or be an empty list", function()
      assert.is_true(expects "Expect: 100-continue, 100-continue\r\nContent-Length: 1\r\n")
      assert.is_false(expects "Expect: ,\r\nContent-Length: 1\r\n")
    end)

    it("is not told without a body, nor in HTTP/1.0", function()
      assert.is_false(expects "Expect: 100-continue\r\n")
      assert.is_false(expects("Expect: 100-continue\r\nContent-Length: 1\r\n", "1.0"))
    end)
  end)
end)

describe("lq_request_is_token()", function()
  it("takes the characters of RFC 9110 and no others", function()
    for byte = 0, 255 do
      local c = string.char(byte)
      local is = c:find "^[%w!#$%%&'*+.^_`|~-]$" ~= nil and byte < 128

      assert.are.equal(is, http.is_token(c), c)
    end
    assert.is_false(http.is_token "")
  end)
end)
