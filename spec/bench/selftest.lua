--- Before anything is measured: every server gives the same answers.
--
-- The same status, body and media type; Date, Server and Content-Length are
-- there; the connection is kept; as many pipelined requests, as many answers.
-- Failure: raises with the answer. An error page is never measured.

local socket = require "socket"

local selftest = {}

local function fail(server, path, what, got)
  error(("%s: %s: %s\n%s"):format(server.subject.name, path, what, got), 0)
end

--- One answer with its head as text and its fields by lower-case name.
local function receive(client)
  local status = assert(client:receive "*l")
  local lines, fields = { status }, {}
  for line in function() return assert(client:receive "*l") end do
    if line == "" then break end
    local name, value = line:match "^([^:]+):%s*(.-)%s*$"
    lines[#lines + 1] = line
    fields[(name or line):lower()] = value
  end
  local head = table.concat(lines, "\r\n") .. "\r\n\r\n"
  local len = tonumber(fields["content-length"])
  local body = len and assert(client:receive(len))
  return { status = status, fields = fields, body = body, bytes = #head + (len or 0), head = head }
end

--- "text/plain" of "text/plain; charset=utf-8".
local function media_type(text) return (text or ""):match "^[^;]*" end

local function check_answer(server, scenario, answer)
  local shown = answer.head .. tostring(answer.body)
  local function demand(condition, what)
    if not condition then fail(server, scenario.path, what, shown) end
  end
  demand(answer.status:find "^HTTP/1%.1 200 ", "not 200")
  if scenario.check then
    demand(scenario.check(answer.body), "another body")
  else
    demand(answer.body == scenario.body, "another body than " .. scenario.body)
  end
  demand(media_type(answer.fields["content-type"]) == media_type(scenario.type),
    "not " .. scenario.type)
  demand(answer.fields.connection ~= "close", "the connection closes")
  for _, name in ipairs { "date", "server" } do demand(answer.fields[name], "no " .. name) end
end

--- Asks twice on one connection, then a whole pipeline at once.
---@return integer bytes of an answer
function selftest.run(server, scenario)
  local client = assert(socket.connect("127.0.0.1", server.port))
  local request = ("GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n"):format(scenario.path,
    server.port)
  local bytes
  client:settimeout(5)
  for _, count in ipairs { 1, 1, math.max(scenario.depth, 2) } do
    assert(client:send(request:rep(count)))
    for _ = 1, count do
      local answer = receive(client)
      check_answer(server, scenario, answer)
      bytes = answer.bytes
    end
  end
  client:close()
  return bytes
end

--- The mask of a client: what is sent is not what is meant.
local MASK = { 0x37, 0xfa, 0x21, 0x3d }

local function masked(text)
  return (text:gsub("()(.)", function(place, char)
    return string.char(char:byte() ~ MASK[(place - 1) % 4 + 1])
  end))
end

local function upgrade(client, port, path)
  assert(client:send(("GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
    .. "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    .. "Sec-WebSocket-Version: 13\r\n\r\n"):format(path, port)))
  local lines = {}
  repeat lines[#lines + 1] = assert(client:receive "*l") until lines[#lines] == ""
  return table.concat(lines, "\r\n")
end

--- What is sent of a message, and what is to come back.
local function frames(kind, text)
  local len = string.char(#text)
  local sent = "\x81" .. string.char(0x80 | #text) .. string.char(table.unpack(MASK))
    .. masked(text)
  if kind == "tcp" then return "\0" .. len .. text, "\0" .. len .. text end
  return sent, kind == "raw" and sent or "\x81" .. len .. text
end

--- Of a server whose connections stay: two messages come back as they were, the second in two
--- pieces.
---@param kind string "tcp", "ws" or "raw", see subjects/clients.c
function selftest.echo(server, kind, path)
  local client = assert(socket.connect("127.0.0.1", server.port))
  path = path or "/"
  client:settimeout(5)
  client:setoption("tcp-nodelay", true)
  if kind == "ws" then
    local head = upgrade(client, server.port, path)
    if not head:find "^HTTP/1%.1 101 .*s3pPLMBiTxaQ9kYGzzhZRbK%+xOo=" then
      fail(server, path, "not upgraded", head)
    end
  end
  for _, piece in ipairs { 70, 1 } do
    local sent, expected = frames(kind, ("%-64s"):format("a message in pieces of " .. piece))
    assert(client:send(sent:sub(1, piece)))
    if piece < #sent then assert(client:send(sent:sub(piece + 1))) end
    local got, err, part = client:receive(#expected)
    if got ~= expected then fail(server, path, err or "another message", got or part) end
  end
  client:close()
end

return selftest
