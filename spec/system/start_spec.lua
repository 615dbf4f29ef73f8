--- The start in detail: the order of its steps, and what stands in its way.

local command = require "spec.support.command"
local proc = require "spec.proc"
local server = require "spec.support.server"
local socket = require "socket"
local wait = require "spec.support.wait"

local function count(text, what)
  return select(2, text:gsub(what, ""))
end

--- The positions of the texts in `log`, which must come in this order.
local function comes_in_order(log, texts)
  local from = 1

  for _, text in ipairs(texts) do
    local first, last = log:find(text, from, true)
    assert(first, ("%q does not come behind the others in\n%s"):format(text, log))
    from = last + 1
  end
end

local ORDERED = [[
local aq = require "luaqueduct"
local App = aq.channel()
print("load in " .. aq.instance.id)
function App.initialize(options)
  print("initialize " .. type(options.context) .. " " .. tostring(options.context.k))
  options.context.list = { 1, "two", { three = 3.5 } }
  options.context.null = aq.null
end
function App:prepare()
  print("prepare " .. self.options.context.list[3].three)
  self.mine = {}
end
function App:entry_point()
  print("entry_point " .. type(self.mine))
  local router = aq.router()
  router:get("/", function()
    local c = self.options.context
    c.seen = (c.seen or 0) + 1 -- its own copy
    return ("%s %s %s %s"):format(c.k, c.list[2], c.null == aq.null, c.seen)
  end)
  return router
end
function App:ready() print("ready " .. type(self.mine)) end
function App:close() print("close " .. type(self.mine)) end
return App
]]

