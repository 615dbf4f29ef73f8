--- Hooks: what runs after a handler, for requests that have asked for it.
--
-- C calls these in the request's task; they may wait where the hooks do.
-- Failure: an error in a hook passes through to C, which logs it and answers
-- 500.

local response = require "luaqueduct.response"

local m = {}

--- The response on its way out: the functions of `req:on_response` edit it, the last one first.
---@param req luaqueduct.Request
---@param hooks fun(res: luaqueduct.Response, req: luaqueduct.Request)[]
---@param value luaqueduct.Result
---@return luaqueduct.Response
function m.finish(req, hooks, value)
  local res = response.editable(value)

  for i = #hooks, 1, -1 do hooks[i](res, req) end
  return res
end

--- Makes the function `fail(req, hooks, err)`: it asks the functions of `req:on_error`, the last
--- one first, then the channel's on_error. The first response ends it; nil is the plain 500.
---@param on_error? fun(req: luaqueduct.Request, err: any): luaqueduct.Result
function m.fail(on_error)
  return function(req, hooks, err)
    for i = hooks and #hooks or 0, 1, -1 do
      local result = hooks[i](err, req)
      if result ~= nil then return result end
    end
    return on_error and on_error(req, err)
  end
end

return m
