--- Databases: PostgreSQL through a pool of connections.
--
-- What asks the server suspends the task until the answer is there; opening
-- does not wait.
-- Failure: what the server or the network refuses is nil and an error; wrong
-- arguments and options raise with the caller's place.

local core = require "luaqueduct.core.db"
local listening = require "luaqueduct.dblisten"
local place = require "luaqueduct.place"
local response = require "luaqueduct.response"

local m = {}

-- ---- options --------------------------------------------------------------------------------

local function is_seconds(value)
  return math.type(value) and value > 0 and value <= 1e9
end

local function is_count(most)
  return function(value) return math.type(value) == "integer" and value >= 1 and value <= most end
end

local function is_boolean(value)
  return type(value) == "boolean"
end

-- What each option is unless given, whether a value will do, and what it must be.
local OPTIONS = {
  url = { nil, function(value) return type(value) == "string" end, "a string" },
  size = { 4, is_count(1000), "an integer from 1 to 1000" },
  shared = { false, is_boolean, "a boolean" },
  query_timeout = { 30, is_seconds, "seconds, more than 0" },
  acquire_timeout = { 5, is_seconds, "seconds, more than 0" },
  connect_timeout = { 5, is_seconds, "seconds, more than 0" },
  max_waiting = { 10000, is_count(1 << 30), "an integer from 1 on" },
  prepare = { true, is_boolean, "a boolean" },
  statement_cache = { 256, is_count(1 << 20), "an integer from 1 on" },
  null = { false, is_boolean, "a boolean" },
}

