local fake = require "spec.support.fake_core"
fake.install()

local core = require "luaqueduct.core.task"
local modules = require "luaqueduct.require"

local mine = modules.require
local names = {}

--- A module for this spec only, taken away afterwards.
local function define(name, loader)
  package.preload[name] = loader
  names[#names + 1] = name
end

local function error_of(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return err
end

--- The results of two tasks that require at the same time: { ok, value } each.
local function side_by_side(...)
  local results = {}
  for i, name in ipairs { ... } do
    core.spawn(function() results[i] = { pcall(mine, name) } end)
  end
  fake.settle()
  return table.unpack(results)
end

describe("luaqueduct.require", function()
  before_each(fake.install)

  after_each(function()
    for i = #names, 1, -1 do
      package.preload[names[i]], package.loaded[names[i]] = nil, nil
      names[i] = nil
    end
  end)

  describe("like the standard one", function()
    it("passes name and loader data, and returns the data once", function()
      define("spec.a", function(...) return { ... } end)

      local value, data = mine "spec.a"

      assert.are.same({ "spec.a", ":preload:" }, value)
      assert.are.equal(":preload:", data)
      assert.are.same({ n = 1, value }, table.pack(mine "spec.a"))
    end)

    it("gives true for a module that returns nothing", function()
      define("spec.a", function() end)

      assert.is_true(mine "spec.a")
      assert.is_true(package.loaded["spec.a"])
    end)

    it("keeps what the module itself puts into package.loaded", function()
      define("spec.a", function() package.loaded["spec.a"] = "own" end)

      assert.are.equal("own", (mine "spec.a"))
    end)

    it("returns false, and loads again next time", function()
      local runs = 0
      define("spec.a", function()
        runs = runs + 1
        return false
      end)

      assert.is_false((mine "spec.a"))
      assert.is_false((mine "spec.a"))
      assert.are.equal(2, runs)
    end)

    it("finds files, and says where", function()
      local _, place = mine "spec.support.scale"
      names[#names + 1] = "spec.support.scale"

      assert.matches("spec/support/scale.lua$", place)
    end)

    it("has the same words for a module that is not there", function()
      local _, wanted = pcall(require, "spec.no.such")
      local _, given = pcall(mine, "spec.no.such")

      assert.are.equal(wanted, given)
    end)

    it("has the same words for what is no name", function()
      assert.are.equal(error_of(require, {}), error_of(mine, {}))
      assert.matches("string expected, got no value", error_of(mine))
    end)

    it("lets errors of a module through", function()
      local value = {}
      define("spec.a", function() error(value) end)

      assert.are.equal(value, error_of(mine, "spec.a"))
    end)

    it("asks searchers that were added", function()
      local function searcher(name)
        if name == "spec.found" then return function(_, data) return data end, "data" end
        return "\n\tnot mine"
      end
      table.insert(package.searchers, searcher)
      names[#names + 1] = "spec.found"
      finally(function() table.remove(package.searchers) end)

      assert.are.equal("data", (mine "spec.found"))
      assert.matches("not mine$", error_of(mine, "spec.missing"))
    end)
  end)

  describe("in tasks", function()
    it("lets a module wait at its top level", function()
      define("spec.a", function()
        core.sleep(1)
        return "waited"
      end)

      assert.are.equal("waited", (fake.run(mine, "spec.a")))
    end)

    it("loads once when two tasks require the same module", function()
      local runs = 0
      define("spec.a", function()
        runs = runs + 1
        core.sleep(1)
        return "value " .. runs
      end)

      local first, second = side_by_side("spec.a", "spec.a")

      assert.are.equal("value 1", first[2])
      assert.are.equal("value 1", second[2])
    end)

    it("makes other tasks wait for a module that has entered itself early", function()
      define("spec.a", function()
        local module = {}
        package.loaded["spec.a"] = module
        core.sleep(1)
        module.is_complete = true
      end)

      local _, second = side_by_side("spec.a", "spec.a")

      assert.is_true(second[2].is_complete)
    end)

    it("tries again in the task that waited when a load fails", function()
      local runs = 0
      define("spec.a", function()
        runs = runs + 1
        core.sleep(1)
        if runs == 1 then error("first", 0) end
        return "second"
      end)

      local first, second = side_by_side("spec.a", "spec.a")

      assert.are.same({ false, "first" }, first)
      assert.are.same({ true, "second" }, { second[1], second[2] })
    end)

    it("goes on in the task that waited when the loading one is cancelled", function()
      define("spec.a", function()
        core.sleep(5)
        return "value"
      end)

      local value = fake.run(function()
        local loader = core.spawn(mine, "spec.a")
        core.spawn(function()
          core.sleep(1)
          loader:cancel()
        end)
        core.sleep(0)
        return (mine "spec.a")
      end)

      assert.are.equal("value", value)
    end)

    it("goes on in the task that waited when nobody wakes it", function()
      local unpark = core.unpark
      finally(function() core.unpark = unpark end)
      core.unpark = function() error "no memory" end
      define("spec.a", function()
        core.sleep(1)
        return "value"
      end)

      local first, second = side_by_side("spec.a", "spec.a")

      assert.is_false(first[1])
      assert.are.equal("value", second[2])
    end)

    it("forgets a waiting task that is cancelled", function()
      define("spec.a", function()
        core.sleep(5)
        return "value"
      end)

      local value = fake.run(function()
        core.spawn(mine, "spec.a")
        core.sleep(0)
        local waiter = core.spawn(mine, "spec.a")
        core.sleep(1)
        waiter:cancel()
        return (mine "spec.a")
      end)

      assert.are.equal("value", value)
    end)
  end)

  describe("cycles", function()
    local function requires(name, other)
      define(name, function()
        core.sleep(1)
        return mine(other)
      end)
    end

    it("raise in one task and are named", function()
      requires("spec.a", "spec.b")
      requires("spec.b", "spec.c")
      requires("spec.c", "spec.b")

      local err = error_of(fake.run, mine, "spec.a")

      assert.matches("in a cycle: spec.b %-> spec.c %-> spec.b$", err)
    end)

    it("of one module are named too", function()
      requires("spec.a", "spec.a")

      assert.matches("in a cycle: spec.a %-> spec.a$", error_of(fake.run, mine, "spec.a"))
    end)

    it("raise across two tasks and are named", function()
      requires("spec.a", "spec.b")
      requires("spec.b", "spec.a")

      local first, second = side_by_side("spec.a", "spec.b")

      assert.is_false(first[1])
      assert.is_false(second[1])
      assert.matches("in a cycle: spec.b %-> spec.a %-> spec.b", second[2])
    end)

    it("raise across three tasks", function()
      requires("spec.a", "spec.b")
      requires("spec.b", "spec.c")
      requires("spec.c", "spec.a")

      local _, _, third = side_by_side("spec.a", "spec.b", "spec.c")

      assert.matches("in a cycle: spec.c %-> spec.a %-> spec.b %-> spec.c", third[2])
    end)

    it("are none when the module has entered itself in package.loaded", function()
      define("spec.a", function()
        package.loaded["spec.a"] = "early"
        return mine "spec.b"
      end)
      define("spec.b", function() return "b sees " .. mine "spec.a" end)

      assert.are.equal("b sees early", (fake.run(mine, "spec.a")))
    end)

    it("leave nothing behind", function()
      requires("spec.a", "spec.a")
      error_of(fake.run, mine, "spec.a")

      package.preload["spec.a"] = function() return "fine" end

      assert.are.equal("fine", (fake.run(mine, "spec.a")))
    end)
  end)
end)
