--- Waits that end in the same turn as their cancel, and other narrow places.

local client = require "spec.support.client"
local server = require "spec.support.server"

local APP = [[
local aq = require "luaqueduct"
local router = aq.router()
router:get("/big", function(req)
  local stream <close> = assert(req:detach())
  stream:write(tostring(#assert(stream:read(200000, 5))))
end)
router:get("/both", function(req)
  local stream = assert(req:detach())
  local reader = aq.spawn(function() stream:read("some", 0.05) end)
  aq.spawn(function() aq.sleep(0.05) reader:cancel() end)
  aq.sleep(0.1)
  stream:write "ready"
  local bytes = stream:read("some", 5)
  stream:write("got " .. tostring(bytes))
  stream:close()
end)
router:get("/chain", function()
  local handles = {}
  for i = 1, 2000 do
    handles[i] = aq.spawn(function()
      local after <close> = setmetatable({}, { __close = function()
        if handles[i + 1] then handles[i + 1]:cancel() end
      end })
      aq.sleep(60)
    end)
  end
  aq.sleep(0.01)
  handles[1]:cancel()
  return "cut"
end)
router:get("/twice", function(req)
  local kept
  req:on_error(function() kept "EVIL" return "second" end)
  return aq.stream(function(write) kept = write error "late" end)
end)
return router
]]

describe("narrow places", function()
  local app

  setup(function() app = server.start { source = APP } end)
  teardown(function() app:stop { status = 0 } end)

  it("reads more from a detached connection than a buffer holds", function()
    local conn = app:connect()

    conn:send(client.format("GET", "/big") .. ("x"):rep(200000))

    assert.are.equal("200000", conn:read_all())
    conn:close()
  end)

  it("cancels a reader whose time is up in the same turn", function()
    for _ = 1, 5 do
      local conn = app:connect()
      conn:send(client.format("GET", "/both"))
      assert.are.equal("ready", conn:read(5))
      conn:send "bytes"

      assert.are.equal("got bytes", conn:read_all())
      conn:close()
    end
  end)

  it("cancels a long chain of tasks, each by the one before", function()
    assert.are.equal("cut", app:get("/chain").body)
  end)

  it("never sends two answers to one request", function()
    local conn = app:connect()

    conn:send(client.format("GET", "/twice"))

    local all = conn:read_all() or ""
    assert.is_nil(all:find("second", 1, true))
    conn:close()
  end)
end)
