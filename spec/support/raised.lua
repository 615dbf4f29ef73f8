--- Whether a spec has raised an error, for whatever is closed on its way out.
--
-- Busted's handler of errors returns nothing, which `__close` is then given for
-- the error: it looks like a good end. So the call that busted runs each spec in
-- keeps what was raised. Loaded before the specs (see core.lua).

local raised = {}
local last
local plain_xpcall = xpcall

--- What has ended the spec that is running; nil: nothing yet.
function raised.error()
  return last
end

-- A tail call: the handler finds the stack as it would be without this.
function _G.xpcall(fn, handler, ...)
  last = nil
  return plain_xpcall(fn, function(err)
    last = err
    return handler(err)
  end, ...)
end

return raised
