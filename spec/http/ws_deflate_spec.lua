--- The compression of permessage-deflate, RFC 7692 7.2.

local ws = require "spec.ws"

local HELLO = "\xf2\x48\xcd\xc9\xc9\x07\x00"

--- Bytes that deflate cannot make smaller, the same ones every time.
local function noise(len)
  local x, bytes = 88172645463325252, {}

  for i = 1, len do
    x = x ~ (x << 13)
    x = x ~ (x >> 7)
    x = x ~ (x << 17)
    bytes[i] = string.char((x >> 24) & 0xff)
  end
  return table.concat(bytes)
end

local TEXTS = { "", "a", "Hello", ("abc"):rep(100), ("\0"):rep(70000), noise(300), noise(40000),
  noise(20000):rep(3) }

describe("lq_ws_deflate()", function()
  it("writes the examples of RFC 7692 7.2.3", function()
    local d = ws.deflater(15)

    assert.are.equal(HELLO, d:deflate "Hello")
    assert.are.equal("\xf2\x00\x11\x00\x00", d:deflate "Hello")
    assert.are.equal(HELLO, d:deflate("Hello", true))
    assert.are.equal("\0", d:deflate "")
  end)

  it("writes the same for a message each time it is reset", function()
    local d = ws.deflater(12)

    for _, text in ipairs(TEXTS) do
      assert.is_true(d:deflate(text, true) == ws.deflater(12):deflate(text))
    end
  end)

  it("makes an empty message one byte, whatever stands before", function()
    local d, i = ws.deflater(15), ws.inflater(15, true)

    for _, text in ipairs { "", "Hello", "", "", "Hello" } do
      local out = d:deflate(text)

      if text == "" then assert.are.equal("\0", out) end
      assert.are.equal(text, i:inflate(out))
    end
  end)

  it("is read back with every window, with context and without", function()
    for bits = 9, 15 do
      local d, i = ws.deflater(bits, 6), ws.inflater(bits, true)
      local d_reset, i_reset = ws.deflater(bits, 1), ws.inflater(15, false)
      for _, text in ipairs(TEXTS) do
        for _ = 1, 2 do
          assert.is_true(i:inflate(d:deflate(text), #text) == text)
          assert.is_true(i_reset:inflate(d_reset:deflate(text, true), #text) == text)
        end
      end
    end
  end)

  it("makes noise larger by less than an eighth", function()
    for _, len in ipairs { 1, 10, 100, 1000, 65535, 65536, 200000 } do
      for bits = 9, 15 do
        assert.is_true(#ws.deflater(bits):deflate(noise(len)) <= len + len // 8 + 64)
      end
    end
  end)
end)

describe("lq_ws_inflate()", function()
  local function inflate(bytes, max)
    return ws.inflater(15, true):inflate(bytes, max)
  end

  it("reads the examples of RFC 7692 7.2.3", function()
    assert.are.equal("Hello", inflate(HELLO))
    assert.are.equal("Hello", inflate "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00")
    assert.are.equal("Hello", inflate "\xf3\x48\xcd\xc9\xc9\x07\x00\x00")
    assert.are.equal("Hello", inflate "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00")
    assert.are.equal("", inflate "\0")
  end)

  it("goes on behind a final block, with the window that was", function()
    local i = ws.inflater(15, true)

    assert.are.equal("Hello", i:inflate "\xf3\x48\xcd\xc9\xc9\x07\x00\x00")
    assert.are.equal("Hello", i:inflate "\xf2\x00\x11\x00\x00")
    assert.are.equal("HelloHello", i:inflate("\xf3\x48\xcd\xc9\xc9\x07\x00" .. HELLO))
    assert.are.equal("HelloHello",
      i:inflate("\xf3\x48\xcd\xc9\xc9\x07\x00" .. "\xf2\x00\x11\x00\x00"))
  end)

  it("takes a final block with nothing behind it", function()
    local i = ws.inflater(15, true)

    for _ = 1, 2 do assert.are.equal("Hello", i:inflate "\xf3\x48\xcd\xc9\xc9\x07\x00") end
    assert.are.equal("Hello", i:inflate "\xf2\x00\x11\x00\x00")
  end)

  it("reads a message in parts, cut at every byte", function()
    local text = ("Hello, "):rep(30) .. noise(200)
    local bytes = ws.deflater(15):deflate(text)

    for at = 0, #bytes do
      local i = ws.inflater(15, true)
      local first = i:inflate(bytes:sub(1, at), #text, true)

      assert.are.equal(text, first .. i:inflate(bytes:sub(at + 1), #text))
    end
  end)

  it("gives no more than the limit", function()
    for _, text in ipairs(TEXTS) do
      local bytes = ws.deflater(15):deflate(text)

      assert.is_true(inflate(bytes, #text) == text)
      if #text > 0 then assert.are.same({ nil, 1009 }, { inflate(bytes, #text - 1) }) end
    end
  end)

  it("stops a bomb at the limit", function()
    local bomb = ws.deflater(15, 9):deflate(("\0"):rep(10000000))

    assert.is_true(#bomb < 10000)
    assert.are.same({ nil, 1009 }, { inflate(bomb, 100000) })
  end)

  it("refuses what is no deflate", function()
    for _, bad in ipairs { "", "\xff", "\x07", "\x00\x05\x00\xfa\xfe\x48", "\xf2\x00\x11",
      "\x4b\x04\x12" } do
      assert.are.same({ nil, 1007 }, { inflate(bad) })
    end
  end)

  it("refuses what ends within a block", function()
    for at = 1, #HELLO - 1 do assert.are.same({ nil, 1007 }, { inflate(HELLO:sub(1, at)) }) end
  end)

  it("refuses what reaches beyond its window", function()
    local far = noise(2000)
    local bytes = ws.deflater(15):deflate(far .. far)

    assert.are.same({ nil, 1007 }, { ws.inflater(9, true):inflate(bytes) })
  end)

  it("is as good as new behind a message and behind an error without context", function()
    local i = ws.inflater(15, false)

    for _ = 1, 2 do
      assert.are.equal("Hello", i:inflate(HELLO))
      assert.are.same({ nil, 1007 }, { i:inflate "\xf2\x00\x11\x00\x00" })
      assert.are.equal("Hello", i:inflate(HELLO))
      assert.are.same({ nil, 1009 }, { i:inflate(HELLO, 4) })
      assert.are.equal("Hello", i:inflate "\xf3\x48\xcd\xc9\xc9\x07\x00")
      assert.are.same({ nil, 1007 }, { i:inflate(HELLO:sub(1, 3)) })
    end
  end)
end)
