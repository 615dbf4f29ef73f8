---@meta luaqueduct.core.db
-- luacheck: ignore 212 241

--- What `aq.db.open` makes databases with.
---@class luaqueduct.core.db
---@field Database table the methods of databases
---@field Session table the methods of sessions
local core = {}

--- A connection of one's own. Suspends the task until there is one.
---@async
---@param db luaqueduct.Database
---@return luaqueduct.DatabaseSession? session
---@return luaqueduct.DatabaseError? err
function core.acquire(db) end

--- Suspends the task until the transaction is committed; nothing cancels it.
---@async
---@param session luaqueduct.DatabaseSession
---@return true? ok
---@return luaqueduct.DatabaseError? err
function core.commit(session) end

--- How many rows a copy was, once the server has all of it. Suspends the task until then.
---@async
---@param copy userdata
---@return integer? rows
---@return luaqueduct.DatabaseError? err
function core.copy_finish(copy) end

--- Begins a copy to the server; the session is the copy's from then on. Suspends the task until it
--- begins.
---@async
---@param session luaqueduct.DatabaseSession
---@param sql string
---@return userdata? copy
---@return luaqueduct.DatabaseError? err
function core.copy_in(session, sql) end

--- The error of a database that is closed, for who still waits.
---@return nil
---@return luaqueduct.DatabaseError err
---@nodiscard
function core.closed() end

--- The chunks of a copy one by one, for `next`; the session is the stream's from then on.
---@param session luaqueduct.DatabaseSession
---@param sql string
---@return userdata? stream
---@return luaqueduct.DatabaseError? err
function core.copy_out(session, sql) end

--- Hands bytes over. Suspends the task while the server is slow.
---@async
---@param copy userdata
---@param bytes string
---@return boolean? wanted whether the server takes more
---@return luaqueduct.DatabaseError? err it has not got them
function core.copy_write(copy, bytes) end

--- Whether the server has a transaction open there.
---@param session luaqueduct.DatabaseSession
---@return boolean
---@nodiscard
function core.is_in_transaction(session) end

--- Ends a session that was nested: the statements are sent and not awaited, and the outer session
--- goes on. A second call does nothing.
---@param session luaqueduct.DatabaseSession
---@param ... string
function core.leave(session, ...) end

--- A session on the same connection; the outer one is suspended.
---@param session luaqueduct.DatabaseSession
---@return luaqueduct.DatabaseSession
---@nodiscard
function core.nest(session) end

--- The next row or chunk; nil at the end. Raises what has failed. Suspends the task until it has
--- come.
---@async
---@param stream userdata
---@return table|string? row
function core.next(stream) end

--- The next notification on this connection; nil when it is lost. Suspends the task until then.
---@async
---@param session luaqueduct.DatabaseSession
---@return string? channel
---@return string? payload
function core.notification(session) end

--- Gives a connection back, whatever is under way there. A second call does nothing.
---@param session luaqueduct.DatabaseSession
---@param has_changed? boolean whether it is to be made as new
function core.release(session, has_changed) end

--- Any number of statements. Suspends the task until all have run.
---@async
---@param session luaqueduct.DatabaseSession
---@param sql string
---@return true? ok
---@return luaqueduct.DatabaseError? err
function core.script(session, sql) end

--- Nobody waits for the answer.
---@param session luaqueduct.DatabaseSession
---@param sql string
function core.send(session, sql) end

--- Rows one by one; the session is the stream's from then on. Suspends the task until it begins.
---@async
---@param session luaqueduct.DatabaseSession
---@param sql string
---@param ... any
---@return userdata? stream
---@return luaqueduct.DatabaseError? err
function core.stream(session, sql, ...) end

--- A database from options that have been checked: all of them are there.
---@param options luaqueduct.DatabaseOptions
---@return luaqueduct.Database
---@nodiscard
function core.open(options) end

--- Databases: `aq.db`.
---@class luaqueduct.db
local db = {}

--- A link: errors of the database that the client has brought about, and that no handler has taken,
--- become answers. What exists already (23505) is 409; what refers to nothing (23503) and values
--- that are malformed (22P02) are 400.
---@param req luaqueduct.Request
---@return luaqueduct.Request
function db.http_errors(req) end

--- Opens a database: connects when there is something to ask.
---@param options luaqueduct.DatabaseOptions
---@return luaqueduct.Database
---@nodiscard
function db.open(options) end

