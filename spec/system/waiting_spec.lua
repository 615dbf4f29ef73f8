--- Waiting in the real program: where it works, and what it looks like.

local server = require "spec.support.server"
local wait = require "spec.support.wait"

local SOURCE = [[
local aq = require "luaqueduct"
local App = aq.channel()
local order = {}

local function note(what) order[#order + 1] = what end

aq.sleep(0.001)
note "top"
local slow = require "slow"
note(slow.name)

local function numbers(count)
  return coroutine.wrap(function()
    for i = 1, count do
      aq.sleep(0.001)
      coroutine.yield(i)
    end
  end)
end

function App.initialize(options)
  aq.sleep(0.001)
  options.context.initialized = true
end

function App:prepare()
  aq.sleep(0.001)
  note "prepare"
end

function App:entry_point()
  local router = aq.router()
  aq.sleep(0.001)
  note "entry_point"
  router:get("/steps", function()
    return { steps = order, initialized = self.options.context.initialized }
  end)
  router:get("/sleep", function()
    local from = aq.now()
    aq.sleep(0.02)
    return aq.now() - from >= 0.02 and "slept" or "woke early"
  end)
  router:get("/negative", function() return tostring(pcall(aq.sleep, -1)) end)
  router:route("/link"):link(function(req)
    aq.sleep(0.001)
    req.context.seen = "seen"
    return req
  end):link(function(req)
    aq.sleep(0.001)
    return req.context.seen
  end)
  router:get("/pcall", function()
    local ok, value = pcall(function() aq.sleep(0.001) return "inside" end)
    local failed, err = pcall(function() aq.sleep(0.001) error("raised", 0) end)
    return ("%s %s %s %s"):format(ok, value, failed, err)
  end)
  router:get("/tasks", function()
    local got = {}
    local waiter = aq.spawn(function(a, b) aq.sleep(0.002) got[#got + 1] = a .. b end, "x", "y")
    aq.after(0.004, function() got[#got + 1] = "after" end)
    aq.after(0.001, function() got[#got + 1] = "cancelled" end):cancel()
    aq.sleep(0.03)
    waiter:cancel() -- over: does nothing
    return table.concat(got, " ")
  end)
  router:get("/cancel", function()
    local closed, went_on = false, false
    local handle = aq.spawn(function()
      local guard <close> = setmetatable({}, { __close = function() closed = true end })
      pcall(aq.sleep, 100)
      went_on = true
    end)
    aq.sleep(0.001)
    handle:cancel()
    aq.sleep(0.001)
    return ("%s %s"):format(closed, went_on)
  end)
  router:get("/every", function()
    local runs, at_once, most = 0, 0, 0
    local ticker = aq.every(0.002, function()
      runs, at_once = runs + 1, at_once + 1
      most = math.max(most, at_once)
      aq.sleep(0.005)
      at_once = at_once - 1
      if runs == 2 then error "second run" end
    end)
    while runs < 4 do aq.sleep(0.002) end
    ticker:cancel()
    local seen = runs
    aq.sleep(0.02)
    return ("%s %s"):format(most, runs == seen)
  end)
  router:get("/all", function()
    local from = aq.now()
    local function late(value) return function() aq.sleep(0.05) return value, "second" end end
    local a, b, c = aq.all(late(1), late(nil), late(3))
    local list = aq.all { late "x", late "y" }
    return ("%s %s %s %s %s"):format(a, b, c, table.concat(list), aq.now() - from < 0.15)
  end)
  router:get("/all-fails", function()
    local went_on = false
    local ok, err = pcall(aq.all, function() aq.sleep(0.02) went_on = true end,
      function() aq.sleep(0.001) error("one failed", 0) end)
    aq.sleep(0.04)
    return ("%s %s %s"):format(ok, err, went_on)
  end)
  router:get("/shield", function()
    local a, b = aq.shield(function(x) aq.sleep(0.001) return x, 2 end, 1)
    local ok, err = pcall(aq.shield, function() error("in shield", 0) end)
    return ("%s %s %s %s"):format(a, b, ok, err)
  end)
  router:get("/iterator", function()
    local sum = 0
    for n in numbers(5) do sum = sum + n end
    return tostring(sum)
  end)
  router:get("/nested", function()
    local squares = coroutine.wrap(function()
      for n in numbers(4) do
        aq.sleep(0.001)
        coroutine.yield(n * n)
      end
    end)
    local sum = 0
    for n in squares do sum = sum + n end
    return tostring(sum)
  end)
  router:get("/resume", function()
    local co = coroutine.create(function(a)
      aq.sleep(0.001)
      local b = coroutine.yield(a + 1)
      aq.sleep(0.001)
      error("end " .. b, 0)
    end)
    local ok, value = coroutine.resume(co, 1)
    local failed, err = coroutine.resume(co, "b")
    return ("%s %s %s %s %s"):format(ok, value, failed, err, coroutine.status(co))
  end)
  router:get("/resume-waiting", function()
    local co = coroutine.create(function() aq.sleep(0.02) return "whole" end)
    local result
    aq.spawn(function() result = select(2, coroutine.resume(co)) end)
    aq.sleep(0.001)
    local resumed, why = pcall(coroutine.resume, co)
    local closed = pcall(coroutine.close, co)
    while not result do aq.sleep(0.001) end
    return ("%s %s %s: %s"):format(resumed, closed, result, why)
  end)
  router:get("/sort", function()
    table.sort({ 3, 2, 1 }, function(a, b) aq.sleep(0) return a < b end)
  end)
  router:get("/gsub", function() return (("abc"):gsub(".", function() aq.sleep(0) end)) end)
  router:get("/inside", function()
    table.sort({ 3, 2, 1 }, function(a, b)
      coroutine.wrap(function() aq.sleep(0) end)()
      return a < b
    end)
  end)
  router:get("/foreign", function() coroutine.yield "to nobody" end)
  router:get("/two", function()
    local function load() return require "counted" end
    local a, b = aq.all(load, load)
    return ("%s %s"):format(rawequal(a, b), LOADS)
  end)
  router:get("/cycle", function() return tostring(select(2, pcall(require, "cycle_a"))) end)
  router:get("/cycle-of-two", function()
    local function try(name)
      return function() return tostring(select(2, pcall(require, name))) end
    end
    return table.concat(aq.all { try "left", try "right" }, " ")
  end)
  return router
end

return App
]]

local FILES = {
  ["slow.lua"] = 'require "luaqueduct".sleep(0.001) return { name = "slow" }',
  ["counted.lua"] = 'LOADS = (LOADS or 0) + 1 require "luaqueduct".sleep(0.005) return {}',
  ["cycle_a.lua"] = 'require "luaqueduct".sleep(0) return require "cycle_b"',
  ["cycle_b.lua"] = 'require "luaqueduct".sleep(0) return require "cycle_a"',
  ["left.lua"] = 'require "luaqueduct".sleep(0.005) return require "right"',
  ["right.lua"] = 'require "luaqueduct".sleep(0.005) return require "left"',
}

for _, workers in ipairs { 1, 4 } do
  describe(("waiting with %d workers"):format(workers), function()
    local app

    setup(function()
      app = server.start { source = SOURCE, files = FILES, workers = workers }
    end)
    teardown(function() app:stop { status = 0 } end)

    local function answers(path, text)
      local res = assert(app:get(path))

      assert.are.equal(200, res.status)
      assert.are.equal(text, res.body)
    end

    it("works at the top, in modules, initialize, prepare and entry_point", function()
      local body = app:get("/steps").body

      assert.matches('"steps":["top","slow","prepare","entry_point"]', body, 1, true)
      assert.matches('"initialized":true', body, 1, true)
    end)

    it("works in handlers, links and pcall", function()
      answers("/sleep", "slept")
      answers("/negative", "false")
      answers("/link", "seen")
      answers("/pcall", "true inside false raised")
    end)

    it("lets others run: spawn, after, cancel", function()
      answers("/tasks", "xy after")
      answers("/cancel", "true false")
    end)

    it("of every never overlaps, and goes on after an error", function()
      answers("/every", "1 true")
      app:wait_log "second run"
    end)

    it("of all is side by side; the first error cancels the rest", function()
      answers("/all", "1 nil 3 xy true")
      answers("/all-fails", "false one failed false")
    end)

    it("of shield gives results and errors", function()
      answers("/shield", "1 2 false in shield")
    end)

    it("passes through user coroutines, iterators and nested ones", function()
      answers("/iterator", "15")
      answers("/nested", "30")
      answers("/resume", "true 2 false end b dead")
    end)

    it("is not for others to resume or close", function()
      local body = app:get("/resume-waiting").body

      assert.matches("^false false whole: .*waits", body)
    end)

    it("says why it cannot be in a comparator or a callback of gsub", function()
      for _, path in ipairs { "/sort", "/gsub", "/inside" } do
        local before = #app:log()
        assert.are.equal(500, app:get(path).status)
        wait.till(function()
          return app:log():find("GET " .. path .. ": .*cannot wait here.*table.sort.*gsub",
            before + 1)
        end, 5, "the record of " .. path)
      end
    end)

    it("for nobody is an error", function()
      assert.are.equal(500, app:get("/foreign").status)
    end)

    it("loads a module once for two tasks, and refuses cycles", function()
      answers("/two", "true 1")
      assert.matches("cycle.*cycle_a.*cycle_b", app:get("/cycle").body)
      assert.matches("left.*right.*left", app:get("/cycle-of-two").body)
    end)
  end)
end
