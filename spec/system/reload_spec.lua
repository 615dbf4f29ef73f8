--- Reload: new code beside the old, on HUP or when a file changes.

local client = require "spec.support.client"
local command = require "spec.support.command"
local load = require "spec.support.load"
local proc = require "spec.proc"
local scale = require "spec.support.scale"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

--- The app; its answer is `word`, the generation and the id.
local function app_of(word, more)
  return ([[
local aq = require "luaqueduct"
local App = aq.channel()
function App.initialize(options) options.context.word = require("word") end
function App:prepare() %s end
function App:entry_point()
  local router = aq.router()
  router:get("/", function()
    return ("%%s %%d %%d"):format(self.options.context.word, aq.instance.generation, aq.instance.id)
  end)
  router:get("/file", function() return require("word") end)
  router:get("/slow", function() aq.sleep(0.5) return "slow " .. aq.instance.generation end)
  router:get("/stop", function() aq.instance:stop() return "stopping" end)
  return router
end
function App:close() aq.log.info("closed " .. aq.instance.generation) end
return App]]):format(more or "", word), ("return %q"):format(word)
end

local function start(options)
  local source, word = app_of(options.word or "old", options.more)
  return server.start {
    source = source,
    files = { ["word.lua"] = word },
    workers = options.workers,
    args = options.args,
  }
end

--- Replaces a file of the app as editors do: written beside it, then renamed.
local function put(app, name, text)
  local path = app.folder .. "/" .. name
  local file = assert(io.open(path .. ".new", "wb"))
  assert(file:write(text))
  assert(file:close())
  assert(os.rename(path .. ".new", path))
end

local function reload(app, generation)
  app:signal "HUP"
  app:wait_log(("reloaded: generation %d serves"):format(generation))
end

describe("HUP", function()
  for _, workers in ipairs { 1, 4 } do
    it("brings new code to every worker, " .. workers .. " workers", function()
      local app <close> = start { workers = workers }
      assert.matches("^old 1", app:get("/").body)

      put(app, "word.lua", "return 'new'")
      reload(app, 2)

      for _ = 1, 4 * workers do assert.matches("^new 2", app:get("/").body) end
      app:stop { status = 0 }
    end)
  end

  it("lets a kept connection have one more request, with Connection: close", function()
    local app <close> = start {}
    local conn = app:connect()
    assert.matches("^old 1", conn:request("GET", "/").body)

    put(app, "word.lua", "return 'new'")
    reload(app, 2)

    wait.till(function()
      local res = conn:request("GET", "/")
      assert.matches("^old 1", res.body)
      return res:header "connection" == "close"
    end)
    assert.is_nil((conn:read_response()))
    conn:close()
    app:wait_log "closed 1"
    app:stop { status = 0 }
  end)

  it("finishes what is under way on the old code", function()
    local app <close> = start {}
    local conn = app:connect()
    conn:send(client.format("GET", "/slow"))
    wait.till(function() return app:get("/").status == 200 end)

    reload(app, 2)

    assert.matches("^old 2", app:get("/").body)
    assert.are.equal("slow 1", assert(conn:read_response()).body)
    conn:close()
    app:stop { status = 0 }
  end)

  it("ends idle connections at the drain's deadline", function()
    local app <close> = start { args = { "--drain-timeout", "0.3" } }
    local conn = app:connect()
    conn:request("GET", "/")

    reload(app, 2)

    assert.is_nil((conn:read_response()))
    conn:close()
    app:wait_log "closed 1"
    app:stop { status = 0 }
  end)

  it("ends workers whose close waits without an end at the drain's deadline", function()
    local app <close> = start { args = { "--drain-timeout", "0.2" } }
    local threads = app:threads()
    put(app, "app.lua", [[
      local aq = require "luaqueduct"
      local App = aq.channel()
      function App:entry_point() return aq.router() end
      function App:close() aq.sleep(1000) end
      return App]])

    for i = 2, 5 do reload(app, i) end

    wait.till(function() return app:threads() == threads end)
    assert.is_true(select(2, app:log():gsub("error in close: cancelled", "")) >= 3)
    app:stop { status = 0 }
    assert.is_nil(app:log():find("stuck", 1, true))
  end)

  it("folds those that come during a reload into one more", function()
    local app <close> = start { more = "aq.log.info 'preparing' aq.sleep(0.3)" }
    local function count() return select(2, app:log():gsub("preparing", "")) end

    app:signal "HUP"
    wait.till(function() return count() == 2 end)
    for _ = 1, 20 do
      app:signal "HUP"
      app:get "/"
    end
    app:wait_log "generation 2 serves"
    app:wait_log "generation 3 serves"
    assert.matches("^old 3", app:get("/").body)
    app:stop { status = 0 }

    assert.are.equal(3, count())
  end)

  it("leaves the process as it was, however often", function()
    local app <close> = start { workers = 2 }
    local before = app:threads()
    reload(app, 2)
    wait.till(function() return select(2, app:log():gsub("closed 1", "")) == 2 end)
    wait.till(function() return app:threads() == before end)
    for generation = 3, 12 do reload(app, generation) end
    wait.till(function() return app:threads() == before end)
    local fds, resident = app:fds(), app:rss()

    for generation = 13, 12 + scale(10) do reload(app, generation) end

    wait.till(function() return app:threads() == before end)
    wait.till(function() return app:fds() == fds end)
    assert.is_true(app:rss() <= load.limit(1.1, 1.5) * resident,
      ("%d of %d KiB"):format(app:rss(), resident))
    app:stop { status = 0 }
  end)
end)

