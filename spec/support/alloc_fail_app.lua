--- The app of the spec on allocations that fail, and how a client uses it.
--
-- A new feature adds its handler to the source, and to `exchanges` what a client does with it:
-- the spec then makes every allocation fail that the exchange asks for.

local client = require "spec.support.client"

local m = {}

m.source = [[
local aq = require "luaqueduct"
local App = aq.channel()

function App.initialize(options) options.context.greeting = "hello" end
function App:prepare() self.greeting = self.options.context.greeting end
function App:ready() aq.log.debug "ready" end
function App:close() aq.sleep(0.001) end

function App:entry_point()
  local router = aq.router()

  router:get("/", function() return "ok" end)
  router:get("/life", function()
    return aq.instance.generation .. " " .. aq.instance.restarts
  end)
  router:get("/end", function() aq.instance:stop() return "ending" end)
  router:get("/hello/:name", function(req)
    return ("%s %s %s %s %s"):format(self.greeting, req.params.name, req.query.x,
      req.headers["x-field"], req.cookies.a)
  end)
  router:post("/json", function(req) return { got = assert(req:json()) } end)
  router:post("/form", function(req) return assert(req:form()).b end)
  router:post("/chunks", function(req)
    local count = 0
    for chunk in req:chunks() do count = count + #chunk end
    return tostring(count)
  end)
  router:get("/wait", function()
    aq.sleep(0.001)
    return aq.ok("waited", { ["X-Waited"] = "1" })
  end)
  router:get("/all", function()
    local one, two = aq.all(
      function() aq.sleep(0.001) return 1 end,
      function() return coroutine.wrap(function() aq.sleep(0.001) return 2 end)() end
    )
    return one .. " " .. two
  end)
  router:get("/spawn", function()
    aq.spawn(function() aq.sleep(0.001) error "of a task that nobody awaits" end)
    aq.spawn(function() coroutine.yield() end)
    return "spawned"
  end)
  router:get("/stream", function()
    return aq.stream(function(write)
      write "one "
      aq.sleep(0.001)
      write "two"
    end)
  end)
  router:get("/error", function(req)
    local kept <close> = setmetatable({}, { __close = function() aq.log.info "closed" end })
    req:on_error(function() return aq.server_error "sorry" end)
    error { "a table" }
  end)
  router:get("/log", function(req)
    aq.log.warn("seen", { id = req.id, list = { 1, 2 }, address = req.remote_address })
    return "logged"
  end)
  router:get("/detach", function(req)
    local stream <close> = assert(req:detach())
    stream:write(assert(stream:read "line"))
  end)
  return router
end

return App
]]

-- What a client makes of an answer: its status and body, or why there is none.
local function told(res, err)
  if res then return res.status .. " " .. res.body end
  return nil, err
end

local function get(path, options)
  return function(conn) return told(conn:get(path, options)) end
end

local function post(path, body)
  return function(conn) return told(conn:post(path, { body = body })) end
end

--- The answers to several requests that were sent at once.
local function pipeline(conn)
  local texts = {}

  assert(conn:send(client.format("GET", "/wait") .. client.format("POST", "/json", { body = "[]" })
    .. client.format("GET", "/nowhere")))
  for i = 1, 3 do
    local text, err = told(conn:read_response())
    if not text then return nil, err end
    texts[i] = text:gsub("\n", "")
  end
  return table.concat(texts, ", ")
end

--- A body that comes in pieces, behind a wait for "100 Continue".
local function chunks(conn)
  assert(conn:send(client.format("POST", "/chunks",
    { headers = { ["Transfer-Encoding"] = "chunked", Expect = "100-continue" } })))
  local interim, err = conn:read_response()
  if not interim then return nil, err end
  if interim.status ~= 100 then return told(interim) end
  conn:send_pieces { "5\r\nabc", "de\r\n3\r\nfgh\r\n", "0\r\n\r\n" }
  return told(conn:read_response())
end

local function broken(conn)
  assert(conn:send "GET / HTTP/1.1\r\nHost: a\r\nBad Field: 1\r\n\r\n")
  return told(conn:read_response())
end

local function detach(conn)
  assert(conn:send(client.format("GET", "/detach") .. "echo\n"))
  local text, err = conn:read_all()
  -- Nothing: the other side has ended, which it may; what else comes is whole.
  if text == "" then return nil, "closed" end
  return text and text:match "^HTTP/1.1 (%d+)" or text, err
end

--- What is told when nothing fails, by the name of the exchange.
m.exchanges = {
  { name = "a GET", told = "200 hello you 1 f b",
    talk = get("/hello/you?x=1", { headers = { ["X-Field"] = "f", Cookie = "a=b" } }) },
  { name = "a POST with JSON", told = [[200 {"got":{"a":[1,2.5,null,"\u0001"]}}]],
    talk = post("/json", [[{"a":[1,2.5,null,"\u0001"]}]]) },
  { name = "a POST with a form", told = "200 2 3", talk = post("/form", "a=1&b=2+3&a=%41") },
  { name = "a body in chunks", told = "200 8", talk = chunks },
  { name = "a handler that waits", told = "200 waited", talk = get "/wait" },
  { name = "tasks that are awaited", told = "200 1 2", talk = get "/all" },
  { name = "tasks that fail alone", told = "200 spawned", talk = get "/spawn" },
  { name = "a stream", told = "200 one two", talk = get "/stream" },
  { name = "an error", told = "500 sorry", talk = get "/error" },
  { name = "a record", told = "200 logged", talk = get "/log" },
  { name = "a path that is not there", told = "404 404 Not Found\n", talk = get "/nowhere" },
  { name = "a request that is wrong", told = "400 400 Bad Request\n", talk = broken },
  { name = "a pipeline", talk = pipeline,
    told = [[200 waited, 200 {"got":[]}, 404 404 Not Found]] },
  { name = "a detached connection", told = "echo", talk = detach },
}

return m
