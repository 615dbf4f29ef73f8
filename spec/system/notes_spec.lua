--- examples/notes as a client sees it, with a database behind it and without.

local json = require "luaqueduct.core.json"
local pg = require "spec.support.postgres"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

local FOLDER = "examples/notes"

describe("examples/notes", function()
  local postgres, app, conn

  setup(function()
    postgres = pg.start()
    local result = server.run { "migrate", "up", "--dir", FOLDER .. "/migrations", "--url",
      postgres.url }
    assert(result.status == 0, result.stderr)
  end)
  teardown(function() postgres:close() end)

  before_each(function()
    postgres:psql "truncate notes restart identity"
    app = server.start { app = FOLDER .. "/app.lua", env = { DATABASE_URL = postgres.url } }
    conn = app:connect()
  end)
  after_each(function()
    conn:close()
    app:stop { status = 0 }
  end)

  --- The status, what the JSON of the body is, and the response.
  local function ask(method, path, value)
    local body = value and json.encode(value) or nil
    local res = assert(conn:request(method, path, { body = body }))
    return res.status, res.body ~= "" and json.decode(res.body) or nil, res
  end

  local function add(count)
    for i = 1, count do assert.are.equal(201, (ask("POST", "/notes", { title = "note " .. i }))) end
  end

  local function ids(page)
    local list = {}
    for i, note in ipairs(page.notes) do list[i] = note.id end
    return list
  end

  it("keeps a note", function()
    local status, note, res = ask("POST", "/notes", { title = "Milk", tags = { "shop", "home" } })

    assert.are.equal(201, status)
    assert.are.equal("/notes/1", res:header "Location")
    assert.are.equal("Milk", note.title)
    assert.are.equal("", note.body)
    assert.are.same({ "shop", "home" }, { table.unpack(note.tags) })
    local found, same = ask("GET", "/notes/1")
    assert.are.equal(200, found)
    assert.are.same(note, same)
  end)

  it("changes what is sent, and nothing else", function()
    ask("POST", "/notes", { title = "Milk", body = "one litre" })

    local status, note = ask("PATCH", "/notes/1", { body = "two litres" })

    assert.are.equal(200, status)
    assert.are.equal("Milk", note.title)
    assert.are.equal("two litres", note.body)
  end)

  it("removes a note once", function()
    add(1)

    assert.are.equal(204, (ask("DELETE", "/notes/1")))
    assert.are.equal(404, (ask("DELETE", "/notes/1")))
    assert.are.equal(404, (ask("GET", "/notes/1")))
    assert.are.equal(404, (ask("PATCH", "/notes/1", { body = "x" })))
  end)

  it("gives pages one after the other, each note once", function()
    add(5)

    local _, first = ask("GET", "/notes?limit=2")
    assert.are.same({ 1, 2 }, ids(first))
    ask("DELETE", "/notes/1")
    local _, second = ask("GET", "/notes?limit=2&after=" .. first.next)
    assert.are.same({ 3, 4 }, ids(second))
    local _, last = ask("GET", "/notes?limit=2&after=" .. second.next)
    assert.are.same({ 5 }, ids(last))
    assert.is_nil(last.next)
  end)

  it("gives an empty page as a list", function()
    local _, _, res = ask("GET", "/notes")

    assert.are.equal('{"notes":[]}', res.body)
  end)

  it("finds by tag", function()
    ask("POST", "/notes", { title = "a", tags = { "x", "y" } })
    ask("POST", "/notes", { title = "b", tags = { "y" } })

    assert.are.same({ 1 }, ids(select(2, ask("GET", "/notes?tag=x"))))
    assert.are.same({ 1, 2 }, ids(select(2, ask("GET", "/notes?tag=y"))))
    assert.are.same({}, ids(select(2, ask("GET", "/notes?tag=%27%3B--"))))
  end)

  it("says which field is wrong", function()
    local function errors(value)
      local status, answer = ask("POST", "/notes", value)
      assert.are.equal(400, status)
      return answer.errors or answer.error
    end

    assert.are.same({ title = "is missing" }, errors { body = "x" })
    assert.are.same({ title = "must be a text of 1 to 200 bytes", tags = "must be a list of at "
      .. "most 20 texts of 1 to 100 bytes", color = "is not known" },
      errors { title = "", tags = { 1 }, color = 1 })
    assert.are.equal("expected an object", errors "text")
    local res = conn:request("POST", "/notes", { body = "{" })
    assert.are.equal(400, res.status)
    for _, query in ipairs { "limit=0", "limit=101", "limit=x", "after=-1", "after=x" } do
      assert.are.equal(400, (ask("GET", "/notes?" .. query)))
    end
  end)

  it("refuses what PostgreSQL could not keep", function()
    for name, value in pairs { title = "a\0b", body = "\0", tags = { "\0" } } do
      local status, answer = ask("POST", "/notes", { title = "a", [name] = value })
      assert.are.equal(400, status)
      assert.truthy(answer.errors[name])
    end
    local random = {}
    for i = 1, 5000 do random[i] = string.char(96 + i * i * 7 % 26 + i % 7) end
    assert.are.equal(400, (ask("POST", "/notes",
      { title = "a", tags = { table.concat(random) } })))
    for _, tag in ipairs { "%00", "%ff", ("x"):rep(101) } do
      assert.are.equal(400, (ask("GET", "/notes?tag=" .. tag)))
    end
    for _, body in ipairs { "false", "null", "1", "[]", "" } do
      local res = conn:request("POST", "/notes", { body = body })
      assert.are.equal(400, res.status)
      assert.is_nil(res.body:find("nil", 1, true), res.body)
    end
  end)

  it("refuses a title that is taken", function()
    add(2)

    assert.are.equal(409, (ask("POST", "/notes", { title = "note 1" })))
    assert.are.equal(409, (ask("PATCH", "/notes/2", { title = "note 1" })))
  end)

  it("knows no note of an id that cannot be", function()
    assert.are.equal(404, (ask("GET", "/notes/99999999999999999999")))
    assert.are.equal(404, (ask("GET", "/notes/0")))
    assert.are.equal(404, (ask("GET", "/notes/x")))
  end)

  it("takes any text as text", function()
    local text = "'; drop table notes; -- \\ $1 \" ü \u{1F600}"

    ask("POST", "/notes", { title = text, body = text, tags = { text } })

    local _, note = ask("GET", "/notes/1")
    assert.are.same({ text, text, text }, { note.title, note.body, note.tags[1] })
  end)

  it("streams all of them", function()
    add(120)

    local res = conn:request("GET", "/export")

    assert.are.equal("application/x-ndjson", res:header "Content-Type")
    local count = 0
    for line in res.body:gmatch "[^\n]+" do
      count = count + 1
      assert.are.equal(count, json.decode(line).id)
    end
    assert.are.equal(120, count)
  end)

  it("fails while the server is away, and works when it is back", function()
    add(1)
    postgres:kill()
    assert.are.equal(500, (ask("GET", "/notes/1")))

    postgres:start()

    wait.till(function() return ask("GET", "/notes/1") == 200 end, 10, "an answer")
  end)
end)