describe("a respawned worker", function()
  it("runs the code of its generation, though the files have changed or gone", function()
    local app <close> = start {}

    put(app, "word.lua", "return 'new'")
    os.remove(app.folder .. "/app.lua")
    app:get "/stop"
    app:wait_log "serves again"

    assert.matches("^old 1", app:get("/").body)
    assert.are.equal("old", app:get("/file").body)
    app:stop { status = 0 }
  end)

  it("has the context and the generation of a reload", function()
    local app <close> = start {}
    put(app, "word.lua", "return 'new'")
    reload(app, 2)

    app:get "/stop"
    app:wait_log "serves again"

    assert.matches("^new 2", app:get("/").body)
    app:stop { status = 0 }
  end)
end)

describe("new code that does not work", function()
  local BROKEN = {
    ["a syntax error"] = { "x y", "app.lua:1: syntax error near 'y'" },
    ["a runtime error"] = { "\nerror 'oops'", "app.lua:2: oops" },
    ["an error in initialize"] = { [[
local App = require("luaqueduct").channel()
function App.initialize() error "not initialized" end
function App:entry_point() end
return App]], "app.lua:2: not initialized" },
    ["an error in prepare of the last worker"] = { [[
local aq = require "luaqueduct"
local App = aq.channel()
function App:prepare() if aq.instance.id == 2 then error "not prepared" end end
function App:entry_point() return aq.router() end
return App]], "app.lua:3: not prepared" },
    ["no router"] = { "return 1", "channel" },
    ["what never ends"] = { "while true do os.time() end", "--start-timeout" },
    ["what never ends in prepare"] = { [[
local aq = require "luaqueduct"
local App = aq.channel()
function App:prepare() while true do os.time() end end
function App:entry_point() return aq.router() end
return App]], "2 of 2 workers have not prepared within --start-timeout" },
    ["what hangs in a C function in prepare"] = { [[
local aq = require "luaqueduct"
local App = aq.channel()
function App:prepare() os.execute("sleep 3") end
function App:entry_point() return aq.router() end
return App]], "2 of 2 workers have not prepared within --start-timeout" },
    ["what waits for ever"] = { "require('luaqueduct').sleep(1e6)", "--start-timeout" },
  }

  for name, case in pairs(BROKEN) do
    it("is dropped: " .. name, function()
      local app <close> = start {
        workers = 2, args = { "--start-timeout", load.START_SECONDS, "--busy-timeout", "0.3" },
      }
      local threads, fds = app:threads(), app:fds()
      local good = command.read_file(app.folder .. "/app.lua")

      put(app, "app.lua", case[1])
      app:signal "HUP"
      app:wait_log "the reload has failed, generation 1 goes on: "
      app:wait_log(case[2])

      for _ = 1, 4 do assert.matches("^old 1", app:get("/").body) end
      wait.till(function() return app:threads() == threads end, 20, "the threads to end")
      wait.till(function() return app:fds() == fds end)
      put(app, "app.lua", good)
      reload(app, 2)
      assert.matches("^old 2", app:get("/").body)
      app:stop { status = 0 }
    end)
  end

  it("that is dropped says all of why", function()
    local app <close> = start {}
    local long = ("x"):rep(10000)

    put(app, "app.lua", "error { code = 7, message = ('x'):rep(10000) }")
    app:signal "HUP"
    app:wait_log("the reload has failed, generation 1 goes on: " .. long .. " (7)")
    app:wait_log "traceback"

    app:stop { status = 0 }
  end)

  it("is dropped when its worker ends before it accepts, and none follows", function()
    local app <close> = start { args = { "--no-respawn" } }
    local good = command.read_file(app.folder .. "/app.lua")
    put(app, "app.lua", [[
local aq = require "luaqueduct"
local App = aq.channel()
function App:prepare() aq.instance:stop() end
function App:entry_point() return aq.router() end
return App]])

    app:signal "HUP"
    app:wait_log "the reload has failed, generation 1 goes on: a worker ended by itself"

    assert.matches("^old 1", app:get("/").body)
    put(app, "app.lua", good)
    reload(app, 2)
    assert.matches("^old 2", app:get("/").body)
    app:stop { status = 0 }
  end)

  it("that hangs for good does not end the code that serves", function()
    local app <close> = start {
      workers = 4, args = { "--start-timeout", load.START_SECONDS, "--busy-timeout", "0.1" },
    }
    local runtime = app:runtime()
    put(app, "app.lua", [[
local aq = require "luaqueduct"
local App = aq.channel()
function App:prepare() string.find(("a"):rep(1e6), (".-"):rep(20) .. "b") end
function App:entry_point() return aq.router() end
return App]])

    app:signal "HUP"
    wait.till(function() return select(2, app:log():gsub("is stuck", "")) == 4 end, 60)

    assert.matches("^old 1", app:get("/").body)
    assert.are.equal(runtime, app:runtime())
    app:stop { status = 0 }
  end)

  it("is told with file, line and traceback", function()
    local app <close> = start {}
    put(app, "word.lua", "local function f() error 'deep' end\nf() return 1")

    app:signal "HUP"

    app:wait_log "word.lua:1: deep"
    app:wait_log "word.lua:2: in local"
    app:stop { status = 0 }
  end)

  it("does not hold up a stop", function()
    local app <close> = start { args = { "--start-timeout", "60" } }
    put(app, "app.lua", "local aq = require 'luaqueduct' aq.log.info 'loading' aq.sleep(1e6)")
    app:signal "HUP"
    app:wait_log "loading"

    local began = proc.now()
    app:stop { status = 0 }

    assert.is_true(proc.now() - began < 1)
  end)
end)

