--- Tells a server of VARIANT=allocfail which of its allocations fail.
--
--   local plan <close> = alloc_fail.plan()
--   local app <close> = server.start { binary = alloc_fail.binary,
--     env = { LQ_ALLOC_FAIL = plan.path }, ... }
--   plan:arm(17, 2)            -- the 17th from now on fails, and the one behind it
--   local asked, failed = plan:disarm()
--
-- The plan is a file that the server maps (spec/support/alloc_fail.c), so that one server
-- serves thousands of plans.
-- Failure: raises when the variant is not built.

local command = require "spec.support.command"
local core = require "spec.support.core"

local FORMAT = "<i8i8i8i8" -- first, count, asked, failed

local alloc_fail = {}
local methods = {}

alloc_fail.binary = core.absolute(core.build .. "/allocfail/luaqueduct")

--- More than anything allocates: all of them fail from the first one on.
alloc_fail.ALL = 1 << 40

local function write(self, first, count)
  self.file:seek("set", 0)
  assert(self.file:write(FORMAT:pack(first, count, 0, 0)))
  assert(self.file:flush())
end

--- From now on the `first` allocation fails, and `count` - 1 behind it (none unless given).
function methods:arm(first, count)
  write(self, first, count or 1)
end

--- How many allocations there were since the last call of `arm`, and how many of them failed.
function methods:counts()
  self.file:seek("set", 0)
  local _, _, asked, failed = FORMAT:unpack(self.file:read(FORMAT:packsize()))
  return asked, failed
end

--- None fails any more; returns what `counts` does.
function methods:disarm()
  local asked, failed = self:counts()
  write(self, 0, 0)
  return asked, failed
end

local function close(self)
  self.file:close()
  command.remove(self.folder)
end

local Plan = { __name = "spec.alloc_fail", __index = methods, __close = close }

--- A plan by which nothing fails; `path` is its file.
function alloc_fail.plan()
  assert(io.open(alloc_fail.binary), "the variant is not built: make allocfail"):close()
  local folder = command.folder()
  local path = folder .. "/plan"
  local file = assert(io.open(path, "w+b"))
  local self = setmetatable({ folder = folder, path = path, file = file }, Plan)

  file:setvbuf "no"
  write(self, 0, 0)
  return self
end

return alloc_fail
