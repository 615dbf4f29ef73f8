--- JSON: a table is answered as JSON, `req:json()` reads it, `nil, err` on bad input.
--
-- Run: luaqueduct serve -j 1 examples/json_api.lua
--
--   $ curl -si http://127.0.0.1:8888/notes
--   < 200
--   < Content-Type: application/json
--   < []
--   $ curl -si http://127.0.0.1:8888/notes -d '{"text": "buy milk"}'
--   < 201
--   < Location: /notes/1
--   $ curl -si http://127.0.0.1:8888/notes/1
--   < 200
--   < "text":"buy milk"
--   $ curl -si http://127.0.0.1:8888/notes -d '{"text": '
--   < 400
--   < "error":
--   $ curl -si http://127.0.0.1:8888/notes/2
--   < 404

local aq = require "luaqueduct"
local router = aq.router()
local notes = aq.array {} -- an array, so that it is [] while it is empty

router:get("/notes", function() return notes end)

router:get("/notes/:id(%d+)", function(req)
  return notes[tonumber(req.params.id)] or aq.not_found()
end)

router:post("/notes", function(req)
  local note, err = req:json()
  if type(note) ~= "table" then return aq.bad_request { error = tostring(err or "no object") } end
  notes[#notes + 1] = { text = note.text }
  return aq.created("/notes/" .. #notes, notes[#notes])
end)

return router
