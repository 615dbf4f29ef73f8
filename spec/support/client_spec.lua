--- The client against canned answers from a listener in the same thread.

local client = require "spec.support.client"
local socket = require "socket"

local listener, port

--- A connected pair: our client, and the bare socket of the other side.
local function pair()
  local conn = client.connect { port = port, timeout = 1 }
  local peer = assert(listener:accept())
  finally(function()
    conn:close()
    peer:close()
  end)
  return conn, peer
end

local function answer(text)
  local conn, peer = pair()
  peer:send(text)
  return conn, peer
end

describe("spec.support.client #once", function()
  setup(function()
    listener = assert(socket.bind("127.0.0.1", 0))
    listener:settimeout(5)
    port = select(2, listener:getsockname())
    port = tonumber(port)
  end)
  teardown(function() listener:close() end)

  describe("read_response()", function()
    it("reads status, fields and a body by its length", function()
      local conn = answer "HTTP/1.1 201 Created\r\nA: 1\r\na: 2\r\nContent-Length: 2\r\n\r\nhiHTTP"

      local res = assert(conn:read_response())

      assert.are.equal(201, res.status)
      assert.are.equal("Created", res.reason)
      assert.are.same({ "1", "2" }, res:header_all "A")
      assert.are.equal("hi", res.body)
      assert.are.equal("HTTP", conn.buffer)
    end)

    it("reads a chunked body and keeps its chunks", function()
      local conn = answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        .. "3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n")

      local res = assert(conn:read_response())

      assert.are.equal("abc0123456789", res.body)
      assert.are.same({ "abc", "0123456789" }, res.chunks)
    end)

    it("reads an answer that comes byte by byte", function()
      local conn, peer = pair()
      local text = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"

      for i = 1, #text do
        peer:send(text:sub(i, i))
        if i < #text then assert.is_nil((conn:read_response { timeout = 0 })) end
        if i == 20 then break end
      end
      peer:send(text:sub(21))

      assert.are.equal("abc", assert(conn:read_response()).body)
    end)

    it("expects no body after HEAD, 204 and 304", function()
      local conn = answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
        .. "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\n\r\n")

      assert.are.equal("", assert(conn:read_response { method = "HEAD" }).body)
      assert.are.equal(204, assert(conn:read_response()).status)
      assert.are.equal(304, assert(conn:read_response()).status)
    end)

    it("says that the other side ended before the body was whole", function()
      local conn, peer = answer "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"
      peer:close()

      local res, err = conn:read_response()

      assert.is_nil(res)
      assert.are.equal("closed", err)
    end)

    it("says that a chunked body was cut", function()
      local conn, peer = answer "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
      peer:close()

      local res, err = conn:read_response()

      assert.is_nil(res)
      assert.are.equal("closed", err)
    end)

    it("gives up at its deadline", function()
      local conn = pair()

      local res, err = conn:read_response { timeout = 0.01 }

      assert.is_nil(res)
      assert.are.equal("timeout", err)
    end)

    it("refuses what is no answer", function()
      local conn = answer "hello\r\n\r\n"

      local res, err = conn:read_response()

      assert.is_nil(res)
      assert.matches("bad status line", err)
    end)
  end)

  it("pipeline() sends all at once and reads the answers in order", function()
    local conn, peer = answer("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"
      .. "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb")

    local answers = assert(conn:pipeline { { "GET", "/1" }, { "POST", "/2", { body = "xy" } } })

    assert.are.equal("ab", answers[1].body .. answers[2].body)
    local sent = "GET /1 HTTP/1.1\r\nHost: localhost\r\n\r\n"
      .. "POST /2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nxy"
    assert.are.equal(sent, peer:receive(#sent))
  end)

  it("half_close() ends one direction", function()
    local conn, peer = pair()

    conn:half_close()

    assert.are.equal("closed", select(2, peer:receive(1)))
    peer:send "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    assert.are.equal(200, assert(conn:read_response()).status)
  end)

  it("reset() ends with an error at the other side", function()
    local conn, peer = pair()

    conn:reset()

    local ok = peer:receive(1)
    assert.is_nil(ok)
    assert.is_truthy(peer:send "x" == nil or peer:send "x" == nil)
  end)

  it("is_closed() tells an end from silence", function()
    local conn, peer = pair()

    assert.is_false(conn:is_closed(0.01))
    peer:close()
    assert.is_true(conn:is_closed(1))
  end)

  it("connects over IPv6 and unix sockets", function()
    local path = os.tmpname()
    os.remove(path)
    local unix = require "socket.unix"()
    assert(unix:bind(path))
    assert(unix:listen())
    local v6 = assert(socket.bind("::1", 0))
    finally(function()
      os.remove(path)
      unix:close()
      v6:close()
    end)

    client.connect({ unix = path }):close()
    client.connect({ host = "::1", port = tonumber((select(2, v6:getsockname()))) }):close()
  end)
end)
