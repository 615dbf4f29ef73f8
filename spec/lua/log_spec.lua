local fake = require "spec.support.fake_core"
fake.install()

local logs = require "luaqueduct.log"

local function last()
  return fake.log[#fake.log].message
end

local function error_of(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return err
end

describe("luaqueduct.log", function()
  before_each(fake.install)

  it("writes a record of each level", function()
    for _, level in ipairs { "debug", "info", "warn", "error" } do
      logs.log[level](level .. " text")

      assert.are.same({ level = level, message = level .. " text" }, fake.log[#fake.log])
    end
  end)

  it("puts fields behind the message, sorted", function()
    logs.log.info("saved", { user = 7, file = "a.txt", ["is new"] = true })

    assert.are.equal("saved file=a.txt is new=true user=7", last())
  end)

  it("quotes what would be taken for something else", function()
    logs.log.info("x", { a = "two words", b = 'say "hi"', c = "", d = "k=v", e = "1\n2\0" })

    assert.are.equal([[x a="two words" b="say \"hi\"" c="" d="k=v" e="1\n2\x00"]], last())
  end)

  it("writes any message as text", function()
    logs.log.error(setmetatable({}, { __tostring = function() return "an error" end }))

    assert.are.equal("an error", last())
  end)

  it("survives a field that has no text", function()
    logs.log.info("x", { a = setmetatable({}, { __tostring = function() error "no" end }) })

    assert.are.equal("x a=table", last())
  end)

  it("formats nothing when the level is off", function()
    fake.level = "error"
    local value = setmetatable({}, { __tostring = function() error "formatted" end })

    logs.log.info(value, { value = value })
    logs.print(value)

    assert.are.equal(0, #fake.log)
  end)

  it("refuses fields that are no table, and a colon, at the caller's line", function()
    assert.matches("^spec/lua/log_spec.lua:%d+: the fields of a record",
      error_of(function() logs.log.info("x", "y") end))
    assert.matches("call the logger with a dot", error_of(function() logs.log:info "x" end))
  end)

  describe("logger()", function()
    it("puts its name in front", function()
      logs.logger("nest").warn("hot", { degrees = 40 })

      assert.are.same({ level = "warn", message = "nest: hot degrees=40" }, fake.log[1])
    end)

    it("needs a name", function()
      assert.matches("non%-empty string", error_of(logs.logger))
    end)
  end)
end)
