--- Asks a live worker for all that an app can reach.
--
-- Failure: raises with the server's log when it cannot answer.

local json = require "luaqueduct.core.json"
local server = require "spec.support.server"

local PROBE = [[
local aq = require "luaqueduct"
local core = require "luaqueduct.core"
local App = aq.channel()

local function kind_of(value)
  if type(value) ~= "function" then return { type = math.type(value) or type(value) } end
  local info = debug.getinfo(value, "Su")
  local params = aq.array()
  for i = 1, info.nparams do params[i] = debug.getlocal(value, i) end
  if info.isvararg then params[#params + 1] = "..." end
  return { type = "function", is_lua = info.what == "Lua", params = params,
    source = info.source:sub(2), line = info.linedefined }
end

local function members(...)
  local list = {}
  for _, object in ipairs { ... } do
    for name, value in pairs(object) do
      if not name:find "^_" then list[name] = kind_of(value) end -- what begins so is its own affair
    end
  end
  return list
end

local function methods(object)
  return debug.getmetatable(object).__index
end

-- Of some objects the names stand in a table that only C sees; what is no method is a field.
local function hidden_members(object)
  local _, names = debug.getupvalue(methods(object), 1)
  local list = {}
  for name in pairs(names) do list[name] = kind_of(object[name]) end
  return list
end

local accepted

function App:prepare()
  self.listener = aq.tcp.listen { port = 0, open = function(conn) accepted = conn end }
end

-- A connection that has been opened to ourselves.
local function accept(port)
  local conn = assert(aq.tcp.connect("127.0.0.1", port))
  while not accepted do aq.sleep(0.001) end
  return conn
end

function App.initialize(options)
  options:service("probe", "probe.lua")
  options.context.service = { type = kind_of(options.service).type }
end

function App:entry_point()
  local router = aq.router()
  router:get("/:name", function(req)
    local handle <close> = setmetatable({ task = aq.spawn(function() end) }, {
      __close = function(self) self.task:cancel() end })
    local response = aq.ok("x")
    local _, err = aq.json.decode "{"
    local dialled <close> = accept(self.listener.port)
    local websocket = aq.websocket {}
    local db <close> = aq.db.open { url = "postgres:///nowhere" }
    local registry = debug.getregistry()
    local live = {
      luaqueduct = members(aq),
      ["luaqueduct.core"] = members(core),
      ["luaqueduct.Channel"] = { options = kind_of(self.options) },
      ["luaqueduct.Connection"] = hidden_members(accepted),
      ["luaqueduct.ConnectionStats"] = members(self.listener:stats()),
      ["luaqueduct.Database"] = members(methods(db)),
      ["luaqueduct.DatabaseSession"] = members(registry["luaqueduct.DatabaseSession"].__index),
      ["luaqueduct.DatabaseStats"] = members(db:stats()),
      ["luaqueduct.DatabaseSubscription"] = members(require "luaqueduct.dblisten".Subscription),
      ["luaqueduct.Error"] = members(err),
      ["luaqueduct.HubStats"] = members(aq.hub.stats()),
      ["luaqueduct.Instance"] = members(aq.instance),
      ["luaqueduct.Json"] = members(aq.json),
      ["luaqueduct.Listener"] = members(self.listener, methods(self.listener)),
      ["luaqueduct.Logger"] = members(aq.logger "probe", aq.log),
      ["luaqueduct.Options"] = {
        context = kind_of(self.options.context), service = self.options.context.service,
      },
      ["luaqueduct.ServiceDefinition"] = {
        prepare = { type = "function" }, close = { type = "function" },
      },
      ["luaqueduct.Service"] = members(methods(aq.service "probe")),
      ["luaqueduct.Subscription"] = members(methods(aq.hub.subscribe("probe", function() end))),
      ["luaqueduct.Request"] = hidden_members(req),
      ["luaqueduct.Response"] = members(response, methods(response)),
      ["luaqueduct.Route"] = members(methods(aq.router():route "/")),
      ["luaqueduct.Router"] = members(methods(router)),
      ["luaqueduct.Stream"] = members(registry["luaqueduct.Stream"].__index),
      ["luaqueduct.TcpConnection"] = members(registry["luaqueduct.TcpConnection"].__index),
      ["luaqueduct.Task"] = members(methods(handle.task)),
      ["luaqueduct.WebSocketController"] = members(websocket, methods(websocket)),
      ["luaqueduct.db"] = members(aq.db),
      ["luaqueduct.tcp"] = members(aq.tcp),
      ["luaqueduct.core.Router"] = members(methods(core.router.new())),
    }
    for _, name in ipairs(require("luaqueduct.channel").moments) do
      live["luaqueduct.Channel"][name] = { type = "function" }
    end
    for name in pairs(package.preload) do
      if name:find "^luaqueduct%.core%." then
        local module = require(name)
        if next(module) and module ~= aq.instance then live[name] = members(module) end
      end
    end
    return live
  end)
  return router
end
return App
]]

local api = {}

--- Every class with its members.
---@return table<string, table<string, table>> members class -> name -> { type }, and for a function
---  also { is_lua }, and for one of Lua { params = names, source = path, line }
function api.members()
  local app <close> = server.start {
    source = PROBE,
    files = { ["probe.lua"] = "return require('luaqueduct').service()" },
  }
  local res = app:get "/probe"

  app:stop()
  assert(res.status == 200, app:log())
  return assert(json.decode(res.body))
end

return api
