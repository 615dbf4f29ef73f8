--- `luaqueduct migrate`: changes a database by numbered SQL files, one transaction each.
--
-- What has been applied stands in the table luaqueduct_migrations, beside its checksum. Runners
-- are kept apart by an advisory lock, which goes with its connection. migrations.lua says what a
-- file may hold and what is to be done; this file does it, and says so on standard output.
-- Suspends the task while the database works.
-- Failure: a message; what was applied before it stays.

local core = require "luaqueduct.core.db"
local folder = require "luaqueduct.core.folder"
local migrations = require "luaqueduct.cli.migrations"
local sql = require "luaqueduct.cli.sql"
local task = require "luaqueduct.core.task"

local m = {}

local LOCK = 0x6c75617165647563 -- of all runners, in each database
local LOCK_PAUSE = 0.2 -- seconds

local TABLE = [[
create table if not exists %s (
  number bigint primary key,
  name text not null,
  checksum text not null,
  applied_at timestamptz not null default now()
)]]

local PATIENCE = 1e9 -- seconds: indexes take long

local TEMPLATE = "-- up\n\n-- down\n"

local function say(format, ...)
  io.stdout:write(format:format(...), "\n")
  io.stdout:flush()
end

-- ---- the database ------------------------------------------------------------------------

--- Ends the run; `attempt` makes it a message.
local function fail(message)
  error({ message = message }, 0)
end

