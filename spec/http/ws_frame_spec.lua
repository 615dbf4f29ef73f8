--- Heads, masks and close codes of WebSocket frames, RFC 6455 5.2 and 7.4.

local support = require "spec.support.ws"
local ws = require "spec.ws"

local frame = support.frame

describe("lq_ws_frame_head()", function()
  it("writes what RFC 6455 5.7 shows", function()
    assert.are.equal("\x81\x05", ws.head(1, false, 5))
    assert.are.equal("\x89\x05", ws.head(9, false, 5))
    assert.are.equal("\x8a\x05", ws.head(10, false, 5))
    assert.are.equal("\x82\x7e\x01\x00", ws.head(2, false, 256))
    assert.are.equal("\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", ws.head(2, false, 65536))
  end)

  it("takes the shortest length", function()
    assert.are.equal("\x82\x00", ws.head(2, false, 0))
    assert.are.equal("\x82\x7d", ws.head(2, false, 125))
    assert.are.equal("\x82\x7e\x00\x7e", ws.head(2, false, 126))
    assert.are.equal("\x82\x7e\xff\xff", ws.head(2, false, 65535))
    assert.are.equal("\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff",
      ws.head(2, false, math.maxinteger))
  end)

  it("marks what is deflated", function()
    assert.are.equal("\xc1\x05", ws.head(1, true, 5))
  end)
end)

describe("lq_ws_head_read()", function()
  local function read(bytes, may_deflate)
    return { ws.read_head(bytes, may_deflate) }
  end

  it("reads back every length that it takes", function()
    for _, len in ipairs { 0, 1, 125, 126, 65535, 65536, 1 << 32, math.maxinteger } do
      local head = frame { "binary", len = len, key = "abcd" }

      assert.are.same({ #head, 2, len, true, false, "abcd" }, read(head))
    end
  end)

  it("needs all of it", function()
    for _, len in ipairs { 0, 126, 65536 } do
      local head = frame { "text", len = len }

      for i = 0, #head - 1 do assert.are.equal(0, ws.read_head(head:sub(1, i))) end
      assert.are.equal(#head, ws.read_head(head .. "more"))
    end
  end)

  it("reads fragments", function()
    assert.are.same({ 6, 1, 3, false, false, "\0\0\0\0" },
      read(frame { "text", len = 3, more = true, key = "\0\0\0\0" }))
  end)

  it("knows RSV1 in the first frame when deflate was agreed on", function()
    for _, opcode in ipairs { "text", "binary" } do
      local head = frame { opcode, rsv = 0x40 }

      assert.is_true(select(5, ws.read_head(head, true)))
      assert.are.equal(-1002, ws.read_head(head, false))
    end
  end)

  describe("refuses", function()
    local function refuses(what, bytes, may_deflate)
      it(what, function()
        assert.are.equal(-1002, ws.read_head(bytes, may_deflate))
      end)
    end

    refuses("RSV1 in a continuation", "\x40", true)
    refuses("RSV1 in a ping", "\xc9", true)
    refuses("RSV1 in a close frame", "\xc8", true)
    refuses("RSV2", "\xa1", true)
    refuses("RSV3", "\x91", true)
    for opcode = 3, 7 do refuses("opcode " .. opcode, string.char(0x80 | opcode)) end
    for opcode = 11, 15 do refuses("opcode " .. opcode, string.char(0x80 | opcode)) end
    refuses("a fragment of a close frame", "\x08")
    refuses("a fragment of a ping", "\x09")
    refuses("a fragment of a pong", "\x0a")
    refuses("a frame without a mask", "\x81\x05")
    refuses("a ping of 126 bytes", "\x89\xfe")
    refuses("a ping with a length of 64 bits", "\x89\xff")
    refuses("125 in 16 bits", frame { "text", len = 125, size = 2 })
    refuses("0 in 16 bits", "\x81\xfe\0\0")
    refuses("65535 in 64 bits", frame { "text", len = 65535, size = 8 })
    refuses("0 in 64 bits", "\x81\xff\0\0\0\0\0\0\0\0")
    refuses("a length of 2^63", "\x81\xff\x80\0\0\0\0\0\0\0")
    refuses("a length of 2^64 - 1", "\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff")
  end)
end)

describe("lq_ws_unmask()", function()
  local KEY = "\x37\xfa\x21\x3d"

  local function naive(bytes, key, offset)
    local i = offset - 1

    return (bytes:gsub(".", function(c)
      i = i + 1
      return string.char(c:byte() ~ key:byte(i % 4 + 1))
    end))
  end

  it("takes off what RFC 6455 5.7 shows", function()
    assert.are.equal("Hello", ws.unmask("\x7f\x9f\x4d\x51\x58", KEY))
  end)

  it("does so for every length, offset and alignment", function()
    local bytes = {}
    for i = 1, 67 do bytes[i] = string.char(i * 37 % 256) end
    bytes = table.concat(bytes)

    for len = 0, #bytes do
      local part = bytes:sub(1, len)
      for offset = 0, 4 do
        local expected = naive(part, KEY, offset)
        for shift = 0, 8 do
          assert.are.equal(expected, ws.unmask(part, KEY, offset, shift))
        end
      end
    end
  end)
end)

describe("lq_ws_close_code_is_valid()", function()
  it("takes what may be sent", function()
    for _, range in ipairs { { 1000, 1003 }, { 1007, 1014 }, { 3000, 4999 } } do
      for code = range[1], range[2] do assert.is_true(ws.is_close_code(code), code) end
    end
  end)

  it("refuses what is reserved or outside", function()
    for _, range in ipairs { { 0, 999 }, { 1004, 1006 }, { 1015, 2999 }, { 5000, 65535 } } do
      for code = range[1], range[2] do assert.is_false(ws.is_close_code(code), code) end
    end
  end)
end)
