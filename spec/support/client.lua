--- An HTTP client that can misbehave: raw bytes out, strictly read answers in.
--
-- Every wait has a deadline, of the connection unless a call names its own.
-- Failure: `nil, err` with "timeout", "closed" (the other side ended before
-- the answer was whole) or what is wrong with the answer; connecting raises.

local socket = require "socket"
local unix = require "socket.unix"
local proc = require "spec.proc"
local wait = require "spec.support.wait"

local client = {}
local methods = {}

-- ---- answers ---------------------------------------------------------------

local Response = { __name = "spec.response" }
Response.__index = Response

--- The first value of a field, any case; nil when it is absent.
function Response:header(name)
  return self:header_all(name)[1]
end

--- Every value of a field, in order.
function Response:header_all(name)
  local values = {}
  for _, field in ipairs(self.headers) do
    if field.name:lower() == name:lower() then values[#values + 1] = field.value end
  end
  return values
end

local function parse_head(text)
  local version, status, reason = text:match "^HTTP/(%d%.%d) (%d%d%d) ([^\r\n]*)\r\n"
  if not version then return nil, ("bad status line: %q"):format(text:sub(1, 80)) end
  local res = { version = version, status = tonumber(status), reason = reason, headers = {} }
  local fields = text:match "^[^\n]*\n(.*)\r\n$"

  for line in fields:gmatch "(.-)\r\n" do
    local name, value = line:match "^([%w!#$%%&'*+.^_`|~-]+):[ \t]*(.-)[ \t]*$"
    if not name or value:find "[%c]" then return nil, ("bad field: %q"):format(line) end
    res.headers[#res.headers + 1] = { name = name, value = value }
  end
  res.head = text
  return setmetatable(res, Response)
end

-- ---- reading ---------------------------------------------------------------

--- Adds what comes next to the buffer; nil, err when nothing does.
local function fill(self, deadline)
  if self.ended then return nil, "closed" end
  if not wait.readable(self.socket, wait.left(deadline)) then return nil, "timeout" end
  local data, err, partial = self.socket:receive(65536)
  local piece = data or partial
  self.buffer = self.buffer .. piece
  if err and err ~= "timeout" then
    self.ended = err
    if piece == "" then return nil, "closed" end
  end
  return true
end

local function take(self, len)
  local piece = self.buffer:sub(1, len)
  self.buffer = self.buffer:sub(len + 1)
  return piece
end

local function read_until(self, mark, deadline)
  while true do
    local _, last = self.buffer:find(mark, 1, true)
    if last then return take(self, last) end
    local ok, err = fill(self, deadline)
    if not ok then return nil, err end
  end
end

local function read_exactly(self, len, deadline)
  while #self.buffer < len do
    local ok, err = fill(self, deadline)
    if not ok then return nil, err end
  end
  return take(self, len)
end

local function read_to_end(self, deadline)
  while true do
    local ok, err = fill(self, deadline)
    if not ok then
      if err == "closed" then return take(self, #self.buffer) end
      return nil, err
    end
  end
end

local function read_chunk(self, deadline)
  local line, err = read_until(self, "\r\n", deadline)
  if not line then return nil, err end
  local size = tonumber(line:match "^(%x+)\r\n$" or "", 16)
  if not size then return nil, ("bad chunk size: %q"):format(line) end
  local data, data_err = read_exactly(self, size + 2, deadline)
  if not data then return nil, data_err end
  if data:sub(-2) ~= "\r\n" then return nil, "a chunk does not end with CR LF" end
  return data:sub(1, -3)
end

local function read_chunked(self, res, deadline)
  res.chunks = {}
  while true do
    local chunk, err = read_chunk(self, deadline)
    if not chunk then return nil, err end
    if chunk == "" then return table.concat(res.chunks) end
    res.chunks[#res.chunks + 1] = chunk
  end
end

local function read_body(self, res, method, deadline)
  local length = res:header "content-length"

  if method == "HEAD" or res.status < 200 or res.status == 204 or res.status == 304 then
    return ""
  elseif res:header "transfer-encoding" then
    if length then return nil, "both a length and an encoding" end
    return read_chunked(self, res, deadline)
  elseif length then
    if not length:find "^%d+$" then return nil, "bad length: " .. length end
    return read_exactly(self, tonumber(length), deadline)
  end
  res.until_close = true
  return read_to_end(self, deadline)
end

--- Reads the head of one answer; the body is left to `read_response`'s kin.
function methods:read_head(options)
  local deadline = proc.now() + (options and options.timeout or self.timeout)
  local text, err = read_until(self, "\r\n\r\n", deadline)

  if not text then return nil, err, self.buffer end
  return parse_head(text)
end

--- Reads one answer; those with a status of 1xx are answers too.
---@param options? table { method = of the request ("GET"), timeout }
---@return table? response { version, status, reason, headers (list of { name, value }), body,
---  chunks (list, when chunked), until_close, header(name), header_all(name) }
---@return string? err
function methods:read_response(options)
  options = options or {}
  local deadline = proc.now() + (options.timeout or self.timeout)
  local res, err = self:read_head(options)
  if not res then return nil, err end

  res.body, err = read_body(self, res, options.method, deadline)
  if not res.body then return nil, err, res end
  return res
end

--- One chunk of an answer whose head `read_head` has read; "" is the last.
function methods:read_chunk(options)
  return read_chunk(self, proc.now() + (options and options.timeout or self.timeout))
end

--- Exactly `len` bytes.
function methods:read(len, options)
  return read_exactly(self, len, proc.now() + (options and options.timeout or self.timeout))
end

--- Everything until the other side ends.
function methods:read_all(options)
  return read_to_end(self, proc.now() + (options and options.timeout or self.timeout))
end

--- Every answer until the other side ends, and how it ended.
---@param options? table { methods = of the requests (list, "GET" each), timeout }
---@return table answers with `ended`: "eof", "reset" or "timeout"; `rest`: bytes that are no
---  whole answer, `err`: why they are none
function methods:answers(options)
  options = options or {}
  local deadline = proc.now() + (options.timeout or self.timeout)
  local pieces, answers = { self.buffer }, {}

  repeat
    local piece, err = proc.read(self.socket:getfd(), wait.left(deadline))
    pieces[#pieces + 1] = piece
    answers.ended = err
  until err
  if answers.ended:find("reset", 1, true) then answers.ended = "reset" end
  self.ended, self.buffer = "closed", table.concat(pieces)
  while self.buffer ~= "" do
    local rest = self.buffer
    local method = options.methods and options.methods[#answers + 1]
    local res, err = self:read_response { method = method }
    if not res then
      answers.rest, answers.err = rest, err
      return answers
    end
    answers[#answers + 1] = res
  end
  return answers
end

--- Whether the other side has ended within `seconds` and nothing came first.
function methods:is_closed(seconds)
  if self.buffer ~= "" then return false end
  local _, err = fill(self, proc.now() + (seconds or self.timeout))
  return err == "closed"
end

-- ---- writing ---------------------------------------------------------------

--- Sends all of `data`; waits while the other side does not read.
function methods:send(data, options)
  local deadline = proc.now() + (options and options.timeout or self.timeout)
  local first = 1

  while first <= #data do
    local last, err, partial = self.socket:send(data, first)
    if err and err ~= "timeout" then return nil, err end
    first = (last or partial) + 1
    if err then
      local _, writable = socket.select(nil, { self.socket }, wait.left(deadline))
      if not writable[1] then return nil, "timeout" end
    end
  end
  return true
end

--- Sends the pieces as packets of their own (Nagle's algorithm is off).
function methods:send_pieces(pieces)
  for _, piece in ipairs(pieces) do
    local ok, err = self:send(piece)
    if not ok then return nil, err end
    socket.select(nil, nil, 0.001)
  end
  return true
end

--- The bytes of a request; `headers` is a list of { name, value } or a table.
function client.format(method, path, options)
  options = options or {}
  local lines = { ("%s %s HTTP/1.1"):format(method, path), "Host: localhost" }

  for name, value in pairs(options.headers or {}) do
    if type(value) == "table" then name, value = value[1], value[2] end
    if tostring(name):lower() == "host" then lines[2] = nil end
    lines[#lines + 1] = ("%s: %s"):format(name, value)
  end
  if options.body then lines[#lines + 1] = "Content-Length: " .. #options.body end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (options.body or "")
end

--- Sends one request and reads its answer.
---@param options? table { headers, body, timeout }
function methods:request(method, path, options)
  local ok, err = self:send(client.format(method, path, options), options)
  if not ok then return nil, err end
  return self:read_response { method = method, timeout = options and options.timeout }
end

for _, method in ipairs { "get", "post", "put", "patch", "delete", "options", "head" } do
  methods[method] = function(self, path, options)
    return self:request(method:upper(), path, options)
  end
end

--- Sends all requests ({ method, path, options }) in one go, reads all answers.
function methods:pipeline(requests)
  local bytes, answers = {}, {}

  for i, request in ipairs(requests) do bytes[i] = client.format(table.unpack(request)) end
  local ok, err = self:send(table.concat(bytes))
  if not ok then return nil, err end
  for i, request in ipairs(requests) do
    answers[i], err = self:read_response { method = request[1] }
    if not answers[i] then return nil, err, answers end
  end
  return answers
end

--- Ends our direction only.
function methods:half_close()
  assert(self.socket:shutdown "send")
end

--- Ends with RST instead of FIN.
function methods:reset()
  assert(self.socket:setoption("linger", { on = true, timeout = 0 }))
  self:close()
end

function methods:close()
  self.socket:close()
end

local Connection = { __name = "spec.connection", __index = methods, __close = methods.close }

local function open(options)
  if options.unix then return assert(unix()), options.unix end
  local is_v6 = options.host and options.host:find(":", 1, true)
  return assert((is_v6 and socket.tcp6 or socket.tcp4)()), options.host or "127.0.0.1"
end

--- A connected LuaSocket object as one of these connections.
---@param options? table { timeout (10), unix }
function client.adopt(sock, options)
  options = options or {}
  if not options.unix then assert(sock:setoption("tcp-nodelay", true)) end
  sock:settimeout(0)
  return setmetatable({ socket = sock, buffer = "", timeout = options.timeout or 10 }, Connection)
end

--- Connects.
---@param options table { host ("127.0.0.1"), port } or { unix = path }; timeout (10),
---  receive_buffer (bytes, small to make a slow reader), from (an address of this machine)
function client.connect(options)
  local sock, address = open(options)
  local timeout = options.timeout or 10

  if options.receive_buffer then
    assert(sock:setoption("recv-buffer-size", options.receive_buffer))
  end
  if options.from then assert(sock:bind(options.from, 0)) end
  sock:settimeout(timeout)
  local ok, err = sock:connect(address, options.port)
  if not ok then
    sock:close()
    error(("connecting to %s %s: %s"):format(address, options.port or "", err), 2)
  end
  return client.adopt(sock, options)
end

return client
