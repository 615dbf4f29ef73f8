--- A small file system of its own, for disks that are full.
--
--   local disk <close> = tmpfs.mount(64)      -- KiB; nil, why when that is not possible
--   disk:fill()  disk:free()
--
-- Needs to be root, or a system on which a user may mount in a namespace of
-- his own that this process is in. A spec without it says so as pending.

local command = require "spec.support.command"

local tmpfs = {}
local methods = {}

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

--- Takes all the room that is left, but for `spare` bytes.
function methods:fill(spare)
  local result = command.run { "df", "--output=avail", "-B1", self.path }
  local free = tonumber(result.stdout:match "(%d+)%s*$")
  local room = free - (spare or 0)
  if room <= 0 then return end
  local file = assert(io.open(self.filler, "ab"))
  file:setvbuf "no"
  file:write(("x"):rep(room))
  file:close()
end

--- Gives that room back.
function methods:free()
  if exists(self.filler) then assert(os.remove(self.filler)) end
end

local function unmount(self)
  if not self.path then return end
  command.run { "umount", "-l", self.path }
  command.remove(self.folder)
  self.path = nil
end

local Disk = { __name = "spec.tmpfs", __index = methods, __close = unmount, __gc = unmount }

---@param kib integer its size
---@return table? disk with `path`
---@return string? why there is none
function tmpfs.mount(kib)
  local folder = command.folder()
  local path = folder .. "/disk"
  command.run { "mkdir", path }
  local result = command.run { "mount", "-t", "tmpfs", "-o", ("size=%dk"):format(kib), "none",
    path }

  if result.status ~= 0 then
    command.remove(folder)
    return nil, "a tmpfs cannot be mounted: " .. result.stderr
  end
  return setmetatable({ folder = folder, path = path, filler = path .. "/filler" }, Disk)
end

return tmpfs
