--- Links: controllers, and chains of them as one function.
--
-- Pure: no I/O, no state. A chain waits where its controllers wait.
-- Failure: what is no controller raises with the caller's file and line;
-- errors of controllers pass through.

local place = require "luaqueduct.place"

local m = {}

--- The controller as a function, or nil when it is none.
---@param controller any
---@return luaqueduct.Handler?
function m.as_function(controller)
  if type(controller) == "function" then return controller end
  if type(controller) ~= "table" or type(controller.handle) ~= "function" then return nil end
  return function(req)
    return controller:handle(req)
  end
end

--- The same; raises at the caller when it is none.
---@param controller luaqueduct.Controller
---@return luaqueduct.Handler
function m.check(controller)
  local fn = m.as_function(controller)

  if fn then return fn end
  return place.raise("a controller is a function or a table with a function `handle`, not a %s%s",
    type(controller), controller == nil and " (a misspelt name, or a module that returns nothing?)"
    or "")
end

--- One function for a list of links. A link that returns the request hands it to the next one;
--- any other result ends the chain. One link alone stays the function that it is.
---@param links luaqueduct.Handler[] at least one
---@return luaqueduct.Handler
function m.compose(links)
  local last = #links
  local final = links[last]

  if last == 1 then return final end
  links = table.move(links, 1, last, 1, {})
  return function(req)
    for i = 1, last - 1 do
      local result, err = links[i](req)
      if result ~= req then return result, err end
    end
    return final(req)
  end
end

return m
