--- `luaqueduct migrate` against a real server: what it applies, undoes, refuses and waits for.

local command = require "spec.support.command"
local pg = require "spec.support.postgres"
local proc = require "spec.proc"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

local NOTES = "-- up\ncreate table notes (id int primary key);\ninsert into notes values (1);\n"
  .. "-- down\ndrop table notes;\n"
local COLUMN = "-- up\nalter table notes add body text;\n-- down\nalter table notes drop body;\n"

describe("luaqueduct migrate", function()
  local postgres, dir

  setup(function() postgres = pg.start() end)
  teardown(function() postgres:close() end)

  before_each(function()
    postgres:psql "drop schema public cascade; create schema public"
    dir = command.folder()
  end)
  after_each(function() command.remove(dir) end)

  local function write(name, text)
    local file = assert(io.open(dir .. "/" .. name, "w"))
    assert(file:write(text))
    file:close()
  end

  --- Runs it in the folder of this spec.
  local function migrate(...)
    return server.run({ "migrate", ... }, { cwd = dir, env = { DATABASE_URL = postgres.url } })
  end

  --- ... which has the files.
  local function run(...)
    return migrate("--dir", ".", ...)
  end

  --- What it wrote, when all went well.
  local function done(...)
    local result = run(...)
    assert.are.same({ 0, "" }, { result.status, result.stderr })
    return result.stdout
  end

  --- What it said, when something was wrong.
  local function refused(...)
    local result = run(...)
    assert.are.equal(1, result.status)
    return result.stderr, result.stdout
  end

  --- Begins `up`; returns its process and its output once it has the lock.
  local function begin()
    local argv = { server.binary(), "migrate", "up", "--dir", dir, "--url", postgres.url }
    local first, out = assert(proc.spawn(argv, { env = command.environment() }))
    wait.till(function()
      return postgres:psql "select count(*) from pg_locks where locktype = 'advisory'" == "1"
    end, 10, "the lock")
    return first, out
  end

  local function applied()
    return postgres:psql "select string_agg(name, ' ' order by number) from luaqueduct_migrations"
  end

  it("applies what is new, in order, once", function()
    write("0002_body.sql", COLUMN)
    write("0001_notes.sql", NOTES)

    assert.are.equal("up    0001_notes\nup    0002_body\n", done "up")
    assert.are.equal("nothing to do\n", done "up")

    assert.are.equal("0001_notes 0002_body", applied())
    assert.are.equal("1|", postgres:psql "select * from notes")
    write("0003_more.sql", "-- up\ninsert into notes values (2);\n")
    assert.are.equal("up    0003_more\n", done "up")
  end)

  it("undoes the last, or as many as it is told", function()
    write("0001_notes.sql", NOTES)
    write("0002_body.sql", COLUMN)
    write("0003_empty.sql", "-- up\nselect 1;\n-- down\n")
    done "up"

    assert.are.equal("down  0003_empty\n", done "down")
    assert.are.equal("0001_notes 0002_body", applied())
    assert.are.equal("down  0002_body\ndown  0001_notes\n", done("down", "5"))
    assert.are.equal("nothing to do\n", done "down")

    assert.are.equal("", postgres:psql "select to_regclass('notes')")
    assert.are.equal("up    0001_notes\nup    0002_body\nup    0003_empty\n", done "up")
  end)

  it("undoes nothing when one of them cannot be undone", function()
    write("0001_notes.sql", "-- up\ncreate table notes (id int);\n")
    write("0002_body.sql", COLUMN)
    done "up"

    assert.matches("0001_notes.sql: has no line `%-%- down`", (refused("down", "2")))
    assert.are.equal("0001_notes 0002_body", applied())
  end)

  it("tells what is applied and what is pending, and changes nothing", function()
    write("0001_notes.sql", NOTES)
    assert.matches("^0001_notes +pending\n$", done "status")
    assert.are.equal("", postgres:psql "select to_regclass('luaqueduct_migrations')")

    done "up"
    write("0002_body.sql", COLUMN)

    assert.matches("^0001_notes +applied 20%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d UTC\n"
      .. "0002_body +pending\n$", done "status")
  end)

  it("names file and line of what fails, and leaves nothing of that file", function()
    write("0001_notes.sql", NOTES)
    write("0002_wrong.sql", "-- up\ncreate table other ();\n\nalter table notes\n"
      .. "  add é text,\n  add body nosuch;\n")

    local err, out = refused "up"

    assert.are.equal('luaqueduct: ./0002_wrong.sql:6: type "nosuch" does not exist (42704)\n', err)
    assert.are.equal("up    0001_notes\n", out)
    assert.are.equal("0001_notes", applied())
    assert.are.equal("", postgres:psql "select to_regclass('other')")
  end)

  it("passes on what the server says beside", function()
    write("0001_notes.sql", "-- up\ncreate table notes (id int primary key);\n"
      .. "insert into notes values (1), (1);\n")

    assert.are.equal("luaqueduct: ./0001_notes.sql:3: duplicate key value violates unique "
      .. 'constraint "notes_pkey" (23505)\n  detail: Key (id)=(1) already exists.\n',
      (refused "up"))
  end)

  it("takes a failing commit for a failure", function()
    write("0001_notes.sql", "-- up\ncreate table notes (id int primary key, parent int references "
      .. "notes deferrable initially deferred);\ninsert into notes values (1, 2);\n")

    assert.matches("^luaqueduct: %./0001_notes.sql: .*violates foreign key.*%(23503%)",
      (refused "up"))
    assert.are.equal("", applied())
    assert.are.equal("", postgres:psql "select to_regclass('notes')")
  end)

  it("refuses a history that was edited, and says where", function()
    write("0001_notes.sql", NOTES)
    done "up"
    write("0001_notes.sql", NOTES .. "-- a word more\n")
    local message = "luaqueduct: ./0001_notes.sql: was changed after it had been applied\n"

    for _, action in ipairs { "up", "down", "status" } do
      assert.are.equal(message, (refused(action)))
    end
    assert.are.equal("0001_notes", applied())
  end)

  it("refuses files that come too late, or are gone", function()
    write("0002_notes.sql", NOTES)
    done "up"
    write("0001_late.sql", "-- up\nselect 1;\n")
    assert.matches("0001_late.sql: comes before 0002_notes.sql", (refused "up"))
    assert.matches("0001_late.sql: comes before 0002_notes.sql", (refused "status"))

    os.remove(dir .. "/0001_late.sql")
    os.rename(dir .. "/0002_notes.sql", dir .. "/0003_notes.sql")
    assert.matches("0002_notes.sql: was applied, and is not there any more", (refused "up"))
  end)

  it("runs without a transaction what cannot have one", function()
    write("0001_notes.sql", NOTES)
    write("0002_index.sql", "-- no transaction\n-- up\ncreate index concurrently i on notes (id);\n"
      .. "begin; create table other (); commit;\n-- down\ndrop index concurrently i;\n")

    assert.are.equal("up    0001_notes\nup    0002_index\n", done "up")

    assert.are.equal("i|other", postgres:psql "select to_regclass('i'), to_regclass('other')")
    assert.are.equal("down  0002_index\n", done "down")
    assert.are.equal("", postgres:psql "select to_regclass('i')")
  end)

  it("does not count what failed without a transaction", function()
    write("0001_notes.sql", "-- up\n-- no transaction\ncreate table notes ();\nnonsense;\n")

    assert.matches("0001_notes.sql:4: syntax error", (refused "up"))

    assert.are.equal("", applied())
    assert.are.equal("notes", postgres:psql "select to_regclass('notes')")
  end)

  it("does not count what leaves a transaction open", function()
    write("0001_notes.sql", "-- no transaction\n-- up\nbegin;\ncreate table notes ();\n")

    assert.matches("0001_notes.sql:2: leaves a transaction open", (refused "up"))

    assert.are.equal("", applied())
    assert.are.equal("", postgres:psql "select to_regclass('notes')")
  end)

  it("names file and line of what it cannot send", function()
    for text, message in pairs { ["select '\0';"] = "SQL has no NUL in it",
      ["copy notes from stdin;"] = "copy has functions of its own" } do
      write("0001_notes.sql", "-- up\n\n" .. text .. "\n")

      assert.matches("^luaqueduct: ./0001_notes.sql:3: [^\n]*" .. message .. "[^\n]*\n$",
        (refused "up"))
    end
  end)

  it("takes functions and quotes as they stand", function()
    write("0001_all.sql", [[
-- up
create function f() returns text language plpgsql as $$
begin
  -- a semicolon; and more
  return 'it''s; fine';
end $$;
create function g() returns int begin atomic select 1; select 2; end;
create table "semi;colon" (a text default ';');
insert into "semi;colon" values (f());
]])

    done "up"

    assert.are.equal("it's; fine|2", postgres:psql 'select a, g() from "semi;colon"')
  end)

  it("keeps no setting of one file for the next", function()
    write("0001_a.sql", "-- up\ncreate schema s;\nset search_path to s;\nset role to "
      .. pg.ROLE .. ";\nset statement_timeout to '1min';\n")
    write("0002_b.sql", "-- up\ncreate table notes as select current_setting('search_path') as p,"
      .. " current_user as u, current_setting('statement_timeout') as t;\n")

    done "up"

    assert.are.equal('"$user", public|postgres|0', postgres:psql "select * from public.notes")
  end)

  it("lets a second runner wait for the first", function()
    write("0001_notes.sql", "-- up\ncreate table notes ();\nselect pg_sleep(1);\n")
    local first, out = begin()
    finally(function() proc.close(out) end)

    local second = run "up"

    assert.are.equal("waiting for another runner\nnothing to do\n", second.stdout)
    assert.are.equal(0, second.status)
    assert.are.equal(0, proc.wait(first, 10))
    assert.are.equal("up    0001_notes\n", proc.read(out, 5))
  end)

  it("is not in the way of what the first one builds concurrently", function()
    write("0001_notes.sql", NOTES)
    done "up"
    write("0002_index.sql", "-- no transaction\n-- up\nselect pg_sleep(1);\n"
      .. "create index concurrently i on notes (id);\n")
    local first, out = begin()
    finally(function() proc.close(out) end)

    assert.are.equal("waiting for another runner\nnothing to do\n", done "up")

    assert.are.equal(0, proc.wait(first, 10))
    assert.are.equal("t",
      postgres:psql "select indisvalid from pg_index where indexrelid = 'i'::regclass")
  end)

  it("leaves the lock to the next when it is killed", function()
    write("0001_notes.sql", "-- up\ncreate table notes ();\nselect pg_sleep(60);\n")
    local argv = { server.binary(), "migrate", "up", "--dir", dir, "--url", postgres.url }
    local first = assert(proc.spawn(argv, { env = command.environment(), stdout = "/dev/null" }))
    local of_it = "from pg_stat_activity where query like '%sleep(60)%' and pid <> pg_backend_pid()"
    wait.till(function() return postgres:psql("select count(*) " .. of_it) == "1" end, 10,
      "its statement")

    proc.kill(first, 9)
    proc.wait(first, 5)
    -- The server notices when it next speaks to the client; here it is told.
    postgres:psql("select pg_terminate_backend(pid) " .. of_it)
    write("0001_notes.sql", NOTES)

    assert.matches("up    0001_notes\n$", done "up")
  end)

  it("makes files for what comes next, and the folder", function()
    assert.are.equal("migrations/0001_create_notes.sql\n",
      migrate("new", "create_notes").stdout)
    assert.are.equal("migrations/0002_more.sql\n", migrate("new", "more").stdout)
    assert.are.equal("-- up\n\n-- down\n", command.read_file(dir .. "/migrations/0002_more.sql"))

    local result = migrate "up"
    assert.are.equal("luaqueduct: migrations/0001_create_notes.sql:1: there is no statement below "
      .. "`-- up`\n", result.stderr)
    assert.are.equal(1, migrate("new", "x", "--dir", "no/such/folder").status)
  end)

  it("takes the URL of the command line before that of the environment", function()
    write("0001_notes.sql", NOTES)
    local function status(url, env)
      return server.run({ "migrate", "status", "--dir", dir, table.unpack(url) },
        { env = { DATABASE_URL = env } })
    end

    assert.are.equal(0, status({ "--url", postgres.tcp_url }, "postgres://nowhere/x").status)
    assert.are.equal("luaqueduct: expected --url URL, or a URL in DATABASE_URL\n",
      status({}, false).stderr)
  end)

  it("says in one line that a URL is none", function()
    local function said(url)
      return server.run({ "migrate", "up", "--dir", dir, "--url", url }).stderr
    end

    assert.are.equal("luaqueduct: the url must begin with postgres://\n", said "host=/tmp")
    assert.are.equal("luaqueduct: the url has a port that is none\n", said "postgres://h:x/y")
  end)

  it("says why there is no server, and never the password", function()
    write("0001_notes.sql", NOTES)
    for _, url in ipairs { "postgres://locked:s3cret@127.0.0.1:1/spec", "postgres://a:s3cret@[x/b",
      (postgres.password_url:gsub(":p[^@]*@", ":s3cret@")) } do
      local result = server.run({ "migrate", "up", "--dir", dir, "--url", url })

      assert.are.equal(1, result.status)
      assert.matches("^luaqueduct: .", result.stderr)
      assert.is_nil((result.stdout .. result.stderr):find("s3cret", 1, true), result.stderr)
    end
  end)
end)
