---@meta luaqueduct.core.db
-- luacheck: ignore 212 241

--- What `aq.db.open` makes databases with.
---@class luaqueduct.core.db
---@field Database table the methods of databases
local core = {}

--- A database from options that have been checked: all of them are there.
---@param options luaqueduct.DatabaseOptions
---@return luaqueduct.Database
---@nodiscard
function core.open(options) end

--- Databases: `aq.db`.
---@class luaqueduct.db
---@field open fun(options: luaqueduct.DatabaseOptions): luaqueduct.Database

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

--- An error of the database: `code` is the SQLSTATE.
---@class luaqueduct.DatabaseError
---@field code string SQLSTATE, or a code of the runtime's own
---@field message string
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

return core
