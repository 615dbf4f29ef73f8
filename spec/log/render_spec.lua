--- Records as lines: each goes through its packed form first.

local json = require "luaqueduct.core.json"
local log = require "spec.log"

local AT = 1795235820123456789 -- 2026-11-21T04:37:00.123456789Z

local function text(record)
  record.at_ns = AT
  local line = log.line(record, "text")
  assert.are.equal("\n", line:sub(-1))
  return (line:gsub("^2026%-11%-21T04:37:00%.123Z ", ""):sub(1, -2))
end

local function decoded(record)
  record.at_ns = AT
  local line = log.line(record, "json")
  assert.are.equal(1, select(2, line:gsub("\n", "")))
  return assert(json.decode(line))
end

local ALL = {}
for i = 0, 255 do ALL[i + 1] = string.char(i) end
ALL = table.concat(ALL)

describe("a line of text", function()
  it("has time, level, thread and message", function()
    assert.are.equal("2026-11-21T04:37:00.123Z info  w3: hello\n",
      log.line { at_ns = AT, who = "w3", message = "hello" })
  end)

  it("has the time in milliseconds, whatever it is", function()
    assert.matches("^1970%-01%-01T00:00:00%.000Z ", log.line { at_ns = 999999, message = "" })
    assert.matches("^1970%-01%-01T00:00:00%.999Z ", log.line { at_ns = 999999999, message = "" })
    assert.matches("^2100%-02%-28T23:59:59%.007Z ",
      log.line { at_ns = 4107542399007000000, message = "" })
  end)

  it("has each level in five columns", function()
    for _, level in ipairs { "debug", "info", "warn", "error" } do
      assert.are.equal(("%-5s w1: x"):format(level), text { level = level, message = "x" })
    end
  end)

  it("has logger, fields, request and traceback in their places", function()
    assert.are.equal([[info  w1: nest: hot degrees=40 request=1-2-3 traceback="stack:\n\tx"]],
      text { logger = "nest", message = "hot", fields = "degrees=40", request = "1-2-3",
        traceback = "stack:\n\tx" })
  end)

  it("has the request of an error in front of its message", function()
    assert.are.equal("error w1: GET /x: boom request=1-2-3",
      text { level = "error", message = "boom", method = "GET", target = "/x", request = "1-2-3" })
  end)

  it("tells of a request", function()
    assert.are.equal("info  w1: access: GET /users/7?a=b 200 bytes=12 duration_ms=1.205 "
      .. "remote=127.0.0.1 request=1-2-3",
      text { kind = "access", logger = "access", method = "GET", target = "/users/7?a=b",
        status = 200, bytes = 12, duration_us = 1205, remote = "127.0.0.1", request = "1-2-3" })
    assert.are.equal("info  w1: - - 400 bytes=0 duration_ms=0.000",
      text { kind = "access", method = "", target = "", status = 400 })
  end)

  it("tells what was dropped", function()
    assert.are.equal("warn  w1: 17 records dropped",
      text { kind = "dropped", level = "warn", dropped = 17 })
  end)

  it("is one line without control characters, whatever stands in it", function()
    local record = { at_ns = AT, logger = ALL, message = ALL, method = ALL, target = ALL,
      request = ALL, traceback = ALL, remote = ALL, status = 200 }

    for _, kind in ipairs { "plain", "access" } do
      record.kind = kind
      local line = log.line(record, "text"):sub(1, -2)

      assert.is_nil(line:find "[%c]")
      assert.is_truthy(utf8.len(line))
    end
  end)

  it("escapes what it must, and nothing else", function()
    assert.are.equal([[info  w1: a\nb\r\tc\x00\x1b[31m\x7f "q" \]],
      text { message = "a\nb\r\tc\0\27[31m\127 \"q\" \\" })
    assert.are.equal("info  w1: grüß 日本 😀", text { message = "grüß 日本 😀" })
    assert.are.equal([[info  w1: \u0080\u009b\u2028\u2029|]] .. "\u{A0}\u{2027}\u{202A}",
      text { message = "\u{80}\u{9B}\u{2028}\u{2029}|\u{A0}\u{2027}\u{202A}" })
    assert.are.equal([[info  w1: \xff\xc3 \xe2\x82 \xed\xa0\x80]],
      text { message = "\xFF\xC3 \xE2\x82 \xED\xA0\x80" })
  end)

  it("has colours when asked for", function()
    local plain = log.line { at_ns = AT, level = "error", message = "x" }
    local coloured = log.line({ at_ns = AT, level = "error", message = "x" }, "text", true)

    assert.are_not.equal(plain, coloured)
    assert.are.equal(plain, (coloured:gsub("\27%[%d+m", "")))
  end)
end)

describe("a line of JSON", function()
  it("has the keys of the contract", function()
    assert.are.same({
      time = "2026-11-21T04:37:00.123Z", level = "warn", logger = "nest", worker = 3,
      message = "hot", fields = { degrees = 40 }, request = "1-2-3", traceback = "stack:\n\tx",
    }, decoded { level = "warn", worker = 3, logger = "nest", message = "hot",
      fields = '"degrees":40', request = "1-2-3", traceback = "stack:\n\tx" })
  end)

  it("leaves out what is not there", function()
    assert.are.same({ time = "2026-11-21T04:37:00.123Z", level = "info", worker = 0, message = "" },
      decoded { message = "" })
  end)

  it("has method and path of an error's request", function()
    local got = decoded { message = "boom", method = "GET", target = "/x" }

    assert.are.same({ "GET", "/x" }, { got.method, got.path })
  end)

  it("tells of a request", function()
    local got = decoded { kind = "access", logger = "access", method = "GET", target = "/x?y",
      status = 200, bytes = 1 << 40, duration_us = 1205, remote = "::1", request = "1-2-3" }

    assert.are.same({ time = got.time, level = "info", worker = 0, logger = "access",
      message = "request", method = "GET", target = "/x?y", status = 200, bytes = 1 << 40,
      duration_ms = 1.205, remote = "::1", request = "1-2-3" }, got)
  end)

  it("has method and target of a request that was not understood, too", function()
    local got = decoded { kind = "access", status = 400 }

    assert.are.same({ "", "", 0.0 }, { got.method, got.target, got.duration_ms })
  end)

  it("tells what was dropped", function()
    local got = decoded { kind = "dropped", level = "warn", dropped = 17 }

    assert.are.same({ 17, "17 records dropped" }, { got.dropped, got.message })
  end)

  it("is valid, whatever stands in it", function()
    local got = decoded { logger = ALL, message = ALL, method = ALL, target = ALL, request = ALL,
      traceback = ALL }

    local expected = ALL:sub(1, 128) .. ("\u{FFFD}"):rep(128)
    for _, key in ipairs { "logger", "message", "method", "path", "request", "traceback" } do
      assert.are.equal(expected, got[key], key)
    end
  end)

  it("survives strings cut at every byte", function()
    local whole = "grüß 日本 😀 \"\\\n\0\u{85}\u{2028}"

    for i = 0, #whole do
      local got = decoded { message = whole:sub(1, i), logger = whole:sub(i + 1) }
      assert.is_truthy(utf8.len(got.message))
      if utf8.len(whole:sub(1, i)) then
        assert.are.equal(whole, got.message .. got.logger)
      end
    end
  end)
end)

describe("a message with a traceback", function()
  it("is parted from it", function()
    local text_of, traceback = log.split "app.lua:1: boom\nstack traceback:\n\t[C]: in ?"

    assert.are.equal("app.lua:1: boom", text_of)
    assert.are.equal("stack traceback:\n\t[C]: in ?", traceback)
  end)

  it("is left as it is without one", function()
    for _, whole in ipairs { "", "x", "a\nb", "stack traceback:\n\tx", "x\nstack traceback:" } do
      local text_of, traceback = log.split(whole)

      assert.are.equal(whole, text_of)
      assert.is_nil(traceback)
    end
  end)
end)
