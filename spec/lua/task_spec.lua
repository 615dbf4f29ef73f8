local fake = require "spec.support.fake_core"
fake.install()

local core = require "luaqueduct.core.task"
local task = require "luaqueduct.task"

local function sleeper(seconds, result)
  return function()
    core.sleep(seconds)
    return result
  end
end

local function error_of(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return err
end

describe("luaqueduct.task", function()
  before_each(fake.install)

  describe("after()", function()
    it("runs the function with its arguments when the time has come", function()
      local ran
      fake.run(function() task.after(2, function(...) ran = { core.now(), ... } end, "a", "b") end)

      fake.settle()

      assert.are.same({ 2, "a", "b" }, ran)
    end)

    it("does not run after cancel()", function()
      local ran = false
      fake.run(function() task.after(2, function() ran = true end):cancel() end)

      fake.settle()

      assert.is_false(ran)
    end)

    it("logs an error with its traceback", function()
      fake.run(function() task.after(1, function() error "oops" end) end)

      fake.settle()

      assert.matches("oops\nstack traceback:", fake.messages("error")[1])
    end)

    it("refuses what it cannot run at the caller's line", function()
      assert.matches("^spec/lua/task_spec.lua:%d+: .-1 are no seconds",
        error_of(task.after, -1, print))
      assert.matches("nan are no seconds", error_of(task.after, 0 / 0, print))
      assert.matches("must be a function, not a nil", error_of(task.after, 1))
    end)
  end)

  describe("every()", function()
    local function times_of(seconds, runs, fn)
      local times = {}
      local handle
      fake.run(function()
        handle = task.every(seconds, function()
          times[#times + 1] = core.now()
          if #times == runs then handle:cancel() end
          fn()
        end)
      end)
      fake.settle()
      return times
    end

    it("runs on a steady beat until it is cancelled, also by itself", function()
      assert.are.same({ 2, 4, 6 }, times_of(2, 3, function() end))
    end)

    it("keeps its beat when a run takes time", function()
      assert.are.same({ 2, 4, 6 }, times_of(2, 3, function() core.sleep(1) end))
    end)

    it("leaves out what was missed instead of overlapping", function()
      assert.are.same({ 2, 6, 10 }, times_of(2, 3, function() core.sleep(3) end))
    end)

    it("goes on after an error, which is logged with its place and traceback", function()
      local times = times_of(1, 3, function() error "oops" end)

      assert.are.same({ 1, 2, 3 }, times)
      assert.are.equal(3, #fake.messages "error")
      assert.matches("error in aq.every of spec/lua/task_spec.lua:%d+: .*oops.*traceback",
        fake.messages("error")[1])
    end)

    it("refuses a beat of no time", function()
      assert.matches("0 are no seconds", error_of(task.every, 0, print))
    end)
  end)

  describe("all()", function()
    it("runs side by side and returns first results by position", function()
      local results, took = fake.run(function()
        local results = table.pack(task.all(sleeper(3, "a"), sleeper(1, "b"),
          function() return "c", "left out" end))
        return results, core.now()
      end)

      assert.are.same({ n = 3, "a", "b", "c" }, results)
      assert.are.equal(3, took)
    end)

    it("keeps nils in their places", function()
      local results = fake.run(function()
        return table.pack(task.all(sleeper(1), sleeper(1, "b"), sleeper(1)))
      end)

      assert.are.same({ n = 3, nil, "b", nil }, results)
    end)

    it("returns a list for a list", function()
      local results = fake.run(task.all, { sleeper(1, "a"), sleeper(0, "b") })

      assert.are.same({ "a", "b" }, results)
    end)

    it("returns nothing for nothing", function()
      assert.are.equal(0, select("#", fake.run(task.all)))
      assert.are.same({}, fake.run(task.all, {}))
    end)

    it("raises the error as it was and cancels the rest", function()
      local value, closed, finished = {}, false, false

      local err = error_of(fake.run, task.all, function()
        local _ <close> = setmetatable({}, { __close = function() closed = true end })
        core.sleep(10)
        finished = true
      end, function()
        core.sleep(1)
        error(value)
      end)
      fake.settle()

      assert.are.equal(value, err)
      assert.is_true(closed)
      assert.is_false(finished)
    end)

    it("raises the first error only", function()
      local err = error_of(fake.run, task.all, function() error("first", 0) end,
        function() error("second", 0) end)

      fake.settle()
      assert.are.equal("first", err)
      assert.are.same({}, fake.messages "error")
    end)

    it("cancels its functions when the waiting task is cancelled", function()
      local finished = 0
      fake.run(function()
        local function work()
          core.sleep(5)
          finished = finished + 1
        end
        local waiter = core.spawn(task.all, work, work)
        core.sleep(1)
        waiter:cancel()
      end)

      fake.settle()

      assert.are.equal(0, finished)
    end)

    it("raises when one of its functions is cancelled from elsewhere", function()
      local err = error_of(fake.run, task.all, sleeper(5), function()
        core.current():cancel()
        core.sleep(1)
      end)

      assert.are.equal("cancelled", err.code)
    end)

    it("nests", function()
      local results = fake.run(function()
        return table.pack(task.all(function()
          return (task.all(sleeper(1, "a"), sleeper(2, "b")))
        end, sleeper(1, "c")))
      end)

      assert.are.same({ n = 2, "a", "c" }, results)
    end)

    it("names the argument that is no function", function()
      assert.matches("argument 2 of aq.all must be a function, not a nil",
        error_of(fake.run, task.all, print, nil))
      assert.matches("argument 1 of aq.all must be a function, not a number",
        error_of(fake.run, task.all, { 1 }))
    end)
  end)

  describe("shield()", function()
    it("returns all results, nils in their places", function()
      local results = fake.run(function()
        return table.pack(task.shield(function(...)
          core.sleep(1)
          return nil, ..., nil
        end, "a"))
      end)

      assert.are.same({ n = 3, nil, "a", nil }, results)
    end)

    it("raises the error as it was", function()
      local value = {}

      assert.are.equal(value, error_of(fake.run, task.shield, function() error(value) end))
      assert.are.same({}, fake.messages "error")
    end)

    local function run_cancelled(fn)
      fake.run(function()
        local waiter = core.spawn(task.shield, fn)
        core.sleep(1)
        waiter:cancel()
      end)
      fake.settle()
    end

    it("goes on when the waiting task is cancelled", function()
      local finished = false

      run_cancelled(function()
        core.sleep(5)
        finished = true
      end)

      assert.is_true(finished)
    end)

    it("logs an error that nobody is left to get", function()
      run_cancelled(function()
        core.sleep(5)
        error "oops"
      end)

      assert.matches("error in aq.shield, .*oops.*traceback", fake.messages("error")[1])
    end)

    it("raises when the shielded task itself is cancelled", function()
      local err = error_of(fake.run, task.shield, function()
        core.current():cancel()
        core.sleep(1)
      end)

      assert.are.equal("cancelled", err.code)
    end)
  end)
end)
