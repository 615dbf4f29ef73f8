--- Fields of answers that would break out of their line.

local client = require "spec.support.client"
local server = require "spec.support.server"

local APP = [==[
local aq = require "luaqueduct"
local App = aq.channel()
local bad = { name = {}, value = {} }
for i, c in ipairs { "\r", "\n", "\0", "\r\nInjected: yes\r\n" } do
  bad.value[i] = "a" .. c .. "b"
  bad.name[i] = "X" .. c .. "Y"
end
local function tries()
  local list = {}
  local function try(fn) list[#list + 1] = fn end
  for _, value in ipairs(bad.value) do
    try(function() return aq.ok("", { ["X-A"] = value }) end)
    try(function() return aq.ok("", { ["X-A"] = { "fine", value } }) end)
    try(function() return aq.redirect(value) end)
    try(function() return aq.created(value, "") end)
    try(function() return aq.ok(""):set_cookie("k", value) end)
    try(function() return aq.ok(""):set_cookie("k", "v", { path = value }) end)
    try(function() return aq.stream(function() end, { ["X-A"] = value }) end)
  end
  for _, name in ipairs(bad.name) do
    try(function() return aq.ok("", { [name] = "a" }) end)
    try(function() return aq.ok(""):set_cookie(name, "a") end)
  end
  return list
end
function App:on_error(req, err)
  if tostring(err):find "header" then return aq.ok("told of it") end
end
function App:entry_point()
  local router = aq.router()
  router:get("/made", function()
    local raised, all = 0, tries()
    for _, fn in ipairs(all) do if not pcall(fn) then raised = raised + 1 end end
    return ("%d of %d"):format(raised, #all)
  end)
  router:get("/value/:i", function(req)
    local res = aq.ok "x"
    res.headers["X-A"] = bad.value[tonumber(req.params.i)]
    return res
  end)
  router:get("/list/:i", function(req)
    local res = aq.ok "x"
    res.headers["X-A"] = { "fine", bad.value[tonumber(req.params.i)] }
    return res
  end)
  router:get("/name/:i", function(req)
    local res = aq.ok "x"
    res.headers[bad.name[tonumber(req.params.i)]] = "a"
    return res
  end)
  router:get("/stream/:i", function(req)
    local res = aq.stream(function(write) write "x" end)
    res.headers["X-A"] = bad.value[tonumber(req.params.i)]
    return res
  end)
  return router
end
return App
]==]

describe("a header of an answer", function()
  it("raises in Lua when its name or value has CR, LF or NUL", function()
    local app <close> = server.start { source = APP }

    assert.are.equal("36 of 36", app:get("/made").body)
    for _, way in ipairs { "value", "list", "name", "stream" } do
      for i = 1, 4 do
        local conn <close> = app:connect()
        conn:send(client.format("GET", ("/%s/%d"):format(way, i), {
          headers = { Connection = "close" } }))
        local answers = conn:answers()
        assert.are.same({ 1, "told of it" }, { #answers, answers[1].body }, way)
        assert.is_nil(answers[1]:header "injected")
        assert.is_nil(answers[1]:header "x-a")
      end
    end
    app:stop { status = 0 }
  end)
end)
