local fake = require "spec.support.fake_core"
fake.install()

local boot = require "luaqueduct.boot"
local channel = require "luaqueduct.channel"
local routers = require "luaqueduct.router"

local function error_of(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return err
end

local function answer()
  return "answer"
end

describe("luaqueduct.channel", function()
  describe("from()", function()
    it("takes a channel as it is", function()
      local app = channel.new()
      app.entry_point = answer

      assert.are.equal(app, channel.from("app.lua", app))
    end)

    it("makes a channel of a router and of controllers", function()
      for _, value in ipairs { routers.new(), answer, { handle = answer } } do
        assert.are.equal(value, channel.from("app.lua", value):entry_point())
      end
    end)

    it("says what a script may return", function()
      assert.matches("^app.lua must return a channel .*it returned nothing %(is the `return`",
        error_of(channel.from, "app.lua"))
      assert.matches("it returned a boolean", error_of(channel.from, "app.lua", true))
      assert.matches("it returned a table", error_of(channel.from, "app.lua", {}))
    end)

    it("says what a channel lacks", function()
      local app = channel.new()
      assert.matches("app.lua: the channel has no entry_point; define `function App:entry_point",
        error_of(channel.from, "app.lua", app))

      app.entry_point, app.prepare = answer, "x"
      assert.matches("the channel's prepare is a string", error_of(channel.from, "app.lua", app))
    end)
  end)

  describe("compile()", function()
    local function compile(value)
      local app = channel.new()
      function app.entry_point()
        return value
      end
      return channel.compile(app)
    end

    it("compiles a router", function()
      local router = routers.new()
      router:get("/x", answer)

      assert.are.equal(answer, compile(router).handlers[1])
    end)

    it("lets a controller answer everything", function()
      assert.are.equal(answer, compile(answer).handlers[1])
    end)

    it("names the entry point that returns something else", function()
      assert.matches("^spec/lua/channel_spec.lua:%d+: entry_point must return .* returned nothing",
        error_of(compile, nil))
      assert.matches("it returned a string", error_of(compile, "x"))
    end)
  end)
end)

describe("luaqueduct.boot", function()
  local script, path, cpath, stock_print = nil, package.path, package.cpath, print

  local function write(text)
    local file = assert(io.open(script, "w"))
    file:write(text)
    file:close()
  end

  before_each(function()
    fake.install()
    script = os.tmpname()
  end)

  after_each(function()
    os.remove(script)
    package.path, package.cpath = path, cpath
    rawset(_G, "print", stock_print)
  end)

  local function load(text, context)
    write(text)
    return fake.run(boot.load, script, context or {})
  end

  it("takes the app through its life", function()
    local app = load([[
      local steps = {}
      local App = require("luaqueduct").channel()
      function App.initialize(options) options.context.greeting = options.context.word .. "!" end
      function App:prepare() steps[#steps + 1] = "prepare " .. self.options.context.greeting end
      function App:entry_point() return function() return table.concat(steps, ", ") end end
      function App:ready() steps[#steps + 1] = "ready" end
      function App:close() steps[#steps + 1] = "close" end
      function App:on_error(_, err) return "caught " .. err end
      return App]], { word = "hello" })

    assert.are.same({ word = "hello", greeting = "hello!" }, boot.initialize(app))
    boot.prepare(app)
    local compiled = boot.entry_point(app)
    boot.ready(app)
    boot.close(app)

    assert.are.equal("prepare hello!, ready, close", compiled.handlers[1]())
    assert.are.equal("caught oops", compiled.on_error(nil, "oops"))
  end)

  it("does without all that is optional", function()
    local app = load "return function() return 'x' end"

    assert.are.same({}, boot.initialize(app))
    boot.prepare(app)
    assert.is_nil(boot.entry_point(app).on_error)
    boot.ready(app)
    boot.close(app)
  end)

  it("lets the script wait at its top level", function()
    local app = load [[
      local aq = require "luaqueduct"
      aq.sleep(1)
      local now = aq.now()
      return function() return now end]]

    assert.are.equal(1, boot.entry_point(app).handlers[1]())
  end)

  it("looks beside the script first", function()
    local folder, name = script:match "^(.*)/([^/]+)$"
    load(("package.loaded.%s = nil return function() end"):format(name))

    assert.are.equal(folder .. "/?.lua;" .. folder .. "/?/init.lua;" .. path, package.path)
    assert.are.equal(folder .. "/?.so;" .. cpath, package.cpath)
  end)

  it("sends print to the log", function()
    load "print('a', nil, 1) return function() end"

    assert.are.same({ "a\tnil\t1" }, fake.messages "info")
  end)

  it("keeps the file and line of errors", function()
    assert.matches("^" .. script .. ":2: oops", error_of(load, "\nerror 'oops'"))
    assert.matches(script .. ":1: syntax error", error_of(load, "x y"))
    os.remove(script)
    assert.matches("cannot open " .. script, error_of(boot.load, script, {}))
  end)

  it("refuses a context that is no table any more", function()
    local app = load [[
      local App = require("luaqueduct").channel()
      function App.initialize(options) options.context = 1 end
      function App:entry_point() end
      return App]]

    assert.matches("options.context must stay a table", error_of(boot.initialize, app))
  end)

  it("writes the routing table as text", function()
    local app = load [[
      local router = require("luaqueduct").router()
      router:get("/users/:id", function() end)
      router:route("/x"):link(function() end)
      router:group("/api"):fallback(function() end)
      return router]]

    local text = boot.routes(boot.entry_point(app)):gsub(script:gsub("%p", "%%%0"), "app.lua")

    assert.are.equal("GET       /users/:id  app.lua:2\n"
      .. "ANY       /x          app.lua:3\n"
      .. "FALLBACK  /api[/*]    app.lua:4\n", text)
  end)
end)
