--- The files of an app's code: read once a generation, whatever happens to them.

local client = require "spec.support.client"
local command = require "spec.support.command"
local server = require "spec.support.server"

local APP = [[
local aq = require "luaqueduct"
local router = aq.router()
router:get("/require/:name", function(req)
  aq.log.info("requires " .. req.params.name)
  return require(req.params.name)
end)
router:get("/find/:name", function(req)
  return pcall(require, req.params.name) and "found" or aq.not_found()
end)
router:get("/without", function() -- while no descriptor is left
  local held, file = {}
  repeat
    file = io.open "/dev/null"
    held[#held + 1] = file
  until not file
  local _, err = pcall(require, "late")
  for _, one in ipairs(held) do one:close() end
  return tostring(err)
end)
local App = aq.channel()
function App:entry_point() return router end
function App:ready() aq.log.info(("generation %d accepts"):format(aq.instance.generation)) end
return App]]

--- Replaces a file of the app as editors do: written beside it, then renamed.
local function put(app, name, text)
  local path = app.folder .. "/" .. name
  local file = assert(io.open(path .. ".new", "wb"))
  assert(file:write(text))
  assert(file:close())
  assert(os.rename(path .. ".new", path))
end

describe("a file of the code", function()
  it("that could not be opened for want of descriptors is opened the next time", function()
    local app <close> = server.start { source = APP, files = { ["late.lua"] = "return 'late'" } }
    command.run { "prlimit", "--pid", tostring(app:runtime()), "--nofile=64" }

    assert.matches("cannot read '.-late%.lua': Too many open files", app:get("/without").body)

    assert.are.equal("late", app:get("/require/late").body)
    app:stop { status = 0 }
  end)

  it("that does not compile is told as by the standard require", function()
    local app <close> = server.start { source = APP, files = { ["broken.lua"] = "\n\nx y" } }
    local path = app.folder .. "/broken.lua"

    assert.are.equal(500, app:get("/require/broken").status)

    app:wait_log(("error w1: GET /require/broken: error loading module 'broken' from file '%s':")
      :format(path))
    app:wait_log(path .. ":3: syntax error near 'y'")
    app:stop { status = 0 }
  end)

  for how, make in pairs {
    HUP = function(app) app:signal "HUP" end,
    ["--watch"] = function(app) put(app, "app.lua", APP .. " ") end,
  } do
    it("that hangs does not hold up a reload by " .. how, function()
      local app <close> = server.start { source = APP, workers = 2,
        args = { "--busy-timeout", "0", how == "--watch" and how or nil } }
      command.run { "mkfifo", app.folder .. "/hangs.lua" }
      local conn = app:connect()
      conn:send(client.format("GET", "/require/hangs"))
      app:wait_log "requires hangs"

      make(app)

      app:wait_log "generation 2 accepts"
      put(app, "text", "return 'at last'")
      command.run { "sh", "-c", ("cat %s/text > %s/hangs.lua"):format(app.folder, app.folder) }
      assert.are.equal("at last", conn:read_response().body)
      app:stop { status = 0 }
    end)
  end

  it("that is a folder is no change for --watch", function()
    local app <close> = server.start { args = { "--watch" },
      source = [[package.path = (...):match "^(.*)/" .. "/?;" .. package.path
        require "part"
        ]] .. APP,
      files = { ["part.lua"] = "return 1", ["part/of.lua"] = "" } }

    app:signal "HUP"
    app:wait_log "generation 2 serves"

    -- It would have been seen before the change that follows.
    put(app, "part.lua", "return 2")
    app:wait_log "part.lua has changed"
    app:wait_log "generation 3 serves"
    assert.is_nil(app:log():find("part has changed", 1, true))
    app:stop { status = 0 }
  end)

  it("that is not there is remembered, but not any number of them #once", function()
    local app <close> = server.start { source = APP }
    local conn = app:connect()
    local function ask(i)
      assert.are.equal(404, conn:request("GET", "/find/missing" .. i).status)
    end
    for i = 1, 1000 do ask(i) end
    local before = app:rss()

    for i = 1001, 9000 do ask(i) end

    assert.is_true(app:rss() - before < 4096) -- KiB
    app:stop { status = 0 }
  end)
end)
