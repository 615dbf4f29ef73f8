--- The app that spec/c/load talks to; see load_plans.c.

local aq = require "luaqueduct"

local router = aq.router()

router:get("/", function() return "hello" end)

router:any("/wait/:id", function(req)
  aq.sleep(0.005 + (tonumber(req.params.id:match "%d") or 0) % 5 / 1000)
  return req.params.id
end)

local failures = {
  ["0"] = function() error "x" end,
  ["1"] = function() error {} end,
  ["2"] = function() error(nil) end,
  ["3"] = function() aq.sleep(0.001) error "later" end,
  ["4"] = function() return coroutine.wrap(function() error "inside" end)() end,
}
router:get("/boom/:kind", function(req) failures[req.params.kind]() end)

--- What is wrong with a request is the client's affair: not a word in the log.
router:any("/body", function(req)
  local body, err = req:body()
  return body and ("%d bytes"):format(#body) or aq.bad_request(err.code)
end)
-- The values are not sent back: JSON is UTF-8, what they sent need not be.
local function size(t)
  local count = 0
  for _ in pairs(t) do count = count + 1 end
  return count
end
router:any("/json", function(req)
  local value, err = req:json()
  return err and aq.response(422, nil, err.code) or type(value)
end)
router:any("/form", function(req)
  local form, err = req:form()
  return form and { count = size(form) } or aq.response(422, nil, err.code)
end)
router:any("/echo[/*]", function(req)
  return { headers = size(req.headers), query = size(req.query), cookies = size(req.cookies),
    host = #(req.host or ""), path = #req.path, has = req.headers["X-A"] ~= nil }
end)

router:any("/stream", function()
  return aq.stream(function(write) write "a" aq.sleep(0.001) write "b" end)
end)
local block = ("x"):rep(20000)
router:get("/endless", function()
  return aq.stream(function(write) while write(block) do end end)
end)
router:get("/later", function() aq.sleep(0.01) return block end)

--- A body of any size, counted as it comes.
router:post("/count", function(req)
  local count = 0
  for chunk in req:chunks() do count = count + #chunk end
  return tostring(count)
end)

return router
