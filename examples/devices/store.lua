--- Where readings are kept: `restore` and `append`. With `DATABASE_URL` set it is database.lua
--- instead, the rest of the example stays.
--
-- Here it is a file of lines, "seq time device quantity value;", that is only ever appended to.
-- When it has MAX_SIZE it becomes PATH.1, in place of the one before: there are two at most.
-- Does I/O without suspending the task: for a service, whose thread it has to itself.
-- Failure: `nil, err` with the system's words; what was being appended may stand there in part.

local Store = {}
Store.__index = Store

local MAX_SIZE = 64 << 20

local function read(path, each)
  local file = io.open(path, "rb")
  if not file then return end
  for line in file:lines() do
    local seq, time, device, quantity, value = line:match "^(%d+) (%d+) (%g+) (%g+) (%g+);$"
    if seq then
      each { seq = tonumber(seq), time = tonumber(time), device = device, quantity = quantity,
        value = tonumber(value) }
    end
  end
  file:close()
end

--- Calls `each` with what is there, the oldest first. A line whose end is missing was being written
--- when the process ended: it does not count.
---@param each fun(reading: table)
function Store:restore(each)
  read(self.path .. ".1", each)
  read(self.path, each)
end

local function line_of(reading)
  return ("%d %d %s %s %.17g;\n"):format(reading.seq, reading.time, reading.device,
    reading.quantity, reading.value)
end

--- All of them, in one write. They outlive this process then, not yet a failure of the power.
---@param readings table[]
---@return true?
---@return string? err
function Store:append(readings)
  local lines = {}
  for i, reading in ipairs(readings) do lines[i] = line_of(reading) end
  local file, err = io.open(self.path, "ab")
  if not file then return nil, err end

  -- Behind a line that has no end a new one begins.
  local ok, write_err = file:write(self.is_torn and "\n" or "", table.concat(lines))
  local size = file:seek "end"
  local is_closed, close_err = file:close()
  self.is_torn = not (ok and is_closed)
  if self.is_torn then return nil, write_err or close_err end
  if size >= MAX_SIZE then os.rename(self.path, self.path .. ".1") end
  return true
end

local function is_torn(path)
  local file <close> = io.open(path, "rb")
  return file and file:seek "end" > 0 and file:seek("end", -1) and file:read(1) ~= "\n"
end

---@param path string
local function open(path)
  return setmetatable({ path = path, is_torn = is_torn(path) }, Store)
end

return { open = open }
