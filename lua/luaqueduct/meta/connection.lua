---@meta luaqueduct.connection
-- luacheck: ignore 212 241

--- A WebSocket, or a connection to what `aq.tcp.listen` listens on.
---@class luaqueduct.Connection
---@field context table for the app
---@field id string unique in the runtime's life
---@field remote_address string of the client
local Connection = {}

--- Ends it in order: what was sent goes out first. A second call does nothing. Of a WebSocket the
--- code is 1000 unless given, and the reason at most 123 bytes of UTF-8.
---@param code? integer
---@param reason? string
function Connection:close(code, reason) end

--- Publishes as `aq.hub.publish` does, but not to this connection.
---@param topic string
---@param message string
---@param is_binary? boolean
---@return integer count of other workers and services it was queued for
function Connection:publish(topic, message, is_binary) end

--- Does not wait: true; false when more than 64 KiB stand unsent: then it is time to stop until
--- `drain`. Text of a WebSocket must be UTF-8, else it raises.
---@param data string
---@param is_binary? boolean
---@return boolean? sent
---@return luaqueduct.Error? err `closed`
function Connection:send(data, is_binary) end

--- Strings that are published to the topic are sent to it from now on; twice is once.
---@param topic string
---@return true? ok
---@return luaqueduct.Error? err `closed`
function Connection:subscribe(topic) end

--- ... no longer.
---@param topic string
function Connection:unsubscribe(topic) end

--- What `aq.websocket` can be told.
---@class luaqueduct.WebSocketOptions
---@field open? async fun(ws: luaqueduct.Connection, req: luaqueduct.Request) no `req` later
---@field message? async fun(ws: luaqueduct.Connection, data: string, is_binary: boolean)
---@field drain? async fun(ws: luaqueduct.Connection) what stood unsent has become little
---@field close? async fun(ws: luaqueduct.Connection, code: integer, reason: string) once
---@field max_message? integer|string bytes, 1M unless given; a larger one ends it with 1009
---@field max_buffered? integer|string bytes unsent, 1M unless given; more ends it with 1008
---@field ping_interval? number seconds, 30 unless given; 0: no pings
---@field deflate? boolean|luaqueduct.DeflateOptions permessage-deflate, true unless given
---@field protocols? string[] subprotocols; the client's first one that is among them
---@field origins? string[] of pages that may open one; none given: all

--- How messages are deflated.
---@class luaqueduct.DeflateOptions
---@field context_takeover? boolean a window for each connection, some 300 KiB; false unless given
---@field window_bits? integer 9 to 15

---@alias luaqueduct.EndReason "closed"|"eof"|"reset"|"idle"|"too_large"|"slow"|"error"|"stop"

--- What `aq.tcp.listen` can be told.
---@class luaqueduct.ListenOptions
---@field port integer 0: any free one
---@field address? string an IP address, 127.0.0.1 unless given
---@field framing? "raw"|"line"|"u8"|"u16"|"u32" raw unless given
---@field idle_timeout? number seconds without a byte either way; 0, unless given: no limit
---@field max_message? integer|string bytes, 1M unless given
---@field max_buffered? integer|string bytes unsent, 1M unless given
---@field open? async fun(conn: luaqueduct.Connection)
---@field message? async fun(conn: luaqueduct.Connection, data: string)
---@field drain? async fun(conn: luaqueduct.Connection)
---@field close? async fun(conn: luaqueduct.Connection, reason: luaqueduct.EndReason) once

--- What `aq.tcp.listen` returns.
---@class luaqueduct.Listener
---@field port integer the real one
---@field address string
local Listener = {}

--- Accepts no more in this worker; connections that are open stay.
function Listener:close() end

--- Figures of this worker.
---@return luaqueduct.ConnectionStats
function Listener:stats() end

--- Figures of one worker.
---@class luaqueduct.ConnectionStats
---@field open integer just now
---@field opened integer ever
---@field received integer messages
---@field sent integer messages, those on topics not counted
---@field slow integer ended as they did not take what they were sent

--- What `aq.websocket` returns: a controller.
---@class luaqueduct.WebSocketController
local WebSocketController = {}

--- Turns the request into a WebSocket, or answers why not: 400, 403 for its origin, 426. What
--- `open` does, it waits for.
---@async
---@param req luaqueduct.Request
---@return luaqueduct.Response?
function WebSocketController:handle(req) end

--- Figures of this worker.
---@return luaqueduct.ConnectionStats
function WebSocketController:stats() end
