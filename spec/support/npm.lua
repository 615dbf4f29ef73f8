--- Where packages of npm are that the specs run: in the top build folder, whatever the variant.
--
-- Failure: raises with what has to be made first.

local core = require "spec.support.core"

local npm = {}

---@param set string what `make <set>` puts there: "browser", "clients"
---@param package string one of its packages
---@return string path of its node_modules
function npm.modules(set, package)
  for _, folder in ipairs { core.build, core.build .. "/.." } do
    local path = core.absolute(("%s/%s/node_modules"):format(folder, set))
    local file = io.open(("%s/%s/package.json"):format(path, package))
    if file then
      file:close()
      return path
    end
  end
  error(("%s is not in the build folder: make %s"):format(package, set), 3)
end

return npm
