--- A WebSocket client that can misbehave: frames out as they are told, answers read strictly.
--
--   local ws <close> = websocket.open(app, "/echo")
--   ws:text "hello"
--   assert.are.equal("hello", ws:message())
--
-- Every wait has a deadline, of the connection unless a call names its own.
-- Failure: opening raises unless the answer is 101 as it must be, and so does a frame that a
-- server may not send; what ends is `nil, err`: "timeout", "eof", "reset".

local luassert = require "luassert"
local proc = require "spec.proc"
local wait = require "spec.support.wait"
local ws = require "spec.ws"
local frames = require "spec.support.ws"

local KEY = "dGhlIHNhbXBsZSBub25jZQ=="

local m = {}
local methods = {}

--- The bytes of a handshake; `headers` (a list of { name, value }) come behind the others, an
--- `omit` (name -> true) leaves some of those out.
---@param path string
---@param options? table { headers, omit, method, version (of HTTP, "1.1"), offer (of extensions) }
function m.request(path, options)
  options = options or {}
  local method, version = options.method or "GET", options.version or "1.1"
  local lines = { ("%s %s HTTP/%s"):format(method, path, version) }
  local fields = { { "Host", "localhost" }, { "Upgrade", "websocket" }, { "Connection", "Upgrade" },
    { "Sec-WebSocket-Version", "13" }, { "Sec-WebSocket-Key", KEY } }

  if options.offer then fields[#fields + 1] = { "Sec-WebSocket-Extensions", options.offer } end
  for _, field in ipairs(fields) do
    if not (options.omit and options.omit[field[1]]) then
      lines[#lines + 1] = field[1] .. ": " .. field[2]
    end
  end
  for _, field in ipairs(options.headers or {}) do
    lines[#lines + 1] = field[1] .. ": " .. field[2]
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

--- What the answer says of permessage-deflate: nil, or its parameters by name (true: no value).
local function agreed(res)
  local value = res:header "sec-websocket-extensions"
  if not value then return nil end
  local params = {}

  luassert.are.equal("permessage-deflate", value:match "^[^;]+")
  for name, bits in value:gmatch ";%s*([%w_]+)=?(%d*)" do
    params[name] = tonumber(bits) or true
  end
  return params
end

local function inflater_of(params)
  return params and ws.inflater(params.server_max_window_bits or 15,
    not params.server_no_context_takeover)
end

local WebSocket = { __name = "spec.websocket", __index = methods }

--- A connection on which `head`, an answer of 101, has been read.
function m.adopt(conn, head)
  local params = agreed(head)

  luassert.are.equal(101, head.status)
  luassert.are.equal("websocket", head:header "upgrade":lower())
  luassert.are.equal("upgrade", head:header "connection":lower())
  luassert.are.equal(ws.accept_key(KEY), head:header "sec-websocket-accept")
  luassert.is_nil(head:header "content-length")
  luassert.is_nil(head:header "transfer-encoding")
  return setmetatable({ conn = conn, answer = head, deflate = params, buffer = conn.buffer,
    inflater = inflater_of(params), timeout = conn.timeout }, WebSocket)
end

--- Opens a WebSocket and checks the answer.
---@param app table a server, or a list of options for client.connect in `options.connect`
---@param path string
---@param options? table as `request`, and { early = bytes behind the handshake, piece = bytes
---  sent at once, timeout, receive_buffer, from }
function m.open(app, path, options)
  options = options or {}
  local conn = app:connect(options)

  local bytes = m.request(path, options) .. (options.early or "")
  for i = 1, #bytes, options.piece or #bytes do
    assert(conn:send(bytes:sub(i, i + (options.piece or #bytes) - 1)))
  end
  return m.adopt(conn, assert(conn:read_head()))
end

--- The answer to a handshake that is to be refused.
function m.refused(app, path, options)
  local conn <close> = app:connect()

  assert(conn:send(m.request(path, options)))
  return assert(conn:read_response { method = options and options.method })
end

-- ---- sending ---------------------------------------------------------------

--- Bytes as they are.
function methods:raw(bytes) return self.conn:send(bytes) end

--- Frames, each as spec.support.ws has them.
function methods:frames(...) return self:raw(frames.frames { ... }) end

function methods:text(s) return self:frames { "text", s } end
function methods:binary(s) return self:frames { "binary", s } end

--- A text message that is deflated; the window is kept as agreed on.
function methods:deflated(s)
  local reset = self.deflate.client_no_context_takeover and true or false
  self.deflater = self.deflater or ws.deflater(self.deflate.client_max_window_bits or 15)
  return self:frames { "text", self.deflater:deflate(s, reset), rsv = 0x40 }
end

--- A close frame; without a code an empty one.
function methods:say_close(code, reason)
  return self:frames { "close", code and string.pack(">I2", code) .. (reason or "") or "" }
end

-- ---- reading ---------------------------------------------------------------

local function fill(self, len, deadline)
  while #self.buffer < len do
    local piece, err = proc.read(self.conn.socket:getfd(), wait.left(deadline))
    if not piece then return nil, err:find("reset", 1, true) and "reset" or err end
    self.buffer = self.buffer .. piece
  end
  return true
end

local function take(self, len)
  local piece = self.buffer:sub(1, len)
  self.buffer = self.buffer:sub(len + 1)
  return piece
end

-- The length in a head, and how long that is: as short as it can be.
local function read_length(self, deadline)
  local len = self.buffer:byte(2)
  if len < 126 then return len, 2 end
  local size = len == 126 and 2 or 8
  local ok, err = fill(self, 2 + size, deadline)
  if not ok then return nil, err end
  local real = string.unpack(">I" .. size, self.buffer, 3)
  luassert.is_true(real >= (size == 2 and 126 or 65536), "a length is longer than it need be")
  return real, 2 + size
end

--- One frame: { opcode, payload, is_last, is_deflated }.
function methods:frame(options)
  local deadline = proc.now() + (options and options.timeout or self.timeout)
  local ok, err = fill(self, 2, deadline)
  if not ok then return nil, err end
  local first, second = self.buffer:byte(1, 2)
  luassert.are.equal(0, second & 0x80, "a server does not mask")
  luassert.are.equal(0, first & 0x30)
  local len, head = read_length(self, deadline)
  if not len then return nil, head end
  ok, err = fill(self, head + len, deadline)
  if not ok then return nil, err end
  take(self, head)
  return { opcode = first & 15, payload = take(self, len), is_last = first & 0x80 ~= 0,
    is_deflated = first & 0x40 ~= 0 }
end

--- The next message, and whether it is binary; or nil and how it ended: "close 1000 reason",
--- "eof", "reset", "timeout". Pings are answered, pongs passed over.
function methods:message(options)
  while true do
    local frame, err = self:frame(options)
    if not frame then return nil, err end
    if frame.opcode == 8 then
      local code = #frame.payload > 1 and string.unpack(">I2", frame.payload) or ""
      self.close_payload = frame.payload
      return nil, (("close %s %s"):format(code, frame.payload:sub(3)):gsub("%s+$", ""))
    elseif frame.opcode == 9 then
      self:frames { "pong", frame.payload }
    elseif frame.opcode ~= 10 then
      luassert.is_true(frame.opcode == 1 or frame.opcode == 2, "opcode " .. frame.opcode)
      luassert.is_true(frame.is_last, "a server does not send fragments")
      local data = frame.payload
      if frame.is_deflated then data = assert(self.inflater:inflate(data, 64 << 20)) end
      return data, frame.opcode == 2
    end
  end
end

--- Messages until `last` has come, which is one of them.
function methods:messages(last)
  local list = {}

  repeat
    local data, err = self:message()
    list[#list + 1] = data or err
  until not data or data == last
  return list
end

--- What is told when it ends: "close 1000 reason", or "eof" and so on where nothing was said;
--- messages before it are passed over. We close it then, too.
function methods:ending(options)
  local data, err
  repeat data, err = self:message(options) until not data
  if err:find "^close" then
    self:frames { "close", self.close_payload }
    local frame, how = self:frame(options)
    luassert.is_nil(frame, "nothing follows a close frame")
    luassert.is_true(how == "eof" or how == "reset", how)
  end
  self:close()
  return err
end

--- Says good-bye, with an empty frame unless there is a code, and waits for the answer.
function methods:bye(code, reason)
  self:say_close(code, reason)
  return self:ending()
end

function methods:half_close() self.conn:half_close() end
function methods:reset() self.conn:reset() end
function methods:close() self.conn:close() end

WebSocket.__close = methods.close

return m