--- What `aq.db.open` can be told.
---@class luaqueduct.DatabaseOptions
---@field url string `postgres://user:password@host:5432/database`; the rest is libpq's default
---@field size? integer connections at most; 4 unless given
---@field shared? boolean one pool for the whole runtime instead of one in each worker
---@field query_timeout? number seconds, from when the server can begin; 30 unless given
---@field acquire_timeout? number seconds in line for a connection; 5 unless given
---@field connect_timeout? number seconds; 5 unless given
---@field max_waiting? integer in line at most; 10,000 unless given
---@field prepare? boolean whether statements are kept prepared; `false` behind pgbouncer
---@field statement_cache? integer how many, on each connection; 256 unless given
---@field null? boolean whether NULL in a row is `aq.null` instead of absent

--- What a transaction can be told.
---@class luaqueduct.TransactionOptions
---@field isolation? "read committed"|"repeatable read"|"serializable" the server's unless given
---@field retry? integer how often it is run again when it could not be serialized; 0 unless given

--- An error of the database: `code` is the SQLSTATE, or one of the runtime's own.
---@class luaqueduct.DatabaseError: luaqueduct.Error
---@field detail? string
---@field hint? string
---@field schema? string
---@field table? string
---@field column? string
---@field constraint? string
---@field position? integer in the statement, from 1 on
---@field where? string

--- Rows in order, an `aq.array`; `affected` says how many a statement has touched.
---@class luaqueduct.Rows
---@field affected integer

--- How a pool is doing.
---@class luaqueduct.DatabaseStats
---@field size integer connections at most
---@field open integer
---@field idle integer
---@field busy integer
---@field waiting integer in line
---@field queries integer so far
---@field errors integer queries that have failed
---@field reconnects integer how often the server came back

--- A database: connections that are opened as needed. It is closed when it is collected, and when
--- its worker ends.
---
--- ```lua
--- local db = aq.db.open { url = os.getenv "DATABASE_URL" }
--- local row, err = db:one("select name from users where id = $1", req.params.id)
--- ```
---@class luaqueduct.Database
local Database = {}

--- Statements that are sent at once and run in one transaction: all or none.
--- Suspends the task until all have their answers.
---@async
---@param items any[][] each `{ sql, … }`
---@return luaqueduct.Rows[]? results
---@return luaqueduct.DatabaseError? err
function Database:batch(items) end

--- Closes its connections; what is under way fails with `closed`. A second call does nothing.
function Database:close() end

--- The first row; nil without an error when there is none.
--- Suspends the task until the answer is there.
---@async
---@param sql string with `$1`, `$2` … for the parameters
---@param ... any
---@return table? row
---@return luaqueduct.DatabaseError? err
function Database:one(sql, ...) end

--- All rows. Suspends the task until the answer is there.
---@async
---@param sql string with `$1`, `$2` … for the parameters
---@param ... any
---@return luaqueduct.Rows? rows
---@return luaqueduct.DatabaseError? err
function Database:query(sql, ...) end

--- How its pool is doing.
---@return luaqueduct.DatabaseStats
---@nodiscard
function Database:stats() end

--- The first value of the first row; nil without an error when there is none.
--- Suspends the task until the answer is there.
---@async
---@param sql string with `$1`, `$2` … for the parameters
---@param ... any
---@return any value
---@return luaqueduct.DatabaseError? err
function Database:value(sql, ...) end

--- Copies from the app into a table: `copy t from stdin`. Returns how many rows it was. An error in
--- `next_chunk` undoes it. Suspends the task until the server has all of it.
---@async
---@param sql string
---@param next_chunk async fun(): string? nil: it was the last
---@return integer? rows
---@return luaqueduct.DatabaseError? err
function Database:copy_in(sql, next_chunk) end

--- The chunks of `copy t to stdout`, one by one: `for chunk in db:copy_out(sql) do … end`. Raises
--- what fails. Suspends the task for each chunk that has not come.
---@async
---@param sql string
---@return async fun(): string? next
---@return userdata copy
---@return nil
---@return userdata closing
function Database:copy_out(sql) end

--- The rows of a query, one by one: `for row in db:each(sql, ...) do … end`. They come as they are
--- asked for, on a connection of its own. Raises what fails. Suspends the task for each row that
--- has not come.
---@async
---@param sql string
---@param ... any
---@return async fun(): table? next
---@return userdata stream
---@return nil
---@return userdata closing
function Database:each(sql, ...) end

