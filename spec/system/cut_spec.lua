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
router:get("/late", function(req)
  aq.sleep(0.05)
  local stream <close> = assert(req:detach())
  stream:write(assert(stream:read("line", 5)))
end)
router:get("/patient", function(req)
  local stream <close> = assert(req:detach())
  stream:write("got " .. assert(stream:read("line", 5)))
end)
router:get("/fails", function(req)
  assert(req:detach())
  aq.sleep(0.01)
  error "on purpose"
end)
router:get("/readers", function(req)
  local stream <close> = assert(req:detach())
  local first = aq.spawn(function()
    local line, err = stream:read("line", 0.2)
    stream:write(tostring(line) .. " " .. err.code)
  end)
  aq.sleep(0.05)
  pcall(stream.read, stream, "line")
  aq.sleep(0.5)
  first:cancel()
end)
router:get("/all", function()
  return aq.stream(function(write)
    aq.all(function()
      for _ = 1, 1000 do write(("x"):rep(65536)) end
    end, function()
      for _ = 1, 1000 do write(("y"):rep(65536)) end
    end)
  end)
end)
router:post("/first", function(req)
  local n = 0
  for chunk in req:chunks() do
    n = n + #chunk
    if n >= 100000 then break end
  end
  return "enough"
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

  it("keeps what came with a head that ends the connection for a handler that waits", function()
    local conn = app:connect()

    conn:send("GET /late HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nhello\nmore\n")

    assert.are.equal("hello", conn:read_all())
    conn:close()
  end)

  it("has no request clock for a detached connection", function()
    local limited <close> = server.start { source = APP, args = { "--request-timeout", "0.2" } }
    local conn = limited:connect()

    conn:send(client.format("GET", "/patient"))
    limited:get "/chain"
    conn:send "in time\n"

    assert.are.equal("got in time", conn:read_all())
    conn:close()
    limited:stop { status = 0 }
  end)

  it("cuts a detached connection when its handler fails", function()
    local conn = app:connect()

    conn:send(client.format("GET", "/fails"))

    assert.are.equal("", conn:read_all())
    conn:close()
  end)

  it("leaves a reader its time when another one is refused", function()
    local conn = app:connect()

    conn:send(client.format("GET", "/readers"))

    assert.are.equal("nil timeout", conn:read_all())
    conn:close()
  end)

  it("holds back every task that writes a stream", function()
    local conn = app:connect { receive_buffer = 4096 }
    local before = app:rss()

    conn:send(client.format("GET", "/all"))
    for _ = 1, 20 do app:get "/chain" end

    assert.is_true(app:rss() - before < 16 * 1024 * 1024)
    conn:reset()
  end)

  it("discards a small rest of a body without a limit", function()
    local unlimited <close> = server.start { source = APP, args = { "--body-limit", "0" } }
    local conn = unlimited:connect()

    conn:send "POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 150000\r\n\r\n"
    conn:send(("x"):rep(150000))

    assert.are.equal("enough", conn:read_response().body)
    conn:close()
    unlimited:stop { status = 0 }
  end)
end)