local function check_names(options)
  for name in pairs(options) do
    if not OPTIONS[name] then
      local names = {}
      for other in pairs(OPTIONS) do names[#names + 1] = other end
      table.sort(names)
      place.raise("unknown option %s of aq.db.open; known are %s", tostring(name),
        table.concat(names, ", "))
    end
  end
end

local function read_options(options)
  if type(options) ~= "table" then
    place.raise("the options of aq.db.open must be a table, not a %s", type(options))
  end
  check_names(options)
  local result = {}
  for name, rule in pairs(OPTIONS) do
    local value = options[name]
    if value == nil then value = rule[1] end
    if not rule[2](value) then
      place.raise("option %s of aq.db.open must be %s", name, rule[3])
    end
    result[name] = value
  end
  return result
end

-- ---- connections of one's own ---------------------------------------------------------------

-- What gives a session back, unless it has been handed on.
local guard_mt = {}

function guard_mt:__close()
  if self.session then core.release(self.session, self.has_changed) end
end

--- A session that goes back with the scope; nil and an error when there is none. What holds it is
--- there first: without memory nobody would give the session back.
local function acquire(db, has_changed)
  local guard = setmetatable({ session = false, has_changed = has_changed or false }, guard_mt)
  local err

  guard.session, err = core.acquire(db)
  return guard, err
end

-- What undoes a part of a session that was left without an end.
local part_mt = {}

function part_mt:__close()
  if not self.session then return end
  core.leave(self.session, table.unpack(self.undo or {}))
end

local function check_function(what, fn)
  if type(fn) ~= "function" then
    place.raise("%s must be a function, not a %s", what, type(fn))
  end
end

-- ---- transactions ---------------------------------------------------------------------------

local LEVELS = { ["read committed"] = true, ["repeatable read"] = true, serializable = true }

-- What may go well the next time.
local TRANSIENT = { ["40001"] = true, ["40P01"] = true }

local function read_transaction_options(options)
  if options == nil then return {} end
  if type(options) ~= "table" then
    place.raise("the options of a transaction must be a table, not a %s", type(options))
  end
  for name in pairs(options) do
    if name ~= "retry" and name ~= "isolation" then
      place.raise("unknown option %s of a transaction; known are isolation, retry", tostring(name))
    end
  end
  local retry, isolation = options.retry, options.isolation
  if retry ~= nil and (math.type(retry) ~= "integer" or retry < 0) then
    place.raise "retry must be an integer from 0 on"
  end
  if isolation ~= nil and not LEVELS[isolation] then
    place.raise "isolation must be read committed, repeatable read or serializable"
  end
  return options
end

local function begin_of(options)
  return options.isolation and "begin isolation level " .. options.isolation or "begin"
end

--- Ends the part as the function's results say.
local function conclude(part, commit, results)
  if results[1] == nil and results[2] ~= nil then
    for _, statement in ipairs(part.undo) do part.session:query(statement) end
    part.undo = nil
    return nil, results[2]
  end
  local ok, err = commit(part.session)
  if not ok then return nil, err end
  part.undo = nil
  return table.unpack(results, 1, results.n)
end

--- Runs `fn` in a part of the session, between what begins it and what ends it.
local function run_part(session, fn, begin, commit, undo)
  local part <close> = setmetatable({ session = core.nest(session) }, part_mt)
  local ok, err = part.session:query(begin)

  if not ok then return nil, err end
  part.undo = undo
  return conclude(part, commit, table.pack(fn(part.session)))
end

local UNDO = { "rollback" }

local function run_in(session, fn, options)
  return run_part(session, fn, begin_of(options), core.commit, UNDO)
end

local function run_in_new(db, fn, options)
  local guard <close>, err = acquire(db)

  if not guard.session then return nil, err end
  return run_in(guard.session, fn, options)
end

local UNDO_NESTED = { "rollback to savepoint luaqueduct", "release savepoint luaqueduct" }

local function release_savepoint(session)
  return session:query "release savepoint luaqueduct"
end

--- In a transaction: a savepoint, which may hide one of the same name outside it.
local function run_nested(session, fn)
  return run_part(session, fn, "savepoint luaqueduct", release_savepoint, UNDO_NESTED)
end

local function is_transient(err)
  return type(err) == "table" and TRANSIENT[err.code] or false
end

--- Runs it again while it fails for what may go well the next time.
local function run_retried(run, retry, ...)
  for _ = 1, retry do
    local results = table.pack(pcall(run, ...))
    if results[1] and not (results[2] == nil and is_transient(results[3])) then
      return table.unpack(results, 2, results.n)
    end
    if not results[1] and not is_transient(results[2]) then error(results[2], 0) end
  end
  return run(...)
end
-- Plain Lua has neither.
local Database, Session = core.Database or {}, core.Session or {}

--- Runs `fn(tx)` in a transaction on a connection of its own and commits when it returns. When its
--- first result is nil and its second is not, or when it raises, everything is rolled back.
--- Suspends the task until it is over.
---@param fn async fun(tx: luaqueduct.DatabaseSession): any
---@param options? luaqueduct.TransactionOptions
---@return any ... what `fn` has returned, or nil and an error
function Database:transaction(fn, options)
  check_function("what runs in a transaction", fn)
  options = read_transaction_options(options)
  return run_retried(run_in_new, options.retry or 0, self, fn, options)
end

--- The same on this connection; in a transaction, a savepoint. This session is not to be used
--- until it is over. Suspends the task until then.
---@param fn async fun(tx: luaqueduct.DatabaseSession): any
---@param options? luaqueduct.TransactionOptions
---@return any ... what `fn` has returned, or nil and an error
function Session:transaction(fn, options)
  check_function("what runs in a transaction", fn)
  options = read_transaction_options(options)
  if not core.is_in_transaction(self) then
    return run_retried(run_in, options.retry or 0, self, fn, options)
  end
  if next(options) then
    place.raise "a transaction inside another one has no options: it is a savepoint"
  end
  return run_nested(self, fn)
end

--- Runs `fn(session)` with a connection of its own, on which statements may change the session;
--- it is made as new afterwards. Suspends the task until it is over.
---@param fn async fun(session: luaqueduct.DatabaseSession): any
---@return any ... what `fn` has returned, or nil and an error
function Database:session(fn)
  check_function("what runs in a session", fn)
  local guard <close>, err = acquire(self, true)

  if not guard.session then return nil, err end
  return fn(guard.session)
end

-- ---- streams --------------------------------------------------------------------------------

--- The rows of a query, one by one: `for row in db:each(sql, ...) do … end`. They come as they are
--- asked for, on a connection of its own. Raises what fails. Suspends the task for each row that
--- has not come.
---@param sql string
---@param ... any
---@return async fun(): table? next
---@return userdata stream
---@return nil
---@return userdata closing
function Database:each(sql, ...)
  local guard <close>, err = acquire(self)

  if not guard.session then error(err, 2) end
  local stream, failure = core.stream(guard.session, sql, ...)
  if not stream then error(failure, 2) end
  guard.session = nil
  return core.next, stream, nil, stream
end

--- The same on this connection, which is not to be used until the loop is over.
---@param sql string
---@param ... any
---@return async fun(): table? next
---@return userdata stream
---@return nil
---@return userdata closing
function Session:each(sql, ...)
  local part <close> = setmetatable({ session = core.nest(self) }, part_mt)
  local stream, failure = core.stream(part.session, sql, ...)

  if not stream then error(failure, 2) end
  part.session = nil
  return core.next, stream, nil, stream
end

-- ---- copies and scripts ---------------------------------------------------------------------

--- Sends what `next_chunk` gives until that is nil. Returns how many rows it was.
local function copy_in(session, sql, next_chunk)
  local part <close> = setmetatable({ session = core.nest(session) }, part_mt)
  local copy, err = core.copy_in(part.session, sql)

  if not copy then return nil, err end
  local guard <close> = copy
  part.session = nil
  for chunk in next_chunk do
    if type(chunk) ~= "string" then
      place.raise("what gives the chunks of a copy must give strings, not a %s", type(chunk))
    end
    local is_wanted, failure = core.copy_write(guard, chunk)
    if failure then return nil, failure end
    if not is_wanted then break end
  end
  return core.copy_finish(guard)
end

--- Copies from the app into a table: `copy t from stdin`. Returns how many rows it was. An error
--- in `next_chunk` undoes it. Suspends the task until the server has all of it.
---@param sql string
---@param next_chunk async fun(): string? nil: it was the last
---@return integer? rows
---@return luaqueduct.DatabaseError? err
function Session:copy_in(sql, next_chunk)
  check_function("what gives the chunks of a copy", next_chunk)
  return copy_in(self, sql, next_chunk)
end

--- The same on a connection of its own.
---@param sql string
---@param next_chunk async fun(): string? nil: it was the last
---@return integer? rows
---@return luaqueduct.DatabaseError? err
function Database:copy_in(sql, next_chunk)
  check_function("what gives the chunks of a copy", next_chunk)
  local guard <close>, err = acquire(self)

  if not guard.session then return nil, err end
  return copy_in(guard.session, sql, next_chunk)
end

local function copy_out(session, sql)
  local copy, err = core.copy_out(session, sql)

  if not copy then error(err, 3) end
  return core.next, copy, nil, copy
end

--- The chunks of `copy t to stdout`, one by one, on a connection of its own. Raises what fails.
--- Suspends the task for each chunk that has not come.
---@param sql string
---@return async fun(): string? next
---@return userdata copy
---@return nil
---@return userdata closing
function Database:copy_out(sql)
  local guard <close>, err = acquire(self)

  if not guard.session then error(err, 2) end
  local next_chunk, copy, _, closing = copy_out(guard.session, sql)
  guard.session = nil
  return next_chunk, copy, nil, closing
end

--- The same on this connection, which is not to be used until the loop is over.
---@param sql string
---@return async fun(): string? next
---@return userdata copy
---@return nil
---@return userdata closing
function Session:copy_out(sql)
  local part <close> = setmetatable({ session = core.nest(self) }, part_mt)
  local next_chunk, copy, _, closing = copy_out(part.session, sql)

  part.session = nil
  return next_chunk, copy, nil, closing
end

--- Runs any number of statements, without parameters, in one go. Suspends the task until all have
--- run.
---@param sql string
---@return true? ok
---@return luaqueduct.DatabaseError? err
function Session:script(sql)
  return core.script(self, sql)
end

-- ---- notifications --------------------------------------------------------------------------

---@type table<luaqueduct.Database, table> what each was opened with
local options_of = setmetatable({}, { __mode = "k" })
---@type table<luaqueduct.Database, table>
local listeners = setmetatable({}, { __mode = "k" })

--- Runs `fn(payload)` for each notification on the channel, in a task of its own, one after
--- another. Suspends the task until the server has confirmed. A connection that is lost is made
--- again; what is sent meanwhile is not heard.
---@param channel string
---@param fn async fun(payload: string)
---@return luaqueduct.DatabaseSubscription? subscription
---@return luaqueduct.DatabaseError? err
function Database:listen(channel, fn)
  check_function("what hears a channel", fn)
  if type(channel) ~= "string" or channel == "" or #channel > 63 or channel:find "%z" then
    place.raise "a channel must be a string of 1 to 63 bytes"
  end
  if not options_of[self] then place.raise "the database is closed" end
  listeners[self] = listeners[self] or listening.new(options_of[self])
  return listening.subscribe(listeners[self], channel, fn)
end

local NOTIFY = "select pg_notify($1, $2)"

local function notify(self, channel, payload)
  local ok, err = self:query(NOTIFY, channel, payload or "")

  if not ok then return nil, err end
  return true
end

--- Sends a notification. Suspends the task until the server has it.
---@param channel string
---@param payload? string
---@return true? ok
---@return luaqueduct.DatabaseError? err
function Database:notify(channel, payload)
  return notify(self, channel, payload)
end

--- The same on this connection; in a transaction it goes out with the commit.
---@param channel string
---@param payload? string
---@return true? ok
---@return luaqueduct.DatabaseError? err
function Session:notify(channel, payload)
  return notify(self, channel, payload)
end

local core_close = Database.close

--- Closes its connections; what is under way fails with `closed`. A second call does nothing.
function Database:close()
  core_close(self)
  options_of[self] = nil
  if listeners[self] then listening.close(listeners[self]) end
  listeners[self] = nil
end

-- ---- opening --------------------------------------------------------------------------------

--- Opens a database: connects when there is something to ask.
---@param options luaqueduct.DatabaseOptions
---@return luaqueduct.Database
function m.open(options)
  local checked = read_options(options)
  local ok, result = pcall(core.open, checked)

  if not ok then place.raise("aq.db.open: %s", result) end
  options_of[result] = checked
  return result
end

-- ---- errors as answers ----------------------------------------------------------------------

-- What a client has brought about; the words say nothing of the database.
local ANSWERS = {
  ["23505"] = { response.conflict, "it exists already" },
  ["23503"] = { response.bad_request, "it refers to what is not there" },
  ["22P02"] = { response.bad_request, "a value is malformed" },
}

local function answer_error(err)
  local answer = type(err) == "table" and ANSWERS[err.code]
  return answer and answer[1] { error = answer[2] } or nil
end

--- A link: errors of the database that the client has brought about, and that no handler has taken,
--- become answers. What exists already (23505) is 409; what refers to nothing (23503) and values
--- that are malformed (22P02) are 400.
---@param req luaqueduct.Request
---@return luaqueduct.Request
function m.http_errors(req)
  req:on_error(answer_error)
  return req
end

return m
