--- The opening of a WebSocket: RFC 6455 4.2 and RFC 7692 7.1.

local ws = require "spec.ws"

local KEY = "dGhlIHNhbXBsZSBub25jZQ=="

local GOOD = {
  "GET /chat HTTP/1.1",
  "Host: server.example.com",
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Key: " .. KEY,
  "Sec-WebSocket-Version: 13",
}

--- The good head with changes: name -> other line(s), or false for none; `first` is the first line.
local function head(changes)
  local lines = {}

  for i, line in ipairs(GOOD) do
    local name = i == 1 and "first" or line:match "^[^:]+"
    local change = (changes or {})[name]
    if change == nil then change = line end
    if change then lines[#lines + 1] = change end
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

describe("lq_ws_check()", function()
  local function accepts(what, changes)
    it("accepts " .. what, function()
      assert.are.same({ 0 }, { ws.check(head(changes)) })
    end)
  end

  local function refuses(status, what, changes)
    it(("answers %d to %s"):format(status, what), function()
      local got, why = ws.check(head(changes))

      assert.are.equal(status, got)
      assert.is_truthy(why:match "^%u.*%.$")
    end)
  end

  accepts("the example of RFC 6455 1.3")
  accepts("names and words in any case", { Upgrade = "uPGRADE: WebSocket",
    Connection = "CONNECTION: uPgRaDe", ["Sec-WebSocket-Key"] = "sec-websocket-key: " .. KEY })
  accepts("lists", { Upgrade = "Upgrade: h2c, websocket ,",
    Connection = "Connection: keep-alive, Upgrade" })
  accepts("lists in several lines", { Connection = "Connection: keep-alive\r\nConnection: Upgrade",
    Upgrade = "Upgrade: websocket\r\nUpgrade: x" })

  refuses(426, "a request without Upgrade", { Upgrade = false, Connection = false })
  refuses(426, "an upgrade to something else", { Upgrade = "Upgrade: h2c" })
  refuses(426, "a word that only begins so", { Upgrade = "Upgrade: websocket2" })
  refuses(400, "a Connection that does not say so", { Connection = "Connection: keep-alive" })
  refuses(400, "no Connection", { Connection = false })
  refuses(426, "version 8", { ["Sec-WebSocket-Version"] = "Sec-WebSocket-Version: 8" })
  refuses(426, "version 013", { ["Sec-WebSocket-Version"] = "Sec-WebSocket-Version: 013" })
  refuses(426, "several versions", { ["Sec-WebSocket-Version"] = "Sec-WebSocket-Version: 8, 13" })
  refuses(400, "no version", { ["Sec-WebSocket-Version"] = false })
  refuses(400, "two versions", { ["Sec-WebSocket-Version"] =
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13" })
  refuses(400, "no key", { ["Sec-WebSocket-Key"] = false })
  refuses(400, "two keys", { ["Sec-WebSocket-Key"] =
    ("Sec-WebSocket-Key: %s\r\nSec-WebSocket-Key: %s"):format(KEY, KEY) })
  for _, key in ipairs { "", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ",
    "dGhlIHNhbXBsZSBub25jZQ===", "dGhlIHNhbXBsZSBub25jZ===", "dGhlIHNhbXBsZSBub25jZQAA",
    "dGhl HNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j-_==", "AAAAAAAAAAAAAAAAAAAAAAAAAA==" } do
    refuses(400, "the key " .. key, { ["Sec-WebSocket-Key"] = "Sec-WebSocket-Key: " .. key })
  end
  refuses(400, "another method", { first = "POST /chat HTTP/1.1" })
  refuses(400, "HEAD", { first = "HEAD /chat HTTP/1.1" })
  refuses(400, "a request with a body", { Host = "Host: a\r\nContent-Length: 1" })
  refuses(400, "a request with chunks", { Host = "Host: a\r\nTransfer-Encoding: chunked" })
  refuses(400, "HTTP/1.0", { first = "GET /chat HTTP/1.0" })
end)

describe("lq_ws_accept_key()", function()
  it("answers the example of RFC 6455 1.3", function()
    assert.are.equal("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", ws.accept_key(KEY))
  end)

  it("takes no other than a key", function()
    for _, key in ipairs { "", KEY .. "=", KEY:sub(2), KEY:gsub("=", "A"), ("="):rep(24) } do
      assert.are.same({ nil, "invalid" }, { ws.accept_key(key) })
    end
  end)
end)

describe("lq_ws_list_field()", function()
  local NAME = "sec-websocket-protocol"

  local function field(lines)
    return ws.list_field("GET / HTTP/1.1\r\nHost: a\r\n" .. lines .. "\r\n", NAME)
  end

  it("is nil when there is none", function()
    assert.is_nil(field "")
  end)

  it("is the one line", function()
    assert.are.equal("a, b", field "Sec-WebSocket-Protocol: a, b\r\n")
  end)

  it("joins lines with commas, in order", function()
    assert.are.equal("a, b,,c", field("Sec-WebSocket-Protocol: a, b\r\nX: y\r\n"
      .. "SEC-WEBSOCKET-PROTOCOL:\r\nSec-WebSocket-Protocol: c \r\n"))
  end)
end)

describe("lq_ws_choose_protocol()", function()
  it("takes the client's first that the server has", function()
    assert.are.equal("chat", ws.choose_protocol("chat, superchat", { "superchat", "chat" }))
    assert.are.equal("superchat", ws.choose_protocol("x ,\tsuperchat,chat",
      { "chat", "superchat" }))
  end)

  it("takes none where there is none in common", function()
    assert.is_nil(ws.choose_protocol("a, b", { "c" }))
    assert.is_nil(ws.choose_protocol("a, b", {}))
    assert.is_nil(ws.choose_protocol("", { "c" }))
    assert.is_nil(ws.choose_protocol(" , ,", { "", "c" }))
  end)

  it("compares whole words, with case", function()
    assert.is_nil(ws.choose_protocol("Chat, chat2, cha, a chat", { "chat" }))
  end)
end)

describe("lq_ws_negotiate()", function()
  local NONE = { context_takeover = false, window_bits = 15 }

  --- Cases { the field, the answer; false: no compression; nil: malformed }.
  local function cases(list, cfg)
    for _, case in ipairs(list) do
      it(("answers %s to %s"):format(case[2], case[1]), function()
        assert.are.equal(case[2], (ws.negotiate(case[1], cfg)))
      end)
    end
  end

  describe("with context takeover and 15 bits", function()
    cases {
      { "permessage-deflate", "permessage-deflate" },
      { "PerMessage-Deflate", "permessage-deflate" },
      { "permessage-deflate; client_max_window_bits", "permessage-deflate" },
      { "permessage-deflate; client_max_window_bits; server_max_window_bits=10",
        "permessage-deflate; server_max_window_bits=10" },
      { "permessage-deflate;server_max_window_bits=15",
        "permessage-deflate; server_max_window_bits=15" },
      { "permessage-deflate ; client_max_window_bits = 9",
        "permessage-deflate; client_max_window_bits=9" },
      { "permessage-deflate; client_max_window_bits=8",
        "permessage-deflate; client_max_window_bits=8" },
      { 'permessage-deflate; server_max_window_bits="12"',
        "permessage-deflate; server_max_window_bits=12" },
      { "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; server_no_context_takeover" },
      { "permessage-deflate; client_no_context_takeover",
        "permessage-deflate; client_no_context_takeover" },
      { "permessage-deflate; server_max_window_bits=9; client_no_context_takeover; "
        .. "client_max_window_bits=10; server_no_context_takeover",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
        .. "server_max_window_bits=9; client_max_window_bits=10" },
    }
  end)

  describe("without context takeover", function()
    cases({
      { "permessage-deflate",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover" },
      { "permessage-deflate; server_no_context_takeover; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover" },
    }, NONE)
  end)

  describe("with fewer bits", function()
    cases({
      { "permessage-deflate", "permessage-deflate; server_max_window_bits=10" },
      { "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_max_window_bits=10; client_max_window_bits=10" },
      { "permessage-deflate; client_max_window_bits=9; server_max_window_bits=9",
        "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9" },
      { "permessage-deflate; client_max_window_bits=12; server_max_window_bits=12",
        "permessage-deflate; server_max_window_bits=10; client_max_window_bits=10" },
    }, { window_bits = 10 })
  end)

  describe("goes on to the next offer", function()
    local second = ", permessage-deflate; server_max_window_bits=11"
    local answer = "permessage-deflate; server_max_window_bits=11"

    for _, declined in ipairs {
      "x-webkit-deflate-frame", "foo; bar=baz", 'foo; a="b\\c"',
      "permessage-deflate; unknown", "permessage-deflate; unknown=1",
      "permessage-deflate; server_max_window_bits",
      "permessage-deflate; server_max_window_bits=8",
      "permessage-deflate; server_max_window_bits=7",
      "permessage-deflate; server_max_window_bits=16",
      "permessage-deflate; server_max_window_bits=010",
      "permessage-deflate; server_max_window_bits=1a",
      "permessage-deflate; server_max_window_bits=1",
      'permessage-deflate; server_max_window_bits="1\\0"',
      "permessage-deflate; client_max_window_bits=7",
      "permessage-deflate; client_max_window_bits=16",
      "permessage-deflate; client_max_window_bits=09",
      "permessage-deflate; client_max_window_bits=100",
      "permessage-deflate; server_no_context_takeover=1",
      "permessage-deflate; client_no_context_takeover=true",
      "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
      "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
      "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
      "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
    } do
      it("behind " .. declined, function()
        assert.are.equal(answer, (ws.negotiate(declined .. second)))
        assert.is_false((ws.negotiate(declined)))
      end)
    end

    it("and takes the first that can be done", function()
      assert.are.equal("permessage-deflate; server_no_context_takeover",
        (ws.negotiate("foo, permessage-deflate; server_no_context_takeover" .. second)))
    end)
  end)

  describe("passes over empty members", function()
    cases {
      { "", false }, { " ", false }, { ",", false }, { " , ,\t", false },
      { ",permessage-deflate,", "permessage-deflate" },
      { "foo,, permessage-deflate", "permessage-deflate" },
    }
  end)

  describe("refuses what is malformed, wherever it stands", function()
    cases {
      { "permessage-deflate;" }, { "permessage-deflate; ;a" }, { "permessage-deflate; =1" },
      { "permessage-deflate; a=" }, { "permessage-deflate; a=," }, { "permessage-deflate a" },
      { "permessage-deflate; a b" }, { "permessage-deflate; a=b c" },
      { "permessage-deflate; a=b=c" },
      { '"permessage-deflate"' }, { 'foo; a="' }, { 'foo; a=""' }, { 'foo; a="b c"' },
      { 'foo; a="b\\"' }, { 'foo; a="\\ "' }, { "foo; a=(b)" }, { ";" },
      { "permessage-deflate, @" },
      { "permessage-deflate, foo;" },
    }
  end)

  it("tells both sides' bits", function()
    assert.are.same({ 15, 15, false, false }, { select(2, ws.negotiate "permessage-deflate") })
    assert.are.same({ 10, 15, false, false },
      { select(2, ws.negotiate("permessage-deflate", { window_bits = 10 })) })
    assert.are.same({ 9, 10, true, true }, { select(2, ws.negotiate(
      "permessage-deflate; client_max_window_bits; server_max_window_bits=9",
      { window_bits = 10, context_takeover = false })) })
  end)
end)
