local command = require "spec.support.command"
local migrations = require "luaqueduct.cli.migrations"

local TEXT = "-- up\ncreate table t ();\n-- down\ndrop table t;\n"

local function texts(part)
  local list = {}
  for i, statement in ipairs(part.statements) do list[i] = statement.text end
  return list
end

local function parse(text) return assert(migrations.parse(text, "a.sql")) end

local function refused(text)
  local result, err = migrations.parse(text, "a.sql")
  assert.is_nil(result)
  return err
end

--- A migration as `load` gives it, with as little as planning needs.
local function migration(number, fields)
  local name = ("%04d_m"):format(number)
  local result = { number = number, name = name, path = "dir/" .. name .. ".sql",
    checksum = "c" .. number, up = { statements = { {} }, line = 1 }, down = { statements = {} } }
  for key, value in pairs(fields or {}) do result[key] = value or nil end
  return result
end

--- How such a migration stands in the table.
local function applied(number, fields)
  local result = { number = number, name = ("%04d_m"):format(number), checksum = "c" .. number }
  for key, value in pairs(fields or {}) do result[key] = value end
  return result
end

local function numbers(list)
  local result = {}
  for i, each in ipairs(list) do result[i] = each.number end
  return result
end

describe("luaqueduct.cli.migrations", function()
  describe("parse()", function()
    it("takes both parts", function()
      local result = parse(TEXT)

      assert.are.same({ "create table t ()" }, texts(result.up))
      assert.are.same({ "drop table t" }, texts(result.down))
      assert.is_true(result.up.in_transaction)
      assert.is_true(result.down.in_transaction)
    end)

    it("takes a file that cannot be undone, and one that does nothing", function()
      assert.is_nil(parse("-- up\nselect 1").down)
      assert.are.same({}, texts(parse("-- up\n-- down\n").up))
    end)

    it("takes the parts in any order, and Windows' lines", function()
      local result = parse "-- down\r\ndrop table t;\r\n--up\r\ncreate table t ();\r\n"

      assert.are.same({ "create table t ()" }, texts(result.up))
      assert.are.same({ "drop table t" }, texts(result.down))
    end)

    it("takes a file that begins with a byte order mark as if it had none", function()
      assert.are.same(parse(TEXT), parse("\xEF\xBB\xBF" .. TEXT))
    end)

    it("tells lines of the file", function()
      assert.are.equal(2, parse(TEXT).up.statements[1].line)
      assert.are.equal(4, parse(TEXT).down.statements[1].line)
    end)

    it("takes comments that are no marks", function()
      assert.are.same({ "select 1" },
        texts(parse("-- What it is for.\n\n-- up\n-- upwards\nselect 1;\n -- down\n").up))
    end)

    it("lets a part run without a transaction, or both", function()
      local first = parse "-- up\n-- no transaction\nselect 1;\n-- down\nselect 2;\n"
      local both = parse "-- no transaction\n-- up\nselect 1;\n-- down\nselect 2;\n"

      assert.are.same({ false, true }, { first.up.in_transaction, first.down.in_transaction })
      assert.are.same({ false, false }, { both.up.in_transaction, both.down.in_transaction })
    end)

    it("refuses what has no up, two of a kind, or statements before", function()
      assert.are.equal("a.sql:1: there is no line `-- up`", refused "")
      assert.are.equal("a.sql:3: a second line `-- up`", refused "-- up\nselect 1;\n-- up\n")
      assert.are.equal("a.sql:2: expected a line `-- up` before any statement",
        refused "\nselect 1;\n-- up\n")
    end)

    it("refuses what would end its transaction, unless there is none", function()
      for _, text in ipairs { "begin", "START TRANSACTION", "commit", "rollback", "end", "abort",
        "prepare transaction 'a'", "rollback and chain" } do
        assert.matches("^a.sql:3: `%l+` would end the migration's own transaction;",
          refused("-- up\nselect 1;\n" .. text .. ";"))
        assert.are.equal(2, #parse("-- no transaction\n-- up\nselect 1;\n" .. text).up.statements)
      end
      for _, text in ipairs { "savepoint a", "rollback to a", "release a", "prepare p as x" } do
        assert.are.equal(1, #parse("-- up\n" .. text).up.statements)
      end
    end)
  end)

  describe("checksum()", function()
    it("is that of FNV-1a", function()
      assert.are.equal("cbf29ce484222325", migrations.checksum "")
      assert.are.equal("af63dc4c8601ec8c", migrations.checksum "a")
      assert.are.equal("85944171f73967e8", migrations.checksum "foobar")
    end)

    it("differs by any character, but not by how lines end", function()
      assert.are_not.equal(parse(TEXT).checksum, parse(TEXT .. " ").checksum)
      assert.are.equal(parse(TEXT).checksum, parse((TEXT:gsub("\n", "\r\n"))).checksum)
    end)
  end)

  describe("list()", function()
    it("sorts by number, and leaves out what is no SQL", function()
      local list = assert(migrations.list { "10_c.sql", "9_b.sql", "README.md", "0001_a.sql",
        ".0002_x.sql", "0003_d.sql~" })

      assert.are.same({ 1, 9, 10 }, numbers(list))
      assert.are.equal("0001_a", list[1].name)
      assert.are.equal("0001_a.sql", list[1].file)
    end)

    it("refuses names without a number, and a number twice", function()
      for _, name in ipairs { "a.sql", "1.sql", "_a.sql", "1_.sql", "1_a b.sql", "1_a.SQL",
        ("9"):rep(30) .. "_a.sql" } do
        assert.are.same({ nil, name .. ": expected a name such as 0001_create_notes.sql" },
          { migrations.list { name } })
      end
      assert.are.same({ nil, "1_b.sql: 0001_a.sql has the same number" },
        { migrations.list { "1_b.sql", "0001_a.sql" } })
    end)
  end)

  describe("next_file()", function()
    it("counts on from the highest", function()
      assert.are.equal("0001_a.sql", migrations.next_file({}, "a"))
      assert.are.equal("0010_a.sql", migrations.next_file({ "9_x.sql", "0002_y.sql" }, "a"))
      assert.are.equal("20240102_a.sql", migrations.next_file({ "20240101_x.sql" }, "a"))
    end)

    it("refuses a folder that has strange names", function()
      assert.is_nil(migrations.next_file({ "x.sql" }, "a"))
      assert.is_nil(migrations.next_file({ math.maxinteger .. "_x.sql" }, "a"))
    end)
  end)

  describe("load()", function()
    local dir

    before_each(function() dir = command.folder() end)
    after_each(function() command.remove(dir) end)

    local function write(name, text)
      local file = assert(io.open(dir .. "/" .. name, "wb"))
      file:write(text)
      file:close()
    end

    it("reads the folder", function()
      write("0002_b.sql", TEXT)
      write("0001_a.sql", TEXT)

      local list = assert(migrations.load(dir))

      assert.are.same({ 1, 2 }, numbers(list))
      assert.are.equal("0002_b", list[2].name)
      assert.are.equal(dir .. "/0002_b.sql", list[2].path)
      assert.are.same({ "create table t ()" }, texts(list[2].up))
    end)

    it("names the file that is wrong", function()
      write("0001_a.sql", "select 1;")
      local _, message = migrations.load(dir)
      assert.are.equal(dir .. "/0001_a.sql:1: expected a line `-- up` before any statement",
        message)

      write("b.sql", TEXT)
      _, message = migrations.load(dir)
      assert.are.equal(dir .. "/b.sql: expected a name such as 0001_create_notes.sql", message)
    end)

    it("says when there is no folder, or a file that is none", function()
      assert.are.same({ nil, dir .. "/x: No such file or directory" },
        { migrations.load(dir .. "/x") })
      assert(os.execute("mkdir " .. dir .. "/0001_a.sql"))
      assert.are.same({ nil, dir .. "/0001_a.sql: cannot be read" }, { migrations.load(dir) })
    end)
  end)

  describe("check()", function()
    local list = { migration(1), migration(2) }

    it("accepts the history that was applied", function()
      assert.is_nil(migrations.check(list, {}, "dir"))
      assert.is_nil(migrations.check(list, { applied(1), applied(2) }, "dir"))
    end)

    it("names what was edited, renamed, removed", function()
      assert.are.equal("dir/0002_m.sql: was changed after it had been applied",
        migrations.check(list, { applied(1), applied(2, { checksum = "x" }) }, "dir"))
      assert.are.equal("dir/0002_m.sql: was applied under the name 0002_n.sql",
        migrations.check(list, { applied(2, { name = "0002_n" }) }, "dir"))
      assert.are.equal("dir/0003_m.sql: was applied, and is not there any more",
        migrations.check(list, { applied(3) }, "dir"))
    end)
  end)

  describe("pending()", function()
    local list = { migration(1), migration(2), migration(5) }

    it("is what has not been applied, in order", function()
      assert.are.same({ 1, 2, 5 }, numbers(migrations.pending(list, {})))
      assert.are.same({ 5 }, numbers(migrations.pending(list, { applied(1), applied(2) })))
      assert.are.same({}, migrations.pending(list, { applied(1), applied(2), applied(5) }))
    end)

    it("refuses one that comes too late", function()
      assert.are.same({ nil, "dir/0002_m.sql: comes before 0005_m.sql, which is applied: "
        .. "give it a higher number" }, { migrations.pending(list, { applied(1), applied(5) }) })
    end)

    it("refuses one without a statement", function()
      local empty = migration(6, { up = { statements = {}, line = 3 } })

      assert.are.same({ nil, "dir/0006_m.sql:3: there is no statement below `-- up`" },
        { migrations.pending({ list[1], empty }, {}) })
      assert.are.same({}, migrations.pending({ empty }, { applied(6) }))
    end)
  end)

  describe("undone()", function()
    local list = { migration(1), migration(2, { down = false }), migration(3), migration(4) }
    local all = { applied(1), applied(2), applied(3) }

    it("is the newest applied ones, newest first", function()
      assert.are.same({ 3 }, numbers(migrations.undone(list, all, 1)))
      assert.are.same({ 1 }, numbers(migrations.undone(list, { applied(1) }, 5)))
      assert.are.same({}, migrations.undone(list, {}, 1))
    end)

    it("refuses all when one of them cannot be undone", function()
      assert.are.same({ nil, "dir/0002_m.sql: has no line `-- down`, so it cannot be undone" },
        { migrations.undone(list, all, 2) })
    end)
  end)
end)
