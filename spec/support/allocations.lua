--- Counts the allocations of a server while it runs.
--
--   local counter <close> = allocations.new()
--   local app <close> = server.start { source = …, env = counter.env }
--   local before = counter:read()
--   …
--   local made = counter:read().total - before.total
--
-- Works with the plain build; sanitizers bring an allocator of their own.

local command = require "spec.support.command"
local core = require "spec.support.core"

local Counter = { __name = "spec.allocations" }
Counter.__index = Counter

--- How often each function was called since the program started; `total` is
--- every call that may have taken memory.
function Counter:read()
  local bytes = command.read_file(self.path)
  local malloc, calloc, realloc, free = string.unpack("=I8I8I8I8", bytes)
  return {
    malloc = malloc, calloc = calloc, realloc = realloc, free = free,
    total = malloc + calloc + realloc,
  }
end

function Counter:__close()
  command.remove(self.folder)
end

local allocations = {}

--- Whether this build can be counted.
function allocations.is_supported()
  return not core.build:find "[ta]san$"
end

function allocations.new()
  local folder = command.folder()
  local path = folder .. "/counters"
  local shim = core.build .. "/spec/malloc_count.so"
  local env = { LD_PRELOAD = shim, LQ_MALLOC_COUNT = path }
  return setmetatable({ folder = folder, path = path, env = env }, Counter)
end

return allocations
