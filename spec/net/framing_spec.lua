--- Messages in a stream of bytes: raw, line, u8, u16, u32.

local ws = require "spec.ws"

local LINE_MAX = 64 * 1024

--- The messages of a stream that comes as `pieces`; the last one is { error } when it fails.
local function messages(kind, pieces, max)
  local found, buffer, scanned = {}, "", 0

  for _, piece in ipairs(pieces) do
    buffer = buffer .. piece
    repeat
      local used, message, now = ws.find(kind, buffer, max, scanned)
      if not used then
        found[#found + 1] = { message }
        return found
      end
      scanned = now
      buffer = buffer:sub(used + 1)
      found[#found + 1] = message
    until used == 0
  end
  return found
end

--- The same however the bytes are cut.
local function read(kind, bytes, max)
  local whole = messages(kind, { bytes }, max or 1000)
  local single = {}

  for i = 1, #bytes do
    assert.are.same(whole, messages(kind, { bytes:sub(1, i), bytes:sub(i + 1) }, max or 1000))
    single[i] = bytes:sub(i, i)
  end
  assert.are.same(whole, messages(kind, single, max or 1000))
  return whole
end

describe("lq_framing_of()", function()
  it("knows the names", function()
    for _, name in ipairs { "raw", "line", "u8", "u16", "u32" } do
      assert.is_true(ws.is_framing(name))
    end
    for _, name in ipairs { "", "RAW", "u", "u64", "lines", "u8\0" } do
      assert.is_false(ws.is_framing(name))
    end
  end)
end)

describe("lq_framing_find()", function()
  it("finds lengths of 1, 2 and 4 bytes, big-endian", function()
    assert.are.same({ "abc", "", "d" }, read("u8", "\3abc\0\1d\2e"))
    assert.are.same({ "abc", "", "d" }, read("u16", "\0\3abc\0\0\0\1d\0\2e"))
    assert.are.same({ "abc", "", "d" }, read("u32", "\0\0\0\3abc\0\0\0\0\0\0\0\1d\0\0\0"))
  end)

  it("reads all bytes of a length", function()
    local long = ("x"):rep(0x0102)

    assert.are.same({ long }, messages("u16", { "\1\2" .. long }, 0x0102))
    assert.are.same({ long }, messages("u32", { "\0\0\1\2" .. long }, 0x0102))
    local longer = ("x"):rep(0x010203)
    assert.is_true(messages("u32", { "\0\1\2\3" .. longer }, 0x010203)[1] == longer)
  end)

  it("refuses a length above the limit before the body is there", function()
    for kind, at in pairs { u8 = "\8", u16 = "\0\8", u32 = "\0\0\0\8" } do
      local above = at:gsub("\8", "\9")

      assert.are.same({ "12345678" }, read(kind, at .. "12345678", 8))
      assert.are.same({ { "too_large" } }, read(kind, above, 8))
    end
    assert.are.same({ { "too_large" } }, read("u8", "\255", 254))
    assert.are.same({}, read("u8", "\255", 255))
    assert.are.same({ { "too_large" } }, read("u16", "\1\0", 255))
    assert.are.same({ { "too_large" } }, read("u32", "\255\255\255\255", 0xfffffffe))
    assert.are.same({}, read("u32", "\255\255\255\255", 0xffffffff))
  end)

  it("does not wait for a length that is cut", function()
    assert.are.same({}, read("u16", "\255", 8))
    assert.are.same({}, read("u32", "\255\255\255", 8))
  end)

  describe("line", function()
    it("ends at a line feed, and takes off one carriage return", function()
      assert.are.same({ "a", "", "b", "", "c\r", "d\re" },
        read("line", "a\n\nb\r\n\r\nc\r\r\nd\re\nf"))
      assert.are.same({ "a\0b", "\0" }, read("line", "a\0b\n\0\r\n"))
    end)

    it("may be as long as the limit without its end", function()
      assert.are.same({ "12345678", "12345678" }, read("line", "12345678\n12345678\r\n", 8))
      assert.are.same({ { "too_large" } }, read("line", "123456789\n", 8))
      assert.are.same({ { "too_large" } }, read("line", "123456789\r\n", 8))
      assert.are.same({ { "too_large" } }, read("line", "12345678\r\r\n", 8))
      assert.are.same({ "", "" }, read("line", "\n\r\n", 0))
      assert.are.same({ { "too_large" } }, read("line", "a", 0))
    end)

    it("is refused as soon as it is too long", function()
      assert.are.same({}, messages("line", { "12345678\r" }, 8))
      assert.are.same({ { "too_large" } }, messages("line", { "123456789" }, 8))
      assert.are.same({ { "too_large" } }, messages("line", { "12345678\rx" }, 8))
    end)

    it("has at most 64 KiB, whatever the limit is", function()
      local most = ("x"):rep(LINE_MAX)

      assert.is_true(messages("line", { most .. "\r\n" }, 1 << 30)[1] == most)
      assert.are.same({ { "too_large" } }, messages("line", { most, "x" }, 1 << 30))
      assert.are.same({ { "too_large" } }, messages("line", { most .. "x\n" }, 1 << 30))
    end)

    it("does not look at a byte twice", function()
      local _, _, scanned = ws.find("line", "abc", 100)
      assert.are.equal(3, scanned)

      -- A feed in what was scanned is not seen again: it is a promise of the caller's.
      assert.are.same({ 0, nil, 4 }, { ws.find("line", "a\nbc", 100, 4) })
      assert.are.same({ 5, "a\nbc", 0 }, { ws.find("line", "a\nbc\n", 100, 4) })
    end)

    it("looks no further than the limit", function()
      local _, _, scanned = ws.find("line", ("x"):rep(1000), 8)

      assert.are.equal(10, scanned)
    end)
  end)

  it("gives raw bytes as they come, no more than the limit at once", function()
    assert.are.same({ "abc", "d\n" }, messages("raw", { "abc", "", "d\n" }, 100))
    assert.are.same({ "abc", "def", "g" }, messages("raw", { "abcdefg" }, 3))
    assert.are.same({ 0, nil, 0 }, { ws.find("raw", "", 100) })
  end)
end)

describe("lq_framing_append()", function()
  it("writes what is read back", function()
    local all = {}
    for i = 0, 255 do all[i + 1] = string.char(i) end
    all = table.concat(all)

    for _, kind in ipairs { "u8", "u16", "u32", "line" } do
      for _, message in ipairs { "", "a", "a\rb", "\0", all:sub(1, 10), all:sub(12, 255) } do
        assert.are.same({ message }, read(kind, ws.frame(kind, message)))
      end
    end
    assert.are.same({ all }, messages("raw", { ws.frame("raw", all) }, 256))
  end)

  it("puts the length or the feed on", function()
    assert.are.equal("\3abc", ws.frame("u8", "abc"))
    assert.are.equal("\0\3abc", ws.frame("u16", "abc"))
    assert.are.equal("\0\0\0\3abc", ws.frame("u32", "abc"))
    assert.are.equal("abc\n", ws.frame("line", "abc"))
    assert.are.equal("abc", ws.frame("raw", "abc"))
    assert.are.equal("\1\2", ws.frame("u16", ("x"):rep(0x0102)):sub(1, 2))
    assert.are.equal("\0\1\2\3", ws.frame("u32", ("x"):rep(0x010203)):sub(1, 4))
  end)

  it("refuses what does not fit into its length", function()
    assert.are.equal(256, #ws.frame("u8", ("x"):rep(255)))
    assert.are.same({ nil, "too_large" }, { ws.frame("u8", ("x"):rep(256)) })
    assert.are.equal(65537, #ws.frame("u16", ("x"):rep(65535)))
    assert.are.same({ nil, "too_large" }, { ws.frame("u16", ("x"):rep(65536)) })
    assert.are.equal(LINE_MAX + 1, #ws.frame("line", ("x"):rep(LINE_MAX)))
    assert.are.same({ nil, "too_large" }, { ws.frame("line", ("x"):rep(LINE_MAX + 1)) })
  end)

  it("refuses lines that would not come back the same", function()
    for _, bad in ipairs { "\n", "a\n", "a\nb", "\r", "a\r", "a\r\n", "a\r\r" } do
      assert.are.same({ nil, "invalid" }, { ws.frame("line", bad) })
    end
  end)
end)
