--- Whether other processes run.

local process = {}

--- One that has ended and is not yet asked after does not run; nor one that ends while it is
--- looked at, whose file can be opened and not be read.
---@param pid integer
---@return boolean
function process.is_alive(pid)
  local file = io.open(("/proc/%d/stat"):format(pid))
  if not file then return false end
  local state = (file:read "a" or ""):match "%) (%a)"
  file:close()
  return state ~= nil and state ~= "Z" and state ~= "X"
end

return process
