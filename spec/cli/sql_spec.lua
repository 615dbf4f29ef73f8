local sql = require "luaqueduct.cli.sql"

--- The statements' texts.
local function split(text)
  local texts = {}
  for i, statement in ipairs(sql.split(text)) do texts[i] = statement.text end
  return texts
end

--- What no semicolon in it ends: the statement is whole, and the next one is found.
local function is_one(text)
  assert.are.same({ text, "select 2" }, split(text .. "; select 2;"))
end

describe("luaqueduct.cli.sql", function()
  describe("split()", function()
    it("takes statements apart at their semicolons", function()
      assert.are.same({ "select 1", "select 2" }, split "select 1;\nselect 2;\n")
      assert.are.same({ "select 1", "select 2" }, split " select 1 ;select 2 ")
    end)

    it("finds none in what is empty", function()
      for _, text in ipairs { "", " \n", ";;", "-- only this", "/* ; */", "-- a;\n;" } do
        assert.are.same({}, split(text))
      end
    end)

    it("leaves strings and names whole", function()
      is_one "select ';'"
      is_one "select 'it''s; so'"
      is_one [[select ';\', 1]]
      is_one [[select e'\';', 1]]
      is_one [[select E'\\', 1]]
      is_one [[select name'\', 1]]
      is_one [[select '\' as e, ';']]
      is_one 'select 1 as "a;""b"'
      is_one [[select U&'d\0061t;', B'01', x'1F']]
    end)

    it("leaves dollar quotes whole", function()
      is_one "do $$ begin perform 1; end $$"
      is_one "do $a$ select $b$;$$;$b$; $a$"
      is_one "select $1, a$b, 1"
      is_one "select $täg$ ; $täg$"
    end)

    it("leaves comments whole", function()
      is_one "select 1 -- not; here\n + 1"
      is_one "select 1 /* not; /* nor; */ here; */ + 1"
      is_one "select 2 */ 1" -- wrong, but the server says so
      is_one "select 4 / 2 - -1"
    end)

    it("leaves out what stands between statements", function()
      assert.are.same({ "select 1", "select 2" }, split "-- a\nselect 1; /* b */ -- c;\nselect 2")
    end)

    it("leaves parentheses whole", function()
      is_one "create rule r as on insert to t do also (select 1; select 2)"
    end)

    it("leaves the bodies of begin atomic whole", function()
      is_one [[create function f() returns int begin atomic select 1; select case when true
        then 2 else 3 end; end]]
      is_one "create or replace procedure p() begin atomic insert into t values (1); end"
    end)

    it("takes begin by itself for what it is", function()
      assert.are.same({ "begin", "drop table t", "end" }, split "begin; drop table t; end;")
    end)

    it("takes what never ends as the last one", function()
      for _, rest in ipairs { "select 'a; b", 'select "a; b', "do $$ a; b", "select (1; 2",
        "select e'\\" } do
        assert.are.same({ "select 1", rest }, split("select 1; " .. rest))
      end
      assert.are.same({ "select 1" }, split "select 1; /* a; /* b; */")
    end)

    it("ends wherever a text is cut (no position is passed twice)", function()
      local text = "select e'\\'', $a$;$a$, \"b\" /* ; /**/ */ -- c\n, (1); do $$ x $$;"
      for i = 0, #text do assert.is_true(#sql.split(text:sub(1, i)) <= 2) end
    end)

    it("takes a long text in a time that grows with its length only", function()
      local count = 50000
      local begun = os.clock()

      local list = sql.split(("insert into t values (1, 'a text of some length');\n"):rep(count))

      assert.are.equal(count, #list)
      assert.are.equal(count, list[count].line)
      assert.is_true(os.clock() - begun < 20)
    end)

    it("tells the line and the first words, in lower case", function()
      local list = sql.split("\n-- a\nCreate OR replace VIEW v AS select 1;\n\n\n  Commit", 10)

      assert.are.equal(12, list[1].line)
      assert.are.same({ "create", "or", "replace", "view" }, list[1].words)
      assert.are.equal(15, list[2].line)
      assert.are.same({ "commit" }, list[2].words)
    end)
  end)

  describe("line_at()", function()
    local statement = sql.split("\nselect 'ää',\n  nothing", 1)[1]

    it("is the line of a character", function()
      assert.are.equal(2, sql.line_at(statement, 1))
      assert.are.equal(2, sql.line_at(statement, 12))
      assert.are.equal(3, sql.line_at(statement, 15))
    end)

    it("is that of the statement when there is no position, or one outside", function()
      assert.are.equal(2, sql.line_at(statement))
      assert.are.equal(3, sql.line_at(statement, 999))
    end)
  end)
end)