--- Runs `fn(payload)` for each notification on the channel, in a task of its own, one after
--- another. Suspends the task until the server has confirmed. A connection that is lost is made
--- again; what is sent meanwhile is not heard.
---@async
---@param channel string
---@param fn async fun(payload: string)
---@return luaqueduct.DatabaseSubscription? subscription
---@return luaqueduct.DatabaseError? err
function Database:listen(channel, fn) end

--- Sends a notification; in a transaction it goes out with the commit. Suspends the task until the
--- server has it.
---@async
---@param channel string
---@param payload? string
---@return true? ok
---@return luaqueduct.DatabaseError? err
function Database:notify(channel, payload) end

--- Runs `fn(session)` with a connection of its own, on which statements may change the session;
--- it is made as new afterwards. Suspends the task until it is over.
---@async
---@param fn async fun(session: luaqueduct.DatabaseSession): any
---@return any ... what `fn` has returned, or nil and an error
function Database:session(fn) end

--- Runs `fn(tx)` in a transaction on a connection of its own and commits when it returns. When its
--- first result is nil and its second is not, or when it raises, everything is rolled back.
--- Suspends the task until it is over.
---@async
---@param fn async fun(tx: luaqueduct.DatabaseSession): any
---@param options? luaqueduct.TransactionOptions
---@return any ... what `fn` has returned, or nil and an error
function Database:transaction(fn, options) end

--- A connection of one's own: a session, or a transaction in it. Once it is over, using it raises.
---@class luaqueduct.DatabaseSession
local Session = {}

--- Statements that are sent at once and run in one transaction: all or none.
--- Suspends the task until all have their answers.
---@async
---@param items any[][] each `{ sql, … }`
---@return luaqueduct.Rows[]? results
---@return luaqueduct.DatabaseError? err
function Session:batch(items) end

--- The first row; nil without an error when there is none.
--- Suspends the task until the answer is there.
---@async
---@param sql string with `$1`, `$2` … for the parameters
---@param ... any
---@return table? row
---@return luaqueduct.DatabaseError? err
function Session:one(sql, ...) end

--- All rows. Suspends the task until the answer is there.
---@async
---@param sql string with `$1`, `$2` … for the parameters
---@param ... any
---@return luaqueduct.Rows? rows
---@return luaqueduct.DatabaseError? err
function Session:query(sql, ...) end

--- The first value of the first row; nil without an error when there is none.
--- Suspends the task until the answer is there.
---@async
---@param sql string with `$1`, `$2` … for the parameters
---@param ... any
---@return any value
---@return luaqueduct.DatabaseError? err
function Session:value(sql, ...) end

--- Copies from the app into a table: `copy t from stdin`. Returns how many rows it was. An error in
--- `next_chunk` undoes it. Suspends the task until the server has all of it.
---@async
---@param sql string
---@param next_chunk async fun(): string? nil: it was the last
---@return integer? rows
---@return luaqueduct.DatabaseError? err
function Session:copy_in(sql, next_chunk) end

--- The chunks of `copy t to stdout`, one by one: `for chunk in tx:copy_out(sql) do … end`. Raises
--- what fails. Suspends the task for each chunk that has not come.
---@async
---@param sql string
---@return async fun(): string? next
---@return userdata copy
---@return nil
---@return userdata closing
function Session:copy_out(sql) end

--- The rows of a query, one by one, on this connection, which is not to be used until the loop is
--- over. Raises what fails. Suspends the task for each row that has not come.
---@async
---@param sql string
---@param ... any
---@return async fun(): table? next
---@return userdata stream
---@return nil
---@return userdata closing
function Session:each(sql, ...) end

--- Sends a notification; in a transaction it goes out with the commit. Suspends the task until the
--- server has it.
---@async
---@param channel string
---@param payload? string
---@return true? ok
---@return luaqueduct.DatabaseError? err
function Session:notify(channel, payload) end

--- Runs any number of statements, without parameters, in one go. Suspends the task until all have
--- run.
---@async
---@param sql string
---@return true? ok
---@return luaqueduct.DatabaseError? err
function Session:script(sql) end

--- Runs `fn(tx)` in a transaction on this connection; in a transaction, in a savepoint. This
--- session is not to be used until it is over. Suspends the task until then.
---@async
---@param fn async fun(tx: luaqueduct.DatabaseSession): any
---@param options? luaqueduct.TransactionOptions
---@return any ... what `fn` has returned, or nil and an error
function Session:transaction(fn, options) end

--- What hears a channel; a <close> variable ends it.
---@class luaqueduct.DatabaseSubscription
local Subscription = {}

--- Ends it. A second call does nothing.
function Subscription:cancel() end

return core