describe("a reload under load", function()
  for _, workers in ipairs { 1, 4 } do
    it("fails no request, " .. workers .. " workers", function()
      local app <close> = start { workers = workers }
      local busy <close> = load.start(app, "busy", 64)
      local reloads = scale(10)

      for generation = 2, reloads + 1 do reload(app, generation) end
      local results = busy:stop()

      assert.are.equal(0, results.failed)
      assert.is_true(results.announced >= 32, "kept connections have moved on")
      assert.is_true(results.answered > 10 * reloads)
      assert.is_true(results.p99 <= load.limit(20, 500), results.p99 .. " ms")
      app:stop { status = 0 }
    end)
  end

  it("with code that is broken every other time fails none, either", function()
    local app <close> = start { workers = 2 }
    local busy <close> = load.start(app, "busy", 16)
    local reloads = scale(10)

    for i = 1, reloads do
      put(app, "word.lua", "error('broken " .. i .. ".')")
      app:signal "HUP"
      app:wait_log("broken " .. i .. ".")
      put(app, "word.lua", "return 'fine'")
      reload(app, i + 1)
    end

    assert.are.equal(0, busy:stop().failed)
    app:stop { status = 0 }
  end)
end)

describe("--watch", function()
  it("reloads when a file the app loaded changes", function()
    local app <close> = start { args = { "--watch" } }

    put(app, "word.lua", "return 'new'")

    app:wait_log "word.lua has changed: reload"
    app:wait_log "generation 2 serves"
    assert.matches("^new 2", app:get("/").body)
    app:stop { status = 0 }
  end)

  it("does so once for a burst of writes", function()
    local app <close> = start { args = { "--watch" } }
    local source = command.read_file(app.folder .. "/app.lua")

    for i = 1, 20 do
      put(app, "word.lua", "return 'new" .. i .. "'")
      put(app, "app.lua", source .. (" "):rep(i))
    end

    app:wait_log "generation 2 serves"
    wait.till(function() return app:get("/").body:match "^new20 2" end)
    put(app, "word.lua", "return 'last'")
    app:wait_log "generation 3 serves"
    assert.matches("^last 3", app:get("/").body)
    app:stop { status = 0 }
  end)

  it("sees a file that a handler has loaded", function()
    local app <close> = start { args = { "--watch" }, word = "word" }
    put(app, "late.lua", "return 'late'")
    put(app, "app.lua", [[
      local router = require("luaqueduct").router()
      router:get("/", function() return require("late") end)
      return router]])
    app:wait_log "generation 2 serves"
    assert.are.equal("late", app:get("/").body)

    put(app, "late.lua", "return 'later'")

    app:wait_log "generation 3 serves"
    assert.are.equal("later", app:get("/").body)
    app:stop { status = 0 }
  end)

  it("looks at files that dofile and loadfile read, which are read anew each time", function()
    local app <close> = start { args = { "--watch" } }
    local path = app.folder .. "/data.lua"
    put(app, "data.lua", "return 'data'")
    put(app, "app.lua", ([[
      local router = require("luaqueduct").router()
      router:get("/", function() return dofile(%q) .. loadfile(%q)() end)
      return router]]):format(path, path))
    app:wait_log "generation 2 serves"
    assert.are.equal("datadata", app:get("/").body)

    put(app, "data.lua", "return 'more'")

    assert.are.equal("moremore", app:get("/").body)
    app:wait_log "data.lua has changed: reload"
    app:wait_log "generation 3 serves"
    app:stop { status = 0 }
  end)

  it("reloads again when what was broken, or missing, is mended", function()
    local app <close> = start { args = { "--watch" } }
    put(app, "word.lua", "return require 'missing'")
    app:wait_log "module 'missing' not found"

    put(app, "missing.lua", "return 'x y")
    app:wait_log "missing.lua:1: unfinished string"
    put(app, "missing.lua", "return 'found'")

    app:wait_log "generation 2 serves"
    assert.matches("^found 2", app:get("/").body)
    app:stop { status = 0 }
  end)

  it("does not try broken code again and again", function()
    local app <close> = start { args = { "--watch" } }
    put(app, "word.lua", "error 'broken'")
    app:wait_log "the reload has failed"

    put(app, "app.lua", "x y")
    app:wait_log "syntax error"

    assert.are.equal(2, select(2, app:log():gsub("the reload has failed", "")))
    app:stop { status = 0 }
  end)
end)
