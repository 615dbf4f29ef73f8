--- What workers are told at the start, what ends it late, and what the ready line says.
--
-- The steps themselves stand in start_spec, the end in stop_spec.

local command = require "spec.support.command"
local server = require "spec.support.server"

local CHANNEL = [[
local aq = require "luaqueduct"
local App = aq.channel()
function App.initialize(options)
  options.context.greeting = "hello " .. (options.context.name or "?")
  options.context.deep = { list = { 1, 2.5, true } }
end
function App:entry_point()
  local router = aq.router()
  router:get("/", function()
    return { context = self.options.context, workers = aq.instance.workers,
      generation = aq.instance.generation, restarts = aq.instance.restarts }
  end)
  router:get("/id", function() return tostring(aq.instance.id) end)
  router:get("/out", function() io.write("to stdout\n") return "written" end)
  return router
end
return App
]]

local function count(text, what)
  return select(2, text:gsub(what, ""))
end

for _, workers in ipairs { 1, 4 } do
  describe(("the life cycle with %d workers"):format(workers), function()
    it("hands the context to every worker, and tells who they are", function()
      local app <close> = server.start {
        source = CHANNEL, workers = workers, args = { "--option", "name=you=me" },
      }
      local seen = {}

      for _ = 1, 40 do
        local conn = app:connect()
        local id = conn:get("/id").body
        local body = conn:get("/").body
        conn:close()
        seen[id] = true
        assert.matches('"greeting":"hello you=me"', body, 1, true)
        assert.matches('"list":[1,2.5,true]', body, 1, true)
        assert.matches('"workers":' .. workers, body, 1, true)
        assert.matches('"generation":1', body, 1, true)
        assert.matches('"restarts":0', body, 1, true)
      end
      for id in pairs(seen) do assert.is_true(tonumber(id) >= 1 and tonumber(id) <= workers) end
      app:stop { status = 0 }
    end)

    it("keeps standard output for the ready line", function()
      local app <close> = server.start { source = CHANNEL, workers = workers }

      assert.are.equal("written", app:get("/out").body)
      app:wait_log "to stdout"
      app:stop { status = 0 }
    end)
  end)
end

describe("a start that fails", function()
  local function fails(source, texts, args)
    for _, workers in ipairs { 1, 4 } do
      local res = server.fail { source = source, workers = workers, args = args }

      assert.are.equal(1, res.status)
      assert.are.equal("", res.stdout)
      for _, text in ipairs(texts) do assert.matches(text, res.stderr, 1, true) end
      assert.are.equal(1, count(res.stderr, "could not start"))
      assert.is_true(res.seconds < 2, res.seconds .. " s")
    end
  end

  it("tells of an error in one worker's prepare", function()
    fails([[local aq = require "luaqueduct"
      local App = aq.channel()
      function App:prepare() if aq.instance.id == aq.instance.workers then error "no luck" end end
      function App:entry_point() return aq.router() end
      return App]], { "app.lua:3: no luck" })
  end)

  it("tells of an error in entry_point and in ready", function()
    fails([[local App = require "luaqueduct".channel()
      function App:entry_point() error "no entry" end
      return App]], { "app.lua:2: no entry" })
    local res = server.fail { source = [[local aq = require "luaqueduct"
      local App = aq.channel()
      function App:entry_point() return aq.router() end
      function App:ready() error "not ready" end
      return App]] }
    assert.are.equal(1, res.status)
    assert.matches("app.lua:4: not ready", res.stderr, 1, true)
  end)

  it("names both places of a conflict", function()
    fails([[local router = require "luaqueduct".router()
      router:get("/a/:x", function() end)
      router:get("/a/:y", function() end)
      return router]], { "app.lua:2", "app.lua:3" })
  end)

  for _, step in ipairs { "initialize", "prepare" } do
    it("ends at the start timeout in " .. step, function()
      fails(([[local aq = require "luaqueduct"
        local App = aq.channel()
        function App.%s() aq.sleep(100) end
        function App:entry_point() return aq.router() end
        return App]]):format(step), { "--start-timeout" }, { "--start-timeout", "0.2" })
    end)
  end

  it("says that the port is taken", function()
    local first <close> = server.start { source = CHANNEL }
    local res = server.fail { source = CHANNEL, listen = { first.url } }

    assert.are.equal(1, res.status)
    assert.matches("already in use", res.stderr, 1, true)
    first:stop { status = 0 }
  end)
end)

describe("the ready line", function()
  it("names every address", function()
    local folder = command.folder()
    local app <close> = server.start {
      source = CHANNEL, workers = 2,
      listen = { "http://127.0.0.1:0", "http://[::1]:0", "unix:" .. folder .. "/socket" },
    }

    assert.are.equal(3, #app.addresses)
    assert.matches("^http://127%.0%.0%.1:%d+$", app.addresses[1])
    assert.matches("^http://%[::1%]:%d+$", app.addresses[2])
    assert.are.equal("unix:" .. folder .. "/socket", app.addresses[3])
    assert.are.equal(200, app:get("/id").status)
    app:stop { status = 0 }
    command.remove(folder)
  end)
end)
