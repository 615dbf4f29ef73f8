--- A client's frames into messages. Every input is decoded whole, in two pieces at every byte, and
--- byte by byte, with the same events (spec/support/ws.lua).

local support = require "spec.support.ws"
local ws = require "spec.ws"

local frame, frames, words = support.frame, support.frames, support.words

--- The events of frames, as words.
local function decode(list, options)
  local bytes = type(list) == "string" and list or frames(list)

  return words((support.decode(bytes, options)))
end

local function inflater(bits, keeps_context)
  return function() return ws.inflater(bits or 15, keeps_context ~= false) end
end

describe("lq_ws_decoder", function()
  describe("reads", function()
    it("the examples of RFC 6455 5.7", function()
      assert.are.same({ "text Hello" }, decode "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58")
      assert.are.same({ "pong Hello" }, decode "\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58")
      assert.are.same({ "text Hello" }, decode {
        { "text", "Hel", more = true }, { "cont", "lo" } })
    end)

    it("messages one after the other", function()
      assert.are.same({ "text a", "binary b\xff", "text", "binary", "ping c", "pong", "text d" },
        decode { { "text", "a" }, { "binary", "b\xff" }, { "text" }, { "binary" }, { "ping", "c" },
          { "pong" }, { "text", "d" } })
    end)

    it("lengths of 16 and of 64 bits", function()
      for _, len in ipairs { 125, 126, 127, 65535, 65536, 70000 } do
        local data = ("x"):rep(len)
        local bytes = frame { "binary", data }
        for _, at in ipairs { 0, 1, 2, 3, 4, 7, 10, 14, 15, #bytes - 1 } do
          local events = ws.decode({ bytes:sub(1, at), bytes:sub(at + 1) }, { max = 70000 })

          assert.are.equal(1, #events)
          assert.is_true(events[1].data == data and events[1].is_binary)
        end
      end
    end)

    it("fragments, empty ones too", function()
      assert.are.same({ "binary abc" }, decode {
        { "binary", "a", more = true }, { "cont", "b", more = true }, { "cont", "c" } })
      assert.are.same({ "text", "text a" }, decode {
        { "text", more = true }, { "cont", more = true }, { "cont" },
        { "text", more = true }, { "cont", "a", more = true }, { "cont" } })
    end)

    it("control frames between fragments", function()
      assert.are.same({ "ping", "ping p", "pong q", "text abc", "text d" }, decode {
        { "text", "a", more = true }, { "ping" }, { "ping", "p" }, { "cont", "b", more = true },
        { "pong", "q" }, { "cont", "c" }, { "text", "d" } })
    end)

    it("a close frame between fragments, and nothing behind it", function()
      assert.are.same({ "close 1000" }, decode {
        { "text", "a", more = true }, { "close", "\x03\xe8" }, { "cont", "b" }, { "ping" },
        { 7, unmasked = true } })
    end)

    it("control frames of 125 bytes", function()
      local most = ("x"):rep(125)

      assert.are.same({ "ping " .. most, "close 1000 " .. most:sub(3) },
        decode { { "ping", most }, { "close", "\x03\xe8" .. most:sub(3) } })
    end)

    it("nothing of a frame that is not whole", function()
      assert.are.same({}, decode(""))
      assert.are.same({ "text a" }, decode { { "text", "a" },
        { "text", "bc", len = 3 } })
      assert.are.same({}, decode { { "text", "a", more = true }, { "cont", "b", more = true } })
      assert.are.same({}, decode { { "close", "a", len = 2 } })
    end)
  end)

  describe("on close", function()
    it("tells code and reason", function()
      assert.are.same({ "close 1000" }, decode { { "close", "\x03\xe8" } })
      assert.are.same({ "close 4999 \u{20ac}" }, decode { { "close", "\x13\x87\u{20ac}" } })
    end)

    it("tells 1005 when there is none", function()
      assert.are.same({ "close 1005" }, decode { { "close" } })
    end)

    it("refuses half a code and codes that may not be sent", function()
      for _, payload in ipairs { "\x03", "\x03\xe7", "\x03\xec", "\x03\xed", "\x03\xee", "\x03\xf7",
        "\x07\xd0", "\x0b\xb7", "\x13\x88", "\0\0", "\xff\xff" } do
        assert.are.same({ "error 1002" }, decode { { "close", payload } })
      end
    end)

    it("refuses a reason that is not UTF-8", function()
      assert.are.same({ "error 1007" }, decode { { "close", "\x03\xe8\xff" } })
      assert.are.same({ "error 1007" }, decode { { "close", "\x03\xe8\xe2\x82" } })
    end)

    it("ignores what comes behind it", function()
      local close, bad = frame { "close", "\x03\xe8" }, "\xff\xff"

      assert.are.same({ 4, #close, 0, 2, 0, 0, 0, #close }, ws.feeds { close, bad, "", close })
    end)
  end)

  describe("refuses", function()
    local function refuses(what, list, code, options)
      it(what, function()
        assert.are.same({ "error " .. (code or 1002) }, decode(list, options))
      end)
    end

    refuses("a continuation without a start", { { "cont", "a" } })
    refuses("a continuation without a start, cut", { { "cont", "a", more = true } })
    refuses("a message inside one", { { "text", "a", more = true }, { "text", "b" } })
    refuses("the start of a message inside one",
      { { "binary", more = true }, { "binary", more = true } })
    refuses("reserved bits", { { "text", "a", rsv = 0x40 } })
    refuses("RSV2, with deflate", { { "text", "a", rsv = 0x20 } }, 1002, { inflater = inflater() })
    refuses("RSV1 in a continuation, with deflate",
      { { "text", "a", more = true }, { "cont", "b", rsv = 0x40 } }, 1002,
      { inflater = inflater() })
    refuses("reserved opcodes", { { 3, "a" } })
    refuses("reserved control opcodes", { { 11 } })
    refuses("a frame without a mask", { { "text", "a", unmasked = true } })
    refuses("a fragment of a ping", { { "ping", "a", more = true } })
    refuses("a ping of 126 bytes", { { "ping", ("x"):rep(126) } })
    refuses("a length longer than it need be", { { "text", "a", size = 2 } })
    refuses("a length of 2^63", "\x81\xff\x80\0\0\0\0\0\0\0")

    it("behind what was right", function()
      assert.are.same({ "text a", "ping b", "error 1002" },
        decode { { "text", "a" }, { "ping", "b" }, { "cont", "c" }, { "text", "d" } })
    end)

    it("the same at every further feed", function()
      assert.are.same({ -1002, 2, -1002, 0, -1002, 7 },
        ws.feeds { "\xff\xff", "", frame { "text", "a" } })
    end)
  end)

  describe("UTF-8", function()
    local BAD = { "\xff", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80",
      "a\xe2\x82", "\xe2\x28\xa1", "\xf0\x9f\x98", "a\xf8" }
    local TEXT = "\u{7f}\u{80}\u{7ff}\u{800}\u{d7ff}\u{e000}\u{ffff}\u{10000}\u{10ffff}abc"

    it("is checked in a frame", function()
      for _, bad in ipairs(BAD) do
        assert.are.same({ "error 1007" }, decode { { "text", bad } })
        assert.are.same({ "binary " .. bad }, decode { { "binary", bad } })
      end
    end)

    it("may be cut between fragments anywhere", function()
      for i = 0, #TEXT do
        assert.are.same({ "text " .. TEXT }, decode { { "text", TEXT:sub(1, i), more = true },
          { "cont", more = true }, { "cont", TEXT:sub(i + 1) } })
      end
    end)

    it("is checked across fragments", function()
      for _, bad in ipairs(BAD) do
        for i = 1, #bad - 1 do
          assert.are.same({ "error 1007" },
            decode { { "text", bad:sub(1, i), more = true }, { "cont", bad:sub(i + 1) } })
        end
      end
      assert.are.same({ "error 1007" }, decode { { "text", "\xe2\x82", more = true }, { "cont" } })
    end)

    it("is refused with the fragment that shows it, before the message is over", function()
      for _, bad in ipairs { "\xff", "\xc0", "\xe0\x80", "\xed\xa0", "\xf4\x90", "a\xe2\x28",
        "\xf0\x9f\x28", "\xf0\x9f\x98\x28" } do
        assert.are.same({ "error 1007" }, decode { { "text", bad, more = true } })
      end
      assert.are.same({ "error 1007" },
        decode { { "text", "\xe2", more = true }, { "cont", "\x82", more = true },
          { "cont", "\xe2", more = true } })
    end)

    it("is refused with the first byte that shows it, before the frame is over", function()
      assert.are.same({ "error 1007" }, decode { { "text", "a\xff", len = 1000 } })
      assert.are.same({}, decode { { "text", "a\xe2\x82", len = 1000 } })
    end)
  end)

  describe("limits", function()
    it("are told by the head of a frame", function()
      assert.are.same({ "binary 12345678" }, decode({ { "binary", "12345678" } }, { max = 8 }))
      assert.are.same({ "error 1009" }, decode({ { "binary", len = 9 } }, { max = 8 }))
      assert.are.same({ "error 1009" }, decode({ { "binary", len = 1 << 40 } }, { max = 8 }))
      assert.are.same({ "error 1009" }, decode({ { "text", len = 9, more = true } }, { max = 8 }))
    end)

    it("hold for fragments together, told by the head of the one that is too much", function()
      assert.are.same({ "text 12345678" }, decode({ { "text", "12345", more = true },
        { "cont", "678", more = true }, { "cont" } }, { max = 8 }))
      assert.are.same({ "error 1009" }, decode({ { "text", "12345", more = true },
        { "cont", len = 4 } }, { max = 8 }))
      assert.are.same({ "error 1009" }, decode({ { "text", "12345678", more = true },
        { "cont", len = math.maxinteger } }, { max = 8 }))
    end)

    it("do not hold for control frames", function()
      assert.are.same({ "ping 123456789" }, decode({ { "ping", "123456789" } }, { max = 8 }))
    end)

    it("refuse more than 1,024 fragments of less than 64 bytes on average", function()
      local function fragments(count, size, last)
        local rest = frame { "cont", ("x"):rep(size), more = true }
        local bytes = frame { "binary", ("x"):rep(size), more = true } .. rest:rep(count - 1)

        return words((ws.decode({ bytes .. frame { "cont", last } }, { max = 1 << 20 })))
      end

      assert.are.same({ "binary" }, fragments(1023, 0))
      assert.are.same({ "error 1008" }, fragments(1024, 0))
      assert.are.same({ "error 1008" }, fragments(2000, 63))
      assert.are.same({ "error 1008" }, fragments(1024, 64, ("x"):rep(63)))
      assert.are.same({ "binary " .. ("x"):rep(1025 * 64) }, fragments(1024, 64, ("x"):rep(64)))
      assert.are.same({ "binary " .. ("x"):rep(2000 * 65) }, fragments(2000, 65))
    end)

    it("count control frames for nothing", function()
      local bytes = frame { "text", "a", more = true } .. frame { "ping" }:rep(3000)
        .. frame { "cont" }

      assert.are.equal(3001, #ws.decode { bytes })
    end)
  end)

  describe("memory", function()
    it("is not taken for what lies whole in the bytes", function()
      for event, f in pairs { { "text", "hello" }, { "ping", "x" }, { "pong", "x" },
        { "close", "\x03\xe8x" } } do
        local code, is_in_place = ws.decodes_in_place(frame(f))

        assert.are.equal(event, code)
        assert.is_true(is_in_place)
      end
    end)

    it("is given back behind what needed it", function()
      for _, list in ipairs { { { "text", "a", more = true }, { "ping", "c" }, { "cont", "b" } },
        { { "ping", "abc" } }, { { "binary", ("x"):rep(300) } }, { { "close", "\x03\xe8" } },
        { { "text", "\xff" } }, { { "text", "a", more = true }, { "close" } } } do
        local _, is_idle = support.decode(frames(list))

        assert.is_true(is_idle)
      end
    end)

    it("is kept for what is cut", function()
      for _, bytes in ipairs { "\x81", frame { "text", "a", len = 2 },
        frame { "text", more = true }, frame { "ping", len = 1 } } do
        local _, is_idle = support.decode(bytes)

        assert.is_false(is_idle)
      end
    end)

    it("grows with what has come, not with what was announced", function()
      assert.are.same({}, decode({ { "binary", "abc", len = 1 << 50 } }, { max = 1 << 60 }))
    end)
  end)

  describe("with deflate", function()
    local HELLO = "\xf2\x48\xcd\xc9\xc9\x07\x00"
    local AGAIN = "\xf2\x00\x11\x00\x00"

    local function deflated(data, more)
      return { "text", data, rsv = 0x40, more = more }
    end

    it("reads the examples of RFC 7692 7.2.3.1", function()
      assert.are.same({ "text Hello" }, decode({ deflated(HELLO) }, { inflater = inflater() }))
      assert.are.same({ "text Hello" }, decode({ deflated("\xf2\x48\xcd", true),
        { "cont", "\xc9\xc9\x07\x00" } }, { inflater = inflater() }))
    end)

    it("keeps the context if it was agreed on", function()
      assert.are.same({ "text Hello", "text Hello" },
        decode({ deflated(HELLO), deflated(AGAIN) }, { inflater = inflater() }))
      assert.are.same({ "text Hello", "error 1007" },
        decode({ deflated(HELLO), deflated(AGAIN) }, { inflater = inflater(15, false) }))
    end)

    it("reads messages that are not deflated between them", function()
      assert.are.same({ "text Hello", "text plain", "binary \xff", "text Hello" },
        decode({ deflated(HELLO), { "text", "plain" }, { "binary", "\xff" }, deflated(AGAIN) },
          { inflater = inflater() }))
    end)

    it("reads control frames between deflated fragments", function()
      assert.are.same({ "ping x", "text Hello" }, decode({ deflated(HELLO:sub(1, 2), true),
        { "ping", "x" }, { "cont", HELLO:sub(3) } }, { inflater = inflater() }))
    end)

    it("reads messages of no bytes", function()
      assert.are.same({ "text", "text", "text Hello" },
        decode({ deflated("\0"), deflated(""), deflated(HELLO) }, { inflater = inflater() }))
    end)

    it("checks UTF-8 of what was inflated", function()
      local bad = ws.deflater(15):deflate("abc\xff")

      assert.are.same({ "error 1007" }, decode({ deflated(bad) }, { inflater = inflater() }))
      assert.are.same({ "binary abc\xff" }, decode({ { "binary", bad, rsv = 0x40 } },
        { inflater = inflater() }))
    end)

    it("refuses what is no deflate", function()
      assert.are.same({ "error 1007" },
        decode({ deflated("\xff\xff\xff") }, { inflater = inflater() }))
      assert.are.same({ "error 1007" },
        decode({ deflated(HELLO:sub(1, 3)) }, { inflater = inflater() }))
    end)

    it("holds the limit while it inflates", function()
      local data = ("abc"):rep(1000)
      local bytes = ws.deflater(15):deflate(data)

      assert.are.same({ "text " .. data },
        decode({ deflated(bytes) }, { max = 3000, inflater = inflater() }))
      assert.are.same({ "error 1009" },
        decode({ deflated(bytes) }, { max = 2999, inflater = inflater() }))
      assert.are.same({ "error 1009" }, decode({ deflated(bytes:sub(1, 4), true),
        { "cont", bytes:sub(5) } }, { max = 2999, inflater = inflater() }))
    end)

    it("takes an eighth more of what cannot be compressed, and refuses what is beyond", function()
      local options = { max = 800, inflater = inflater() }

      assert.are.same({}, decode({ { "text", rsv = 0x40, len = 964 } }, options))
      assert.are.same({ "error 1009" }, decode({ { "text", rsv = 0x40, len = 965 } }, options))
      assert.are.same({ "error 1009" }, decode({ { "text", "x", rsv = 0x40, more = true },
        { "cont", len = 964 } }, options))
      assert.are.same({ "error 1009" }, decode({ { "text", len = 801 } }, options))
    end)

    it("gives back the memory of what was inflated", function()
      local _, is_idle = support.decode(frames { deflated(HELLO) }, { inflater = inflater() })

      assert.is_true(is_idle)
    end)

    it("shares an inflater without context between decoders, also behind an error", function()
      local shared = ws.inflater(15, false)
      local function one(payload)
        return words((ws.decode({ frame(deflated(payload)) }, { inflater = shared, max = 10 })))
      end

      assert.are.same({ "text Hello" }, one(HELLO))
      assert.are.same({ "error 1007" }, one "\xff")
      assert.are.same({ "text Hello" }, one(HELLO))
      assert.are.same({ "error 1007" }, one(HELLO:sub(1, 3)))
      assert.are.same({ "text Hello" }, one(HELLO))
      assert.are.same({ "error 1009" }, one(ws.deflater(15):deflate(("x"):rep(11))))
      assert.are.same({ "text Hello" }, one(HELLO))
    end)
  end)
end)
