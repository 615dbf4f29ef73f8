--- The app of the soak: what spec/c/load_soak.c asks for, and what breaks workers.
--
-- Options: breaker (path of breaker.so), pause ("os.time" where an endless loop
-- has to call the C library). Every good answer says who gave it, in field By.

local aq = require "luaqueduct"

local App = aq.channel()
local router = aq.router()
local by = {}

local function answer(body) return aq.response(200, by, body) end

router:get("/echo/:n", function(req) return answer(req.params.n) end)
router:get("/wait/:n", function(req)
  aq.sleep(tonumber(req.params.n:sub(-1)) / 1000)
  return answer(req.params.n)
end)
router:post("/json", function(req)
  local value, err = req:json()
  if err then return aq.response(422, by, err.code) end
  return answer(("{%q:%q}"):format("n", value.n))
end)
router:get("/stream/:n", function(req)
  return aq.stream(function(write)
    write(req.params.n)
    aq.sleep(0.002)
    write "the end"
  end, by)
end)

-- ---- one request fails -----------------------------------------------------

local failures = {
  ["0"] = function() error "an error" end,
  ["1"] = function() error { a = "table" } end,
  ["2"] = function() error(nil) end,
  ["3"] = function() aq.sleep(0.001) error "a late error" end,
  ["4"] = function() return coroutine.wrap(function() error "inside" end)() end,
  ["5"] = function() return nil end,
}
router:get("/boom/:kind/:n", function(req) return failures[req.params.kind]() end)

local function grow()
  local t = {} -- luacheck: ignore 241
  for i = 1, math.huge do t[i] = { i } end
end
router:get("/memory/table/:n", grow)
router:get("/memory/string/:n", function() return ("x"):rep(1 << 30) end)

router:route("/late/:n"):limits({ request_timeout = 0.2 }):link(function()
  aq.sleep(60)
  return "too late"
end)
router:get("/torn/:n", function()
  return aq.stream(function(write)
    write "begun"
    aq.sleep(0.001)
    error "torn"
  end, by)
end)

-- ---- a worker breaks -------------------------------------------------------

local kept = {} -- luacheck: ignore 241
local breaker, pause

local function spin() while true do pause() end end
router:get("/loop", spin)
router:get("/swallow", function() while true do pcall(spin) end end)
local block = ("z"):rep(10000)
router:get("/keep", function()
  while true do kept[#kept + 1] = block .. #kept end
end)
router:get("/stop", function()
  aq.instance:stop()
  return answer "stopping"
end)
router:get("/exit", function() os.exit() end)
router:get("/panic", function() breaker.panic() end)
router:get("/spoil", function()
  breaker.spoil()
  return answer "spoiled"
end)
router:get("/stuck", function()
  return tostring(("a"):rep(60000):find((".-"):rep(20) .. "b"))
end)

-- ---- the moments of its life -----------------------------------------------

local function process_id()
  local file = assert(io.open "/proc/self/stat")
  local id = file:read "n"
  file:close()
  return id
end

function App.initialize(options) options.context.process = process_id() end

function App:prepare()
  local context, me = self.options.context, aq.instance
  by.By = ("%d.%d.%d.%d"):format(context.process, me.generation, me.id, me.restarts)
  breaker = assert(package.loadlib(context.breaker, "luaopen_breaker"))()
  pause = context.pause == "os.time" and os.time or function() end
  -- Some life of its own.
  aq.every(0.01, function() aq.log.debug("tick", { by = by.By }) end)
end

function App.entry_point() return router end

return App
