--- A client that leaves: the handler ends at its wait, what it started lives on.

local client = require "spec.support.client"
local server = require "spec.support.server"

local SOURCE = [[
local aq = require "luaqueduct"
local router = aq.router()

local function guard(text)
  return setmetatable({}, { __close = function() print(text) end })
end

router:get("/sleep", function()
  local guarded <close> = guard "sleep: closed"
  print "sleep: begun"
  local ok = pcall(aq.sleep, 60)
  print("sleep: pcall saw it", ok)
end)
router:get("/closing", function()
  local guarded <close> = setmetatable({}, { __close = function()
    print("closing: " .. tostring(select(2, pcall(aq.sleep, 0))))
  end })
  print "closing: begun"
  aq.sleep(60)
end)
router:get("/nested", function()
  local outer <close> = guard "nested: outer closed"
  local inner = coroutine.wrap(function()
    local inner <close> = guard "nested: inner closed"
    print "nested: begun"
    aq.sleep(60)
  end)
  inner()
  print "nested: went on"
end)
router:get("/all", function()
  aq.all(function()
    local guarded <close> = guard "all: first closed"
    aq.sleep(60)
  end, function()
    local guarded <close> = guard "all: second closed"
    print "all: begun"
    aq.sleep(60)
  end)
end)
router:get("/lives", function()
  local guarded <close> = guard "lives: closed"
  aq.spawn(function() aq.sleep(0.15) print "lives: spawned is done" end)
  aq.after(0.15, function() print "lives: after is done" end)
  print "lives: begun"
  aq.shield(function() aq.sleep(0.15) print "lives: shielded is done" end)
  print "lives: went on"
end)
router:post("/body", function(req)
  local guarded <close> = guard "body: closed"
  print "body: begun"
  req:body()
  print "body: went on"
end)
router:get("/stream", function()
  return aq.stream(function(write)
    local guarded <close> = guard "stream: closed"
    print "stream: begun"
    while true do
      local ok, err = write(("x"):rep(65536))
      if not ok then print("stream: " .. err.code) return end
    end
  end)
end)
router:get("/alive", function() return "alive" end)
return router
]]

for _, workers in ipairs { 1, 4 } do
  describe(("a client that resets, %d workers"):format(workers), function()
    local app

    before_each(function() app = server.start { source = SOURCE, workers = workers } end)

    after_each(function()
      assert.are.equal("alive", app:get("/alive").body)
      app:stop { status = 0 }
      assert.is_nil(app:log():find("went on", 1, true))
    end)

    local function leave(name, bytes)
      local conn = app:connect()
      conn:send(bytes or client.format("GET", "/" .. name))
      app:wait_log(name .. ": begun")
      conn:reset()
    end

    it("runs <close> variables, and pcall does not see it", function()
      leave "sleep"
      app:wait_log "sleep: closed"
      assert.is_nil(app:log():find("pcall saw it", 1, true))
    end)

    it("lets nothing wait while it is closed", function()
      leave "closing"
      app:wait_log "cannot wait while a task is closed"
    end)

    it("closes coroutines from the innermost out", function()
      leave "nested"
      app:wait_log "nested: outer closed"
      assert.matches("inner closed.*outer closed", app:log())
    end)

    it("cancels what aq.all runs", function()
      leave "all"
      app:wait_log "all: first closed"
      app:wait_log "all: second closed"
    end)

    it("cancels a handler that waits for its body", function()
      leave("body", "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
      app:wait_log "body: closed"
    end)

    it("ends a stream that it does not read", function()
      leave "stream"
      app:wait_log "stream: closed"
    end)

    it("leaves spawned, timed and shielded work alone", function()
      leave "lives"
      app:wait_log "lives: closed"
      app:wait_log "lives: spawned is done"
      app:wait_log "lives: after is done"
      app:wait_log "lives: shielded is done"
      assert.matches("lives: closed.*shielded is done", app:log())
    end)
  end)
end
