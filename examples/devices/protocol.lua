--- What devices and server say to each other: the messages of the example, packed and unpacked.
--
-- A message is a byte that says which one it is, and its fields; numbers are big-endian. On the
-- wire each has its length in two bytes in front (`framing = "u16"`).
-- Pure: no I/O, never waits.
-- Failure: what cannot be unpacked to the last byte is `nil` and a sentence.

local protocol = { VERSION = 1 }

-- Name, byte, format, fields. Those of the server begin at 65.
local MESSAGES = {
  { "hello", 1, ">Bs1s1", { "version", "device", "secret" } },
  { "reading", 2, ">I4I8s1d", { "seq", "time", "quantity", "value" } }, -- time: ms since 1970
  { "done", 3, ">I4Bs2", { "command", "is_ok", "text" } },
  { "welcome", 65, ">BI4", { "version", "last" } }, -- the last reading that is stored, 0: none
  { "ack", 66, ">I4", { "seq" } }, -- all up to it are stored
  { "command", 67, ">I4s2", { "command", "text" } },
  { "error", 68, ">s1s1", { "code", "text" } }, -- the connection ends behind it
}

local by_name, by_byte = {}, {}
for _, message in ipairs(MESSAGES) do
  local name, byte, format, fields = table.unpack(message)
  by_name[name] = { name = name, byte = string.char(byte), format = format, fields = fields }
  by_byte[byte] = by_name[name]
end

--- The bytes of a message, without their length. Raises when a field is missing.
---@param name string
---@param message table<string, any>
---@return string
function protocol.pack(name, message)
  local kind = by_name[name]
  local values = {}

  for i, field in ipairs(kind.fields) do values[i] = message[field] end
  return kind.byte .. string.pack(kind.format, table.unpack(values, 1, #kind.fields))
end

--- The message, with its `name`.
---@param bytes string
---@return table? message
---@return string? why_not
function protocol.unpack(bytes)
  local kind = by_byte[bytes:byte()]
  if not kind then return nil, "There is no such message." end
  local values = table.pack(pcall(string.unpack, kind.format, bytes, 2))
  if not values[1] then return nil, ("A %s is longer."):format(kind.name) end
  if values[values.n] <= #bytes then return nil, ("A %s is shorter."):format(kind.name) end
  local message = { name = kind.name }

  for i, field in ipairs(kind.fields) do message[field] = values[i + 1] end
  return message
end

return protocol
