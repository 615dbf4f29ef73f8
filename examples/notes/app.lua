--- Notes: a JSON API over PostgreSQL, with pages, checked input and errors that say what is wrong.
--
-- Run: export DATABASE_URL=postgres:///notes
--      luaqueduct migrate up --dir examples/notes/migrations
--      luaqueduct serve examples/notes/app.lua

local aq = require "luaqueduct"
local input = require "input"

local App = aq.channel()

local COLUMNS = "id, title, body, tags, created_at, updated_at"

function App:prepare()
  self.db = aq.db.open { url = self.options.context.url or os.getenv "DATABASE_URL" }
end

--- Pages go by the last id that was seen: what is inserted or deleted meanwhile shifts none.
local function list(db, req)
  local page, refusal = input.page(req)
  if not page then return refusal end
  local rows = assert(db:query("select " .. COLUMNS .. " from notes where id > $1 "
    .. "and ($2::text is null or tags @> array[$2]) order by id limit $3",
    page.after, page.tag, page.limit + 1))

  local has_more = #rows > page.limit
  if has_more then rows[#rows] = nil end
  return { notes = rows, next = has_more and rows[#rows].id or nil }
end

local function create(db, req)
  local note, refusal = input.note(req, { "title" })
  if not note then return refusal end
  local row = assert(db:one("insert into notes (title, body, tags) "
    .. "values ($1, coalesce($2, ''), coalesce($3, '{}'::text[])) returning " .. COLUMNS,
    note.title, note.body, note.tags))
  return aq.created("/notes/" .. row.id, row)
end

--- The first row of a query for one note: 404 without one.
local function answer_one(row, err)
  if err then error(err, 0) end
  return row or aq.not_found { error = "there is no such note" }
end

local function show(db, req)
  return answer_one(db:one("select " .. COLUMNS .. " from notes where id = $1",
    input.id(req.params.id)))
end

--- Changes what the body has, leaves the rest.
local function change(db, req)
  local note, refusal = input.note(req, {})
  if not note then return refusal end
  return answer_one(db:one("update notes set title = coalesce($2, title), "
    .. "body = coalesce($3, body), tags = coalesce($4, tags), updated_at = now() "
    .. "where id = $1 returning " .. COLUMNS,
    input.id(req.params.id), note.title, note.body, note.tags))
end

local function remove(db, req)
  local rows = assert(db:query("delete from notes where id = $1", input.id(req.params.id)))
  return rows.affected == 1 and aq.no_content() or aq.not_found { error = "there is no such note" }
end

--- All notes at once, streamed: a line of JSON each.
local function export(db)
  return aq.stream(function(write)
    for row in db:each("select " .. COLUMNS .. " from notes order by id") do
      write(aq.json.encode(row) .. "\n")
    end
  end, { ["Content-Type"] = "application/x-ndjson" })
end

function App:entry_point()
  local router = aq.router()

  local function with_db(handler)
    return function(req) return handler(self.db, req) end
  end
  router:link(aq.db.http_errors) -- a title that is taken: 409
  router:get("/notes", with_db(list))
  router:post("/notes", with_db(create))
  router:get("/notes/:id(%d+)", with_db(show))
  router:patch("/notes/:id(%d+)", with_db(change))
  router:delete("/notes/:id(%d+)", with_db(remove))
  router:get("/export", with_db(export))
  return router
end

return App
