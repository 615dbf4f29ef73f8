--- The app's life cycle in one state, step by step, as the C core drives it.
--
-- Each function runs in a task of its own and may suspend it. What a step
-- needs comes as strings: the context crosses threads packed.
-- Failure: an error is raised and reported by the core with its traceback.

local boot = require "luaqueduct.boot"
local dispatch = require "luaqueduct.core.dispatch"
local hooks = require "luaqueduct.hooks"
local pack = require "luaqueduct.core.pack"
local service = require "luaqueduct.core.service"

local m = {}

-- One state runs one app.
local app, compiled

--- Suspends the task as long as `App.initialize` does.
---@param script string path of the app
---@param packed string options.context, packed
---@return string context packed, for every worker
function m.initialize(script, packed)
  local loaded = boot.load(script, assert(pack.unpack(packed)))
  return pack.pack(boot.initialize(loaded, script))
end

--- Suspends the task as long as `App:prepare` and `App:entry_point` do.
---@param script string
---@param packed string the context of `initialize`
---@return luaqueduct.core.Router router
function m.start(script, packed)
  app = boot.load(script, assert(pack.unpack(packed)))
  boot.prepare(app)
  compiled = boot.entry_point(app)
  dispatch.set {
    handlers = compiled.handlers,
    finish = hooks.finish,
    fail = hooks.fail(compiled.on_error),
  }
  return compiled.router
end

--- Suspends the task as long as the service's `prepare` does.
---@param script string path of the app
---@param packed string the argument of `prepare`
function m.service(script, packed)
  app = boot.service(script, service.path(), pack.unpack(packed))
end

--- Suspends the task as long as `App:ready` does.
function m.ready()
  boot.ready(app)
end

--- Suspends the task as long as `close` of the app, or of the service, does.
function m.close()
  boot.close(app)
end

--- The routing table as text. Neither `prepare` nor `ready` runs.
---@param script string
---@param packed string
---@return string text
function m.routes(script, packed)
  local loaded = boot.load(script, assert(pack.unpack(packed)))
  boot.initialize(loaded, script)
  return boot.routes(boot.entry_point(loaded))
end

--- `luaqueduct migrate`. Suspends the task while the database works.
---@param _ string
---@param packed string what the command line said
---@return string message what went wrong; empty: nothing
function m.migrate(_, packed)
  return require("luaqueduct.cli.migrate").run(assert(pack.unpack(packed)))
end

return m
