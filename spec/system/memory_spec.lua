--- --memory-limit: the request that hits it fails, the worker goes on.

local client = require "spec.support.client"
local scale = require "spec.support.scale"
local server = require "spec.support.server"

local APP = [[
local aq = require "luaqueduct"
local router = aq.router()
local kept = {}

local function grow()
  local t = {}
  for i = 1, math.huge do t[i] = { i } end
end
router:get("/", function() return "fine" end)
router:get("/used", function() collectgarbage() return tostring(collectgarbage "count") end)
router:get("/table", grow)
router:get("/rep", function() return #("x"):rep(1 << 30) end)
router:get("/concat", function()
  local s = "x"
  while true do s = s .. s end
end)
router:get("/coroutines", function()
  local all = {}
  while true do all[#all + 1] = coroutine.create(grow) end
end)
router:get("/wait", function()
  aq.sleep(0.01)
  grow()
end)
router:get("/inside", function() return coroutine.wrap(grow)() end)
router:get("/caught", function()
  local ok, err = pcall(grow)
  return tostring(ok) .. " " .. err
end)
router:get("/hooked", function(req)
  req:on_error(function() return "the hook answered" end)
  grow()
end)
router:get("/closes", function()
  local x <close> = setmetatable({}, { __close = function() kept.closed = ("y"):rep(1000) end })
  grow()
end)
router:get("/closed", function() return tostring(kept.closed and #kept.closed) end)
router:get("/spawn", function()
  aq.spawn(grow)
  return "spawned"
end)
router:get("/yield", function()
  local t = {}
  pcall(function() for i = 1, math.huge do t[i] = { i } end end)
  coroutine.yield()
end)
router:get("/keep", function()
  for i = 1, math.huge do kept[i] = ("z"):rep(1000) .. i end
end)
router:get("/late", function()
  print "waiting"
  while not kept[1] do aq.sleep(0.01) end
  return ("x"):rep(1 << 20)
end)
return router
]]

local BLOW_UPS = {
  "/table", "/rep", "/concat", "/coroutines", "/wait", "/inside", "/hooked", "/closes",
}

describe("--memory-limit", function()
  for _, workers in ipairs { 1, 4 } do
    describe(("with %d workers"):format(workers), function()
      local app

      setup(function()
        app = server.start { source = APP, workers = workers, args = { "--memory-limit", "16M" } }
      end)
      teardown(function() app:stop { status = 0 } end)

      for _, path in ipairs(BLOW_UPS) do
        it("answers 503 to " .. path .. " and goes on", function()
          local res = app:get(path)

          assert.are.equal(503, res.status)
          assert.are.equal("503 Service Unavailable\n", res.body)
          assert.are.equal("fine", app:get("/").body)
          assert.is_true(tonumber(app:get("/used").body) < 4096)
        end)
      end

      it("says which request it was", function()
        app:get "/table"

        app:wait_log "GET /table: not enough memory"
      end)

      it("is the app's affair when the app catches it", function()
        assert.are.equal("false not enough memory", app:get("/caught").body)
      end)

      it("is no panic when the heap is full and the task yields to nobody", function()
        assert.are.equal(500, app:get("/yield").status)
        assert.are.equal("fine", app:get("/").body)
      end)

      it("ends a spawned task and nothing else", function()
        assert.are.equal("spawned", app:get("/spawn").body)

        app:wait_log "error in a task: not enough memory"
        assert.are.equal("fine", app:get("/").body)
      end)
    end)
  end

  it("leaves a reserve to <close> variables", function()
    local app <close> = server.start { source = APP, args = { "--memory-limit", "16M" } }

    app:get "/closes"

    assert.are.equal("1000", app:get("/closed").body)
    app:stop { status = 0 }
  end)

  it("gives the memory back #once", function() -- sanitizers bring their own malloc
    local app <close> = server.start { source = APP, args = { "--memory-limit", "64M" } }
    local paths = { "/table", "/rep", "/concat", "/coroutines" }
    app:get "/table"
    local before = app:rss()

    for i = 1, scale(12) do
      assert.are.equal(503, app:get(paths[i % #paths + 1]).status)
    end

    local after = app:rss()
    assert.is_true(after < before * 1.1 + 1024, ("%d KiB, before %d KiB"):format(after, before))
    assert.is_true(before < 8 * 1024, "resident after the first blow-up: " .. before .. " KiB")
    app:stop { status = 0 }
  end)

  it("replaces a worker whose app keeps too much, and says so once", function()
    local app <close> = server.start { source = APP, args = { "--memory-limit", "16M" } }
    local conns = {}
    for i = 1, 20 do conns[i] = app:connect() end

    for _, conn in ipairs(conns) do conn:send(client.format("GET", "/keep")) end

    for _, conn in ipairs(conns) do
      assert.are.equal(503, conn:read_response().status)
      conn:close()
    end
    app:wait_log "worker 1 serves again"
    assert.are.equal("fine", app:get("/").body)
    assert.are.equal(1, select(2, app:log():gsub("this worker drains and is replaced", "")))
    app:stop { status = 0 }
  end)

  it("lets what is under way end well in a worker that is replaced", function()
    local app <close> = server.start { source = APP, args = { "--memory-limit", "16M" } }
    local late, keep = app:connect(), app:connect()
    late:send(client.format("GET", "/late"))
    app:wait_log "waiting"

    assert.are.equal(503, keep:get("/keep").status)

    assert.are.equal(1 << 20, #late:read_response().body)
    keep:close()
    late:close()
    app:wait_log "worker 1 serves again"
    app:stop { status = 0 }
  end)

  it("bounds the start too", function()
    local result = server.fail { source = APP, args = { "--memory-limit", "64K" } }

    assert.are.equal(1, result.status)
    assert.matches("not enough memory", result.stderr)
  end)
end)
