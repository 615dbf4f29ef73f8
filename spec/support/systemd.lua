--- A stand-in for systemd: the socket that it is notified by.
--
--   local manager <close> = systemd.start()       -- or { abstract = true }
--   server.start { env = { NOTIFY_SOCKET = manager.address } }
--   manager:wait "READY=1"
--
-- A message is what sd_notify(3) sends: lines of NAME=VALUE in one datagram.

local command = require "spec.support.command"
local proc = require "spec.proc"
local wait = require "spec.support.wait"

local systemd = {}
local methods = {}

--- The next message as a table (READY = "1"); nil and "timeout" without one.
function methods:next(seconds)
  local text, err = proc.read(self.fd, seconds or 5)
  if not text then return nil, err end
  local message = { at = proc.now(), text = text }

  for name, value in text:gmatch "([%u_]+)=([^\n]*)" do message[name] = value end
  self.messages[#self.messages + 1] = message
  return message
end

--- The next message that has this line; those before it are passed over.
function methods:wait(line, seconds)
  local deadline = proc.now() + (seconds or 5)

  while true do
    local message, err = self:next(wait.left(deadline))
    if not message then
      error(("systemd has not heard %q (%s), but:\n%s"):format(line, err, self:heard()), 2)
    end
    if ("\n" .. message.text .. "\n"):find("\n" .. line .. "\n", 1, true) then return message end
  end
end

--- All that has been read up to now, as text.
function methods:heard()
  local texts = {}
  for i, message in ipairs(self.messages) do texts[i] = message.text end
  return table.concat(texts, "\n--\n")
end

local function close(self)
  if self.fd then proc.close(self.fd) end
  self.fd = nil
  if self.folder then command.remove(self.folder) end
  self.folder = nil
end

local Systemd = { __name = "spec.systemd", __index = methods, __close = close, __gc = close }

---@param options? table { abstract = true: a name without a file }
function systemd.start(options)
  local folder = command.folder()
  local address = options and options.abstract and "@" .. folder or folder .. "/notify"

  return setmetatable({ fd = assert(proc.inbox(address)), folder = folder, address = address,
    messages = {} }, Systemd)
end

return systemd
