--- TCP connections of all kinds at once, while workers are replaced and code is reloaded.
--
-- What holds afterwards: every `open` had one `close`, the status is 0, nothing is left.

local client = require "spec.support.client"
local framed = require "spec.support.framed"
local scale = require "spec.support.scale"
local wait = require "spec.support.wait"

local PREPARE = [[
for _, kind in ipairs { "line", "u8", "u16", "u32" } do
  listen(kind, { framing = kind, max_message = 4000, max_buffered = "256K", idle_timeout = 1,
    open = function(conn)
      note "opened"
      conn:subscribe "all"
      if math.random(10) == 1 then aq.sleep(0.01) end
    end,
    message = function(conn, s)
      if s == "wait" then aq.sleep(0.02)
      elseif s == "tell" then conn:publish("all", "told " .. ("x"):rep(math.random(2000) - 1))
      elseif s == "fail" then error "as it was asked to"
      elseif s == "bye" then conn:close()
      elseif s == "other" then
        local other <close> = assert(aq.tcp.connect("127.0.0.1", listeners.u8.port))
        other:write "\4wait"
      end
      if kind ~= "u8" then conn:send(s) end
    end,
    drain = function() aq.sleep(0.001) end,
  })
end
router:get("/end", function() aq.instance:stop() return "ending" end)
]]

local WORDS = { "wait", "tell", "tell", "fail", "bye", "other", "", ("y"):rep(250) }

local REASONS = { "eof", "reset", "idle", "too_large", "slow", "error", "closed", "stop" }

--- What one connection does next; each is a function of it and its framing.
local acts = {
  function(conn, kind) conn:send(framed.frame(kind, WORDS[math.random(#WORDS)])) end,
  function(conn, kind) conn:send(framed.frame(kind, WORDS[math.random(#WORDS)]):rep(20)) end,
  function(conn, kind) conn:send(framed.frame(kind, "cut off"):sub(1, 3)) end,
  function(conn) conn.socket:receive(65536) end,
  function(conn) conn.socket:receive(65536) end,
  function(conn) conn.socket:shutdown "send" end,
  function(conn) conn:reset() return true end,
  function(conn) conn:close() return true end,
}

local function connect(port)
  local ok, conn = pcall(client.connect, { port = port, timeout = 0.05 })
  return ok and conn or nil
end

describe("TCP connections in a storm", function()
  it("end each once, whatever happens to them and their workers", function()
    local app <close> = framed.start { prepare = PREPARE, workers = 4,
      args = { "--drain-timeout", "1" } }
    local ports, list, generation = {}, {}, 1
    for _, kind in ipairs { "line", "u8", "u16", "u32" } do
      ports[#ports + 1] = { kind = kind, port = framed.port(app, kind) }
    end

    for i = 1, scale(20000, 400000) do
      local at, where = math.random(60), ports[math.random(#ports)]
      local one = list[at]
      if not one then
        local conn = connect(where.port)
        list[at] = conn and { conn = conn, kind = where.kind }
      elseif acts[math.random(#acts)](one.conn, one.kind) then
        list[at] = nil
      end
      if i % 400 == 0 then pcall(app.get, app, "/end", { timeout = 1 }) end
      if i % 2000 == 0 then
        generation = generation + 1
        app:signal "HUP"
        app:wait_log(("reloaded: generation %d serves"):format(generation), 20)
      end
    end
    for _, one in pairs(list) do one.conn:close() end
    wait.till(function()
      return app:get "/".body == "fine"
    end)
    app:stop { status = 0, timeout = 40 }

    local ends, opened = 0, framed.count(app, "opened")
    for _, reason in ipairs(REASONS) do
      for _, where in ipairs(ports) do
        ends = ends + framed.count(app, where.kind .. " " .. reason)
      end
    end
    assert.is_true(opened > 0)
    assert.are.equal(opened, ends)
  end)
end)
