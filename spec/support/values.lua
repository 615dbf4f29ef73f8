--- Random Lua values for round trips, and an equality that misses nothing.
--
-- Pure: no I/O; the caller seeds math.random.

local values = {}

--- Whether a and b are the same value: kinds of number, NaN and the sign of
-- zero count, tables are compared by their entries.
function values.same(a, b)
  if type(a) ~= type(b) or math.type(a) ~= math.type(b) then return false end
  if math.type(a) == "float" then
    return string.pack("n", a) == string.pack("n", b) or (a ~= a and b ~= b)
  end
  if type(a) ~= "table" then return a == b end
  for k, v in pairs(a) do
    if not values.same(v, b[k]) then return false end
  end
  for k in pairs(b) do
    if a[k] == nil then return false end
  end
  return true
end

--- Any bits that are a finite float.
function values.float()
  local v = string.unpack("n", string.pack("i8", math.random(0)))
  if v ~= v or v - v ~= 0 then return values.float() end
  return v
end

--- An integer of any size, small ones as often as large ones.
function values.integer()
  return math.random(0) >> math.random(0, 63)
end

--- Valid UTF-8, from NUL to the highest character.
function values.text()
  local ranges = { { 0, 0x7F }, { 0x20, 0x7E }, { 0x80, 0x7FF }, { 0x800, 0xD7FF },
    { 0xE000, 0xFFFF }, { 0x10000, 0x10FFFF } }
  local chars = {}
  for i = 1, math.random(0, 20) do
    local range = ranges[math.random(#ranges)]
    chars[i] = utf8.char(math.random(range[1], range[2]))
  end
  return table.concat(chars)
end

--- Any bytes, up to `max` of them.
function values.bytes(max)
  local bytes = {}
  for i = 1, math.random(0, max) do bytes[i] = string.char(math.random(0, 255)) end
  return table.concat(bytes)
end

--- One of `makers`, called.
function values.one_of(makers)
  return makers[math.random(#makers)]()
end

return values
