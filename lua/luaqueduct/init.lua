--- luaqueduct: what an app sees.
--
-- One table with all of it, taken from the modules beside this file, which say
-- what suspends and how it fails. In plain Lua what needs no worker works, too.

require "luaqueduct.core" -- its parts are there afterwards, in plain Lua as well
require("luaqueduct.plain").install()

local channel = require "luaqueduct.channel"
local core_task = require "luaqueduct.core.task"
local db = require "luaqueduct.db"
local hub = require "luaqueduct.core.hub"
local instance = require "luaqueduct.core.instance"
local json = require "luaqueduct.core.json"
local log = require "luaqueduct.log"
local response = require "luaqueduct.response"
local router = require "luaqueduct.router"
local service = require "luaqueduct.service"
local task = require "luaqueduct.task"
local tcp = require "luaqueduct.tcp"
local websocket = require "luaqueduct.websocket"

---@type luaqueduct
local aq = {
  -- The app.
  channel = channel.new,
  router = router.new,
  instance = instance,

  -- Responses.
  response = response.response,
  ok = response.ok,
  created = response.created,
  accepted = response.accepted,
  no_content = response.no_content,
  redirect = response.redirect,
  not_modified = response.not_modified,
  bad_request = response.bad_request,
  unauthorized = response.unauthorized,
  forbidden = response.forbidden,
  not_found = response.not_found,
  conflict = response.conflict,
  gone = response.gone,
  server_error = response.server_error,
  html = response.html,
  stream = response.stream,

  -- Waiting.
  sleep = core_task.sleep,
  spawn = core_task.spawn,
  after = task.after,
  every = task.every,
  all = task.all,
  shield = task.shield,
  now = core_task.now,
  time = core_task.time,

  -- Data.
  array = json.array,
  null = json.null,
  json = { encode = json.encode, decode = json.decode },

  -- Messages.
  hub = hub,
  service = service.service,

  -- Connections that stay, and other servers.
  websocket = websocket.websocket,
  tcp = tcp,

  -- Databases.
  db = db,

  -- Logging.
  log = log.log,
  logger = log.logger,
}

return aq
