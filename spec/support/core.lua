--- Makes the C modules that need no worker loadable in plain Lua 5.4.
--
-- Busted loads this file before the specs (see .busted). Afterwards
-- `require "luaqueduct.core.json"` works as it does in the runtime, and so
-- do the modules that exist for specs only: spec.http, spec.log, spec.run,
-- spec.proc and so on.
-- Failure: a module whose shared object is not built raises at its require.

require "spec.support.raised"

local function absolute(path)
  if path:sub(1, 1) == "/" then return path end
  return (os.getenv "PWD" or ".") .. "/" .. path
end

local build = absolute(os.getenv "LQ_BUILD" or "build")
local object = absolute(os.getenv "LQ_CORE" or build .. "/spec/core.so")

local modules = {
  "luaqueduct.core",
  "luaqueduct.core.errors",
  "luaqueduct.core.fields",
  "luaqueduct.core.folder",
  "luaqueduct.core.json",
  "luaqueduct.core.pack",
  "luaqueduct.core.router",
  "luaqueduct.core.url",
  "spec.forwarded",
  "spec.http",
  "spec.log",
  "spec.proc",
  "spec.run",
  "spec.ws",
}

for _, name in ipairs(modules) do
  package.preload[name] = function(...)
    local open, err = package.loadlib(object, "luaopen_" .. name:gsub("%.", "_"))
    if not open then
      error(("%s is not there, build it with `make core-so`: %s"):format(name, err), 0)
    end
    return open(...)
  end
end

return { absolute = absolute, build = build, object = object }
