--- aq.db: queries, types both ways, errors; against a real server.

local database = require "spec.support.database"
local json = require "luaqueduct.core.json"

for _, workers in ipairs { 1, 4 } do
  describe(("aq.db with %d workers"):format(workers), function()
    local site

    setup(function() site = database.start { workers = workers, options = "size = 2" } end)
    teardown(function() site:stop() end)

    local function run(code)
      return site:run(code)
    end

    local function raised(code)
      return site:raised(code)
    end

    describe("query()", function()
      it("returns rows with their columns by name, and how many it has touched", function()
        local rows, affected, length = run [[
          local rows = db:query "select g as id, 'n' || g as name from generate_series(1, 3) g"
          return rows, rows.affected, #rows]]

        assert.are.same({ { id = 1, name = "n1" }, { id = 2, name = "n2" },
          { id = 3, name = "n3" } }, rows)
        assert.are.equal(3, affected)
        assert.are.equal(3, length)
      end)

      it("is a JSON array also when it is empty", function()
        assert.are.equal("[]", (run "return aq.json.encode(db:query 'select 1 where false')"))
      end)

      it("says how many rows insert, update and delete have touched", function()
        assert.are.same({ 0, 3, 2, 1 }, { run [[
          db:query "drop table if exists touched"
          return db:query("create table touched (a int)").affected,
            db:query("insert into touched values (1), (2), (3)").affected,
            db:query("update touched set a = 0 where a > $1", 1).affected,
            db:query("delete from touched where a = 1").affected]] })
      end)

      it("takes nil anywhere", function()
        assert.are.same({ { a = 1, c = 3 } },
          (run "return db:query('select $1::int a, $2::int b, $3::int c', 1, nil, 3)"))
        assert.are.same({ { a = 1 } },
          (run "return db:query('select $1::int a, $2::int b', 1, nil)"))
        assert.is_true((run "return db:value('select $1::int is null', aq.null)"))
      end)

      it("raises when another number of parameters is given", function()
        assert.truthy(raised "db:query('select $1::int', 1, 2)"
          :find("has 1 parameters, and 2 are given", 1, true))
        assert.truthy(raised "db:query('select $1::int + $2', 1)"
          :find("has 2 parameters, and 1 are given", 1, true))
      end)

      it("raises for values that no parameter can be", function()
        assert.truthy(raised "db:query('select $1::text', print)"
          :find("a function cannot be parameter 1", 1, true))
        assert.truthy(raised "db:query('select $1::int[]', { 1, print })"
          :find("a function cannot be in an array", 1, true))
      end)
    end)

    describe("one() and value()", function()
      it("return the first row and the first value", function()
        assert.are.same({ id = 7, name = "x" },
          (run "return db:one('select $1::int id, $2::text as name', 7, 'x')"))
        assert.are.equal(42, (run "return db:value('select $1::int', 42)"))
      end)

      it("return nil without an error when there is no row", function()
        assert.are.same({ "<nil>", 1, "<nil>", 1 }, { run [[
          local a = table.pack(db:one "select 1 where false")
          local b = table.pack(db:value "select 1 where false")
          return a[1], a.n, b[1], b.n]] })
      end)
    end)

    describe("types", function()
      --- One value there and back.
      local function echo(type, value)
        return (run(("return db:value('select $1::%s', %s)"):format(type, value)))
      end

      it("integers are integers, up to their ends", function()
        for type, values in pairs {
          smallint = { -32768, 32767 }, integer = { -2147483648, 2147483647, 0 },
          bigint = { math.mininteger, math.maxinteger, -1 },
        } do
          for _, value in ipairs(values) do
            assert.are.equal(value, echo(type, ("%d"):format(value):gsub("^-9223372036854775808$",
              "math.mininteger")))
          end
        end
        assert.are.equal("integer", (run "return math.type(db:value('select 1::bigint'))"))
        assert.are.equal(3, echo("int", "3.0"))
      end)

      it("floats are floats, also the special ones", function()
        assert.are.equal(0.1, echo("float8", "0.1"))
        assert.are.equal(1e308, echo("float8", "1e308"))
        assert.are.equal("float", (run "return math.type(db:value('select 1::float8'))"))
        assert.are.equal("inf", echo("float8", "1/0"))
        assert.are.equal("-inf", echo("float4", "-1/0"))
        assert.is_true((run "local v = db:value('select $1::float8', 0/0) return v ~= v"))
      end)

      it("bool is a boolean, numeric a string", function()
        assert.is_true(echo("bool", "true"))
        assert.is_false(echo("bool", "false"))
        assert.are.equal("1.50", echo("numeric", "'1.50'"))
        assert.are.equal("12345678901234567890.5", echo("numeric", "'12345678901234567890.5'"))
        assert.are.equal("7", echo("numeric", "7"))
      end)

      it("json and jsonb are values", function()
        assert.are.same({ a = { 1, { b = "c" } } }, echo("jsonb", "{ a = { 1, { b = 'c' } } }"))
        assert.are.same({ 1, 2 }, echo("json", "{ 1, 2 }"))
        assert.are.same({ x = 1 }, echo("json", [['{"x":1}']]))
        assert.are.equal(5, echo("jsonb", "5"))
        assert.is_true(echo("jsonb", "true"))
        assert.is_true((run "return db:value [[select 'null'::jsonb]] == aq.null"))
        assert.are.equal("[]", (run "return aq.json.encode(db:value [[select '[]'::jsonb]])"))
        assert.are.equal(math.maxinteger,
          (run "return db:value [[select '9223372036854775807'::jsonb]]"))
      end)

      it("arrays are lists, nested ones too, with aq.null for NULL", function()
        assert.are.same({ 1, 2, 3 }, echo("int[]", "{ 1, 2, 3 }"))
        assert.are.same({ { 1, 2 }, { 3, 4 } }, echo("int[]", "{ { 1, 2 }, { 3, 4 } }"))
        assert.are.same({ 1, json.null, 3 }, echo("int[]", "{ 1, aq.null, 3 }"))
        assert.are.same({ 'a"b', "c\\d", "", "NULL", "x,y}" },
          echo("text[]", [[{ 'a"b', 'c\\d', '', 'NULL', 'x,y}' }]]))
        assert.are.same({ true, false }, echo("bool[]", "{ true, false }"))
        assert.are.equal("[]", (run "return aq.json.encode(db:value('select $1::int[]', {}))"))
        assert.are.same({ { a = 1 }, { b = 'x"y' } },
          echo("jsonb[]", [[{ { a = 1 }, { b = 'x"y' } }]]))
        assert.are.same({ 5, 6 }, (run "return db:value [[select '[2:3]={5,6}'::int[] ]]"))
        assert.are.same({ "(1,1),(0,0)", "(2,2),(1,1)" },
          (run "return db:value [[select '{(1,1),(0,0);(2,2),(1,1)}'::box[] ]]"))
      end)

      it("bytea is a string of any bytes", function()
        assert.is_true((run [[
          local bytes = {}
          for i = 0, 255 do bytes[#bytes + 1] = string.char(i) end
          bytes = table.concat(bytes)
          local back = db:value("select $1::bytea", bytes)
          local list = db:value("select $1::bytea[]", { bytes, "" })
          return back == bytes and list[1] == bytes and list[2] == ""]]))
        assert.are.equal(3, (run [[return db:value("select length($1::bytea)", "a\0b")]]))
      end)

      it("text with a NUL is an error of the server, not a cut string", function()
        local value, err = run [[return db:value("select $1::text", "a\0b")]]
        assert.are.equal("<nil>", value)
        assert.are.equal("22021", err.code)

        value, err = run [[return db:value("select $1::date", "a\0b")]]
        assert.are.equal("<nil>", value)
        assert.are.equal("invalid", err.code)
      end)

      it("times, uuids and others are the server's text", function()
        assert.are.equal("2024-02-29", echo("date", "'2024-02-29'"))
        assert.are.equal("2024-02-29 12:00:00.5", echo("timestamp", "'2024-02-29 12:00:00.5'"))
        assert.are.equal("infinity", echo("timestamptz", "'infinity'"))
        assert.are.equal("6ecd8c99-4036-403d-bf84-cf8400f67836",
          echo("uuid", "'6ecd8c99-4036-403d-bf84-cf8400f67836'"))
        assert.are.equal("10.0.0.0/8", echo("cidr", "'10.0.0.0/8'"))
      end)

      it("dates are ISO whatever the server's style is", function()
        site.postgres:psql "alter role all set datestyle = 'German'"
        local date = run [[
          local other <close> = open()
          return other:value "select date '2024-02-29'"]]
        site.postgres:psql "alter role all reset datestyle"

        assert.are.equal("2024-02-29", date)
      end)

      it("enums are strings, domains their base type, in arrays too", function()
        run [[
          db:query "drop type if exists mood cascade"
          db:query "drop domain if exists few cascade"
          db:query "drop domain if exists tags cascade"
          db:query "create type mood as enum ('sad', 'ok')"
          db:query "create domain few as int check (value < 10)"
          db:query "create domain tags as text[]"]]

        assert.are.equal("ok", echo("mood", "'ok'"))
        assert.are.same({ "sad", "ok" }, echo("mood[]", "{ 'sad', 'ok' }"))
        assert.are.equal(5, echo("few", "5"))
        assert.are.same({ 1, 2 }, echo("few[]", "{ 1, 2 }"))
        assert.are.same({ "a", "b" }, echo("tags", "{ 'a', 'b' }"))
      end)

      it("NULL is absent, or aq.null when the database is opened so", function()
        assert.are.same({ a = 1 }, (run "return db:one 'select 1 a, null::int b'"))
        assert.is_true((run [[
          local other <close> = open { null = true }
          local row = other:one "select 1 a, null::int b"
          return row.b == aq.null and other:value "select null" == aq.null]]))
      end)
    end)

    describe("batch()", function()
      it("returns the rows of each statement", function()
        assert.are.same({ { { a = 5 } }, { { b = "x" }, { b = "y" } }, {} }, (run [[
          return db:batch { { "select $1::int a", 5 },
            { "select unnest($1::text[]) b", { "x", "y" } }, { "select 1 where false" } }]]))
        assert.are.same({}, (run "return db:batch {}"))
      end)

      it("is one transaction", function()
        local result, err, left = run [[
          db:query "drop table if exists batched"
          db:query "create table batched (a int primary key)"
          local result, err = db:batch { { "insert into batched values ($1)", 1 },
            { "insert into batched values ($1)", 2 }, { "insert into batched values ($1)", 1 },
            { "insert into batched values ($1)", 3 } }
          return result, err, db:value "select count(*) from batched"]]

        assert.are.equal("<nil>", result)
        assert.are.equal("23505", err.code)
        assert.are.equal(0, left)
      end)
    end)

    describe("errors", function()
      it("carry what the server says", function()
        run [[
          db:query "drop table if exists taken"
          db:query "create table taken (id int constraint one_id primary key)"
          db:query "insert into taken values (1)"]]
        local result, err = run "return db:query('insert into taken values ($1)', 1)"

        assert.are.equal("<nil>", result)
        assert.are.equal("23505", err.code)
        assert.are.equal("taken", err.table)
        assert.are.equal("one_id", err.constraint)
        assert.are.equal("Key (id)=(1) already exists.", err.detail)
        assert.truthy(err.message:find("duplicate key value", 1, true))

        result, err = run "return db:query 'select nothing from taken'"
        assert.are.equal("<nil>", result)
        assert.are.equal("42703", err.code)
        assert.are.equal(8, err.position)
      end)

      it("do not touch the queries beside them", function()
        local results = run [[
          local fns = {}
          for i = 1, 40 do
            fns[i] = function()
              if i % 4 == 0 then return (select(2, db:value("select 1 / $1::int", 0))).code end
              return db:value("select $1::int", i)
            end
          end
          return aq.all(fns)]]

        for i = 1, 40 do assert.are.equal(i % 4 == 0 and "22012" or i, results[i]) end
      end)

      it("raise for statements that need a connection of their own", function()
        for statement, part in pairs {
          ["begin"] = "transaction", [" /* x */ COMMIT"] = "transaction",
          ["-- c\nrollback"] = "transaction", ["savepoint a"] = "transaction",
          ["set search_path = x"] = "session", ["listen x"] = "session",
          ["create temp table t (a int)"] = "session", ["discard all"] = "session",
          ["copy taken from stdin"] = "copy_in",
        } do
          assert.truthy(raised(("db:query %q"):format(statement)):find(part, 1, true), statement)
        end
      end)

      it("raise for options that are unknown or wrong", function()
        assert.truthy(raised "open { sise = 1 }":find("unknown option sise", 1, true))
        assert.truthy(raised "open { size = 0 }":find("size", 1, true))
        assert.truthy(raised "aq.db.open { url = 'mysql://x' }":find("postgres://", 1, true))
        assert.truthy(raised "aq.db.open {}":find("url", 1, true))
      end)

      it("never show the password of a URL", function()
        for _, url in ipairs { "postgres://u:s3cr3t@h:bad:port/db", "postgres://u:s3cr3t@h/db?no=1",
          "postgres://u:s3cr3t%zz@h/db", "postgres://u:s3cr3t@[::1/db" }
        do
          local message = raised(("aq.db.open { url = %q }"):format(url))
          assert.is_string(message)
          assert.is_nil(message:find("s3cr3t", 1, true), message)
        end
        assert.is_nil(site.app:log():find("s3cr3t", 1, true))
      end)
    end)

    describe("http_errors", function()
      it("turns errors that the client has brought about into answers", function()
        run [[
          db:query "drop table if exists part"
          db:query "drop table if exists whole"
          db:query "create table whole (id int primary key)"
          db:query "create table part (id int references whole (id))"
          db:query "insert into whole values (1)"]]

        for _, how in ipairs { "raised", "returned" } do
          local function status(sql, value)
            return site.app:get(("/fail?%s&sql=%s&value=%s"):format(how, sql:gsub(" ", "%%20"),
              value)).status
          end

          assert.are.equal(409, status("insert into whole values ($1)", "1"))
          assert.are.equal(400, status("insert into part values ($1)", "7"))
          assert.are.equal(400, status("insert into part values ($1)", "x"))
          assert.are.equal(500, status("insert into nowhere values ($1)", "1"))
          assert.are.equal(200, status("select $1::text", "1"))
        end
      end)
    end)

    describe("close()", function()
      it("ends what is under way with closed, and what comes later raises", function()
        assert.are.same({ "closed", true }, { run [[
          local other = open { size = 1 }
          local code
          local task = aq.spawn(function()
            local value, err = other:query "select pg_sleep(30)"
            code = err.code
          end)
          while other:stats().busy == 0 do aq.sleep(0.005) end
          other:close()
          other:close()
          while not code do aq.sleep(0.005) end
          return code, not pcall(other.query, other, "select 1")]] })
      end)
    end)
  end)
end