local function text_of(err)
  if type(err) ~= "table" then return tostring(err) end
  local lines = { ("%s (%s)"):format(err.message, err.code) }
  for _, name in ipairs { "detail", "hint" } do
    if err[name] then lines[#lines + 1] = ("  %s: %s"):format(name, err[name]) end
  end
  return table.concat(lines, "\n")
end

--- A query that is ours, not the user's.
local function ask(session, query, ...)
  local rows, err = session:query(query, ...)
  if not rows then fail(text_of(err)) end
  return rows
end

--- The table's name with its schema: a migration may change where names are looked up.
local function table_name(session)
  local row = ask(session, "select quote_ident(current_schema()) as name")[1]
  if not row.name then fail "there is no schema to keep luaqueduct_migrations in" end
  return row.name .. ".luaqueduct_migrations"
end

local function read_applied(session, name)
  if not ask(session, "select to_regclass($1)::text as name", name)[1].name then return {} end
  return ask(session, "select number, name, checksum, to_char(applied_at at time zone 'UTC', "
    .. "'YYYY-MM-DD HH24:MI:SS') as applied_at from " .. name .. " order by number")
end

local function try_lock(session)
  return ask(session, "select pg_try_advisory_lock($1) as ours", LOCK)[1].ours
end

--- One runner at a time; the others wait here. They ask again and again: a statement that waited in
--- the server would be in the way of the first one's `create index concurrently`, which waits for
--- all that run.
local function lock(session)
  if try_lock(session) then return end
  say "waiting for another runner"
  repeat task.sleep(LOCK_PAUSE) until try_lock(session)
end

--- What was raised, without the place where.
local function without_place(err)
  return (tostring(err):gsub("^%S+:%d+: ", ""))
end

--- Runs a file's statements; raises with file and line.
local function run_statements(session, migration, part)
  for _, statement in ipairs(part.statements) do
    local was_sent, rows, err = pcall(session.query, session, statement.text)
    if not was_sent then
      fail(("%s:%d: %s"):format(migration.path, statement.line, without_place(rows)))
    elseif not rows then
      fail(("%s:%d: %s"):format(migration.path, sql.line_at(statement, err.position),
        text_of(err)))
    end
  end
  -- What it has set is not for the next one.
  ask(session, "reset session authorization")
  ask(session, "reset all")
end

--- What it begins it must end: what is recorded in an open transaction is not recorded.
local function run_bare(session, migration, part, record)
  run_statements(session, migration, part)
  if core.is_in_transaction(session) then
    fail(("%s:%d: leaves a transaction open, which is rolled back"):format(migration.path,
      part.line))
  end
  record()
end

--- `record` runs behind the statements, in their transaction if there is one.
local function run_part(session, migration, part, record)
  if not part.in_transaction then return run_bare(session, migration, part, record) end
  ask(session, "begin")
  local done, err = pcall(function()
    run_statements(session, migration, part)
    record()
  end)
  if not done then
    session:query "rollback"
    error(err, 0)
  end
  local rows, why = session:query "commit"
  if not rows then fail(("%s: %s"):format(migration.path, text_of(why))) end
end

local function open(options)
  local url = options.url or os.getenv "DATABASE_URL"
  if not url or url == "" then fail "expected --url URL, or a URL in DATABASE_URL" end
  local is_open, db = pcall(require("luaqueduct.db").open, { url = url, size = 1, prepare = false,
    query_timeout = PATIENCE })
  if not is_open then fail((tostring(db):gsub("^.*aq%.db%.open: ", ""))) end
  return db
end

--- Runs `fn(session)` on a connection of its own.
local function with_session(options, fn)
  local db <close> = open(options)
  local done, err = db:session(function(session)
    fn(session)
    return true
  end)
  if not done then fail(text_of(err)) end
end

-- ---- the commands ------------------------------------------------------------------------

local function load(dir)
  local list, err = migrations.load(dir)
  if not list then fail(err) end
  return list
end

--- What a step that may fail has returned.
local function need(value, err)
  if not value then fail(err) end
  return value
end

--- Runs `fn(session, name, list, applied)` with the lock, when the history is the one applied.
local function with_history(options, fn)
  local list = load(options.dir)
  with_session(options, function(session)
    local name = table_name(session)
    lock(session)
    ask(session, TABLE:format(name))
    local applied = read_applied(session, name)
    local err = migrations.check(list, applied, options.dir)
    if err then fail(err) end
    fn(session, name, list, applied)
  end)
end

local commands = {}

function commands.up(options)
  with_history(options, function(session, name, list, applied)
    local pending = need(migrations.pending(list, applied))
    for _, migration in ipairs(pending) do
      run_part(session, migration, migration.up, function()
        ask(session, "insert into " .. name .. " (number, name, checksum) values ($1, $2, $3)",
          migration.number, migration.name, migration.checksum)
      end)
      say("up    %s", migration.name)
    end
    if #pending == 0 then say "nothing to do" end
  end)
end

function commands.down(options)
  local count = math.tointeger(tonumber(options.argument or 1))
  with_history(options, function(session, name, list, applied)
    local undone = need(migrations.undone(list, applied, count))
    for _, migration in ipairs(undone) do
      run_part(session, migration, migration.down, function()
        ask(session, "delete from " .. name .. " where number = $1", migration.number)
      end)
      say("down  %s", migration.name)
    end
    if #undone == 0 then say "nothing to do" end
  end)
end

--- Changes nothing, waits for nobody.
function commands.status(options)
  local list = load(options.dir)
  with_session(options, function(session)
    local applied, at = read_applied(session, table_name(session)), {}
    for _, row in ipairs(applied) do at[row.number] = row.applied_at end
    for _, migration in ipairs(list) do
      local time = at[migration.number]
      say("%-40s  %s", migration.name, time and "applied " .. time .. " UTC" or "pending")
    end
    local err = migrations.check(list, applied, options.dir)
      or select(2, migrations.pending(list, applied))
    if err then fail(err) end
  end)
end

function commands.new(options)
  local dir = options.dir
  local made, err = folder.make(dir)
  if not made then fail(("%s: %s"):format(dir, err)) end
  local names = need(folder.list(dir))
  local path = dir .. "/" .. need(migrations.next_file(names, options.argument))
  local file = need(io.open(path, "w"))
  need(file:write(TEMPLATE))
  need(file:close())
  say("%s", path)
end

--- Runs one command.
---@param options table { action, argument?, dir, url? }
---@return string message empty when all went well
function m.run(options)
  local done, err = xpcall(commands[options.action], function(err)
    if type(err) == "table" and err.message then return tostring(err.message) end
    return debug.traceback(tostring(err), 2)
  end, options)
  return done and "" or err
end

return m
