--- Frames as a client sends them, right or wrong, and decoding them however cut.
--
-- Pure: no I/O.
-- Failure: events that depend on where the bytes are cut raise.

local http = require "spec.http"
local luassert = require "luassert"
local ws = require "spec.ws"

local KEY = "\x37\xfa\x21\x3d"

local OPCODES = { cont = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 }

local m = {}

--- The bytes of a length, as short as they can be unless `size` (0, 2 or 8) says otherwise.
local function length(len, size, mask)
  size = size or (len < 126 and 0 or len < 65536 and 2 or 8)
  if size == 0 then return string.char(mask | len) end
  return string.char(mask | (size == 2 and 126 or 127)) .. string.pack(">I" .. size, len)
end

---@class spec.Frame
---@field [1] string|integer the opcode
---@field [2]? string the payload
---@field more? boolean other fragments follow
---@field rsv? integer bits of the first byte, 0x40 for RSV1
---@field unmasked? boolean
---@field key? string
---@field len? integer what the head says
---@field size? integer bytes of the length

--- The bytes of one frame.
---@param f spec.Frame
---@return string
function m.frame(f)
  local payload, opcode = f[2] or "", OPCODES[f[1]] or f[1]
  local first = (f.more and 0 or 0x80) | (f.rsv or 0) | opcode
  local head = string.char(first) .. length(f.len or #payload, f.size, f.unmasked and 0 or 0x80)

  if f.unmasked then return head .. payload end
  return head .. (f.key or KEY) .. ws.unmask(payload, f.key or KEY)
end

--- The bytes of several.
---@param list spec.Frame[]
---@return string
function m.frames(list)
  local parts = {}

  for i, f in ipairs(list) do parts[i] = m.frame(f) end
  return table.concat(parts)
end

--- The events of `bytes`, and whether the decoder has no memory afterwards. They are the same
--- whole, in two pieces at every byte, and byte by byte.
---@param bytes string
---@param options? table `max`, and `inflater`, a function that makes one
---@return table events
---@return boolean is_idle
function m.decode(bytes, options)
  options = options or {}
  local function decode(pieces)
    return ws.decode(pieces, { max = options.max,
      inflater = options.inflater and options.inflater() })
  end
  local events, is_idle = decode { bytes }

  for i, pieces in ipairs(http.cuts(bytes)) do
    local cut, is_idle_cut = decode(pieces)
    luassert.are.same(events, cut, "cut at " .. i)
    luassert.are.equal(is_idle, is_idle_cut)
  end
  return events, is_idle
end

--- The events as short texts: "text Hello", "binary x", "ping x", "close 1000 why", "error 1002".
---@param events table
---@return string[]
function m.words(events)
  local words = {}

  for i, e in ipairs(events) do
    local what = e.event
    if what == "message" then what = e.is_binary and "binary" or "text" end
    local parts = { what }
    parts[#parts + 1] = e.code and tostring(e.code)
    if e.data ~= "" then parts[#parts + 1] = e.data end
    words[i] = table.concat(parts, " ")
  end
  return words
end

return m
