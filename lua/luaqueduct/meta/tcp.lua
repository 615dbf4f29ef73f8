---@meta luaqueduct.core.tcp
-- luacheck: ignore 212 241

--- Connections to other servers, and from clients that speak no HTTP: `aq.tcp`.
---@class luaqueduct.tcp: luaqueduct.core.tcp
local aq_tcp = {}

--- Listens, with the other workers, on a port; in `prepare`. Raises when the port cannot be had.
---
--- ```lua
--- aq.tcp.listen { port = 7000, framing = "u16", message = function(conn, s) conn:send(s) end }
--- ```
---@param options luaqueduct.ListenOptions
---@return luaqueduct.Listener
function aq_tcp.listen(options) end

--- The C part of `aq.tcp`.
---@class luaqueduct.core.tcp
local tcp = {}

--- Connects to a host, whose addresses are tried one after another. Suspends the task until one
--- has answered. `err.code` is `timeout`, the system's `ECONNREFUSED`, or the resolver's
--- `EAI_NONAME`.
---
--- ```lua
--- local conn <close> = assert(aq.tcp.connect("127.0.0.1", 6379, { timeout = 2 }))
--- assert(conn:write "PING\r\n")
--- local answer, err = conn:read("line", 5)
--- ```
---@async
---@param host string an address, or a name
---@param port integer 1 to 65535
---@param options? luaqueduct.ConnectOptions
---@return luaqueduct.TcpConnection? conn
---@return luaqueduct.Error? err
function tcp.connect(host, port, options) end

--- What `aq.tcp.connect` can be told.
---@class luaqueduct.ConnectOptions
---@field timeout? number seconds for looking up the name and all addresses; 10 unless given

--- A connection to another server. It is closed when it is collected, when a <close> variable
--- ends, and when the task that has opened it fails or is cancelled. One task reads and one writes
--- at a time.
---@class luaqueduct.TcpConnection
local TcpConnection = {}

--- Closes it; what was written goes out first. A second call does nothing.
function TcpConnection:close() end

--- `n` bytes (up to 16 MiB), a line of at most 64 KiB without its end (LF, or CR LF), or what is
--- there ("some", unless given). Suspends the task until they are there; at the end `nil, err` with
--- `eof`, in time with `timeout`: what has come stays for the next call.
---@async
---@param what? integer|"line"|"some"
---@param timeout? number seconds
---@return string?
---@return luaqueduct.Error? err
function TcpConnection:read(what, timeout) end

--- Suspends the task while the other side is slow: while more than 32 KiB are unsent.
---@async
---@param bytes string
---@return true?
---@return luaqueduct.Error? err
function TcpConnection:write(bytes) end

return tcp
