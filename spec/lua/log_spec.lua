local fake = require "spec.support.fake_core"
fake.install()

local logs = require "luaqueduct.log"

local function last()
  return fake.log[#fake.log]
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

      assert.are.same({ level = level, message = level .. " text" }, last())
    end
  end)

  it("hands fields on as they are", function()
    local fields = { user = 7 }

    logs.log.info("saved", fields)

    assert.are.equal(fields, last().fields)
  end)

  it("writes any message as text", function()
    logs.log.error(setmetatable({}, { __tostring = function() return "an error" end }))

    assert.are.equal("an error", last().message)
  end)

  it("prints what print would", function()
    logs.print("a", nil, 1)

    assert.are.same({ level = "info", message = "a\tnil\t1" }, last())
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
    assert.matches("^spec/lua/log_spec.lua:%d+: the fields of a record",
      error_of(function() logs.log.info("x", false) end))
    assert.matches("call the logger with a dot", error_of(function() logs.log:info "x" end))
  end)

  describe("logger()", function()
    it("gives its name", function()
      logs.logger("nest").warn "hot"

      assert.are.same({ level = "warn", message = "hot", name = "nest" }, last())
    end)

    it("needs a name", function()
      assert.matches("non%-empty string", error_of(logs.logger))
      assert.matches("non%-empty string", error_of(logs.logger, ""))
    end)
  end)
end)
