---@meta _
-- luacheck: ignore 212 241

--- What a controller may return: a response, a string (200, text/plain), a table (200, JSON), the
--- request (the next link goes on), or nil after `req:detach()`.
---@alias luaqueduct.Result luaqueduct.Response|luaqueduct.Request|string|table|nil

--- A controller as a function. `nil, err` answers 500, and err is logged.
---@alias luaqueduct.Handler async fun(req: luaqueduct.Request): luaqueduct.Result, any?

--- A controller as a table.
---@class luaqueduct.Handling
---@field handle async fun(self: any, req: luaqueduct.Request): luaqueduct.Result, any? answers

---@alias luaqueduct.Controller luaqueduct.Handler|luaqueduct.Handling

--- What `initialize` gets, and `self.options` is.
--- In `initialize`, `options:service(name, path, arg, options)` declares a service: a thread of its
--- own with the script at `path`, beside the app's; `arg` goes to its `prepare`.
---@class luaqueduct.Options
---@field context table copied into every worker
---@field service? fun(self: any, name: string, path: string, arg: any, options: any)

--- What an app script returns, from `aq.channel()`. All functions but `entry_point` are optional;
--- those with a `self` run in every worker and may wait.
---@class luaqueduct.Channel
---@field options luaqueduct.Options there from `prepare` on
---@field initialize? async fun(options: luaqueduct.Options) once, in a state of its own
---@field prepare? async fun(self: luaqueduct.Channel) opens what the handlers need
---@field entry_point async fun(self: luaqueduct.Channel): luaqueduct.Router|luaqueduct.Controller
---@field ready? async fun(self: luaqueduct.Channel) once all workers accept
---@field close? async fun(self: luaqueduct.Channel) after the drain
---@field on_error? async fun(self: any, req: luaqueduct.Request, err: any): luaqueduct.Result
