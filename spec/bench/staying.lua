--- How long it is away: workers and runtimes that die, and reloads under load.
--
-- A server is new for each death, so that no backoff counts. The time is that
-- until a request is answered by the successor; a steady client connects 200
-- times a second meanwhile, 64 busy ones ask throughout the reloads. Nothing is
-- compared with a peer: what is measured is a promise.

local proc = require "spec.proc"
local config = require "spec.bench.config"
local load = require "spec.support.load"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

local KILL = 9
local RELOADS, BUSY_CLIENTS = 100, 64

local APP = [[
local aq = require "luaqueduct"
local breaker = assert(package.loadlib("BREAKER", "luaopen_breaker"))()
local router = aq.router()
router:get("/", function() return tostring(aq.instance.restarts) end)
router:get("/exit", function() os.exit() end)
router:get("/break", function() breaker.panic() end)
return router
]]

local staying = {}

local function start(options)
  options = options or {}
  return server.start {
    source = not options.app and (APP:gsub("BREAKER", function()
      return server.binary():match "^(.*)/" .. "/spec/breaker.so"
    end)) or nil,
    app = options.app,
    workers = options.workers,
    binary = server.binary(),
  }
end

--- Milliseconds from the request that ends the worker to an answer of the next one, and how many
--- were refused.
local function end_worker(path)
  local app <close> = start()
  local steady <close> = load.start(app, "steady")
  assert(app:get("/").body == "0")
  local began = proc.now()
  pcall(app.get, app, path)
  wait.till(function()
    local ok, res = pcall(app.get, app, "/")
    return ok and res and res.body == "1"
  end, 10)
  local took = (proc.now() - began) * 1000
  local results = steady:stop()
  app:stop()
  return took, results.refused
end

--- Milliseconds from the kill to an answer of the next runtime, and how many were refused.
local function kill_runtime()
  local app <close> = start { workers = 2 }
  local steady <close> = load.start(app, "steady")
  app:get "/"
  local runtime, began = app:runtime(), proc.now()

  proc.kill(runtime, KILL)
  wait.till(function()
    local ok, res = pcall(app.get, app, "/")
    return ok and res and res.status == 200 and app:runtime() ~= runtime
  end, 10)
  local took = (proc.now() - began) * 1000
  local results = steady:stop()
  app:stop()
  return took, results.refused
end

--- What becomes of the requests of busy clients.
local function reload()
  local app <close> = start { app = "examples/hello.lua", workers = 2 }
  local busy <close> = load.start(app, "busy", BUSY_CLIENTS)

  for generation = 2, RELOADS + 1 do
    app:signal "HUP"
    app:wait_log(("reloaded: generation %d serves"):format(generation))
  end
  local results = busy:stop()
  app:stop()
  return results
end

---@return table { exit, broken, killed: milliseconds of each round; refused: of all; reload }
function staying.run()
  local result = { exit = {}, broken = {}, killed = {}, refused = 0 }

  for round = 1, config.rounds do
    local refused = {}
    result.exit[round], refused[1] = end_worker "/exit"
    result.broken[round], refused[2] = end_worker "/break"
    result.killed[round], refused[3] = kill_runtime()
    for _, count in ipairs(refused) do result.refused = result.refused + count end
  end
  io.stderr:write(("staying: %d deaths of each kind, now %d reloads\n"):format(config.rounds,
    RELOADS))
  result.reload = reload()
  return result
end

return staying