for _, workers in ipairs { 1, 4 } do
  describe(("the start with %d workers"):format(workers), function()
    local function fails(source, ...)
      local res = server.fail { source = source, workers = workers }

      assert.are.equal(1, res.status, res.stderr)
      assert.are.equal("", res.stdout)
      assert.are.equal(1, count(res.stderr, "luaqueduct:"), res.stderr)
      for _, text in ipairs { ... } do assert.matches(text, res.stderr, 1, true) end
    end

    it("takes its steps in order", function()
      local app <close> = server.start {
        source = ORDERED, workers = workers, args = { "--option", "k=a", "--option", "k=b=c" },
      }
      app:wait_log "ready table"
      local res = app:get "/"
      local _, log = app:stop { status = 0 }

      assert.are.equal("b=c two true 1", res.body)
      comes_in_order(log, { "load in 0", "initialize table b=c", "load in ", "prepare 3.5",
        "entry_point table", "ready table", "close table" })
      assert.are.equal(workers + 1, count(log, "load in"))
      assert.are.equal(1, count(log, "initialize"))
    end)

    it("prepares side by side, and serves when all are prepared", function()
      local from = proc.now()
      local app <close> = server.start { workers = workers, source = [[
        local aq = require "luaqueduct"
        local App = aq.channel()
        function App:prepare() aq.sleep(0.3) print "prepared" end
        function App:entry_point() return function() return "served" end end
        return App]] }

      assert.is_true(proc.now() - from < 0.3 * workers + 0.3)
      assert.are.equal(workers, count(app:log(), "prepared"))
      assert.are.equal("served", app:get("/").body)
      app:stop { status = 0 }
    end)

    it("fails with one message that names the place", function()
      fails("local x = (", "app.lua:1:")
      fails("\n\nerror 'at the top'", "app.lua:3: at the top", "traceback")
      fails("error { code = 1 }", '{"code":1}')
      fails("return", "app.lua")
      fails([[local App = require "luaqueduct".channel()
        function App.initialize() error "no beginning" end
        function App:entry_point() return function() end end
        return App]], "app.lua:2: no beginning", "traceback")
      fails([[local App = require "luaqueduct".channel()
        function App:prepare() local x = nil; return x.y end
        function App:entry_point() return function() end end
        return App]], "app.lua:2:", "traceback")
      fails([[local App = require "luaqueduct".channel()
        function App:entry_point() return 42 end
        return App]], "entry_point")
      fails([[return require "luaqueduct".channel()]], "entry_point")
      fails([[require "no.such.module"]], "app.lua:1:", "no.such.module")
      fails([[local aq = require "luaqueduct" aq.sleep(0.001) error "after a wait"]],
        "app.lua:1: after a wait")
    end)

    it("fails when a module of the app is broken", function()
      local res = server.fail {
        source = 'require "broken"', workers = workers, files = { ["broken.lua"] = "\nx = = 1" },
      }

      assert.are.equal(1, res.status)
      assert.matches("broken.lua:2:", res.stderr, 1, true)
    end)

    it("names the key of a context that cannot be copied", function()
      fails([[local App = require "luaqueduct".channel()
        function App.initialize(options) options.context.deep = { fn = print } end
        function App:entry_point() return function() end end
        return App]], "deep", "fn")
    end)

    it("refuses connections until then", function()
      local free = assert(socket.bind("127.0.0.1", 0))
      local _, port = free:getsockname()
      free:close()
      local folder = command.folder()
      local gate, begun = folder .. "/gate", folder .. "/begun"
      local file <close> = assert(io.open(folder .. "/app.lua", "w"))
      file:write([[local aq = require "luaqueduct"
        local App = aq.channel()
        function App:prepare()
          assert(io.open(]] .. ("%q"):format(begun) .. [[, "w")):close()
          while not io.open(]] .. ("%q"):format(gate) .. [[) do aq.sleep(0.005) end
        end
        function App:entry_point() return function() return "open" end end
        return App]])
      file:close()
      local pid, output = proc.spawn({ server.binary(), "serve", folder .. "/app.lua",
        "-p", tostring(port), "-j", tostring(workers) }, { stderr = folder .. "/stderr" })

      wait.till(function() return io.open(begun) end, 5, "prepare")
      local refused = socket.tcp4()
      local connected, why = refused:connect("127.0.0.1", port)
      refused:close()
      assert(io.open(gate, "w")):close()
      local line = proc.read(output, 5)
      local accepted = socket.tcp4()
      local ok = accepted:connect("127.0.0.1", port)
      accepted:close()
      proc.kill(pid, 15)
      local status = proc.wait(pid, 5)
      proc.close(output)
      command.remove(folder)

      assert.is_nil(connected)
      assert.are.equal("connection refused", why)
      assert.matches("listening on", line)
      assert.are.equal(1, ok)
      assert.are.equal(0, status)
    end)

    for _, step in ipairs { "initialize", "prepare", "entry_point" } do
      it(("ends with 0 at TERM during %s"):format(step), function()
        local folder = command.folder()
        local file <close> = assert(io.open(folder .. "/app.lua", "w"))
        file:write(([[local aq = require "luaqueduct"
          local App = aq.channel()
          function App:entry_point() return function() end end
          local entry_point = App.entry_point
          function App.%s(...)
            io.stderr:write "begun\n"
            aq.sleep(60)
            return entry_point(...)
          end
          return App]]):format(step))
        file:close()
        local log = folder .. "/stderr"
        local pid, output = proc.spawn({ server.binary(), "serve", folder .. "/app.lua",
          "-p", "0", "-j", tostring(workers) }, { stderr = log })

        wait.till(function() return command.read_file(log):find "begun" end, 5, step)
        proc.kill(pid, 15)
        local status = proc.wait(pid, 5)
        if not status then
          proc.kill(pid, 9)
          proc.wait(pid, 5)
        end
        local text = proc.read(output, 1)
        proc.close(output)
        command.remove(folder)

        assert.are.equal(0, status)
        assert.is_true(text == nil or text == "")
      end)
    end
  end)
end

it("the start of examples/hello.lua with 4 workers takes little", function()
  local best = math.huge

  for _ = 1, 3 do
    local from = proc.now()
    local app <close> = server.start { app = "examples/hello.lua", workers = 4 }
    best = math.min(best, proc.now() - from)
    app:stop { status = 0 }
  end
  print(("ready line of examples/hello.lua, 4 workers: %.0f ms"):format(best * 1000))
  assert.is_true(best <= 1)
end)

it("a script that is not there ends the start", function()
  local res = server.run { "serve", "/nowhere/app.lua", "-p", "0" }

  assert.are.equal(1, res.status)
  assert.are.equal("", res.stdout)
  assert.matches("/nowhere/app.lua", res.stderr, 1, true)
end)
