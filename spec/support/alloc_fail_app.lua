--- The app of the spec on allocations that fail, and how a client uses it.
--
-- A new feature adds its handler to the source, and to `exchanges` what a client does with it:
-- the spec then makes every allocation fail that the exchange asks for.

local client = require "spec.support.client"
local websocket = require "spec.support.websocket"

local m = {}

m.source = [[
local aq = require "luaqueduct"
local App = aq.channel()

function App.initialize(options)
  options.context.greeting = "hello"
  options:service("adder", "adder.lua", { first = 1 })
end
function App:prepare()
  self.greeting = self.options.context.greeting
  self.listener = aq.tcp.listen {
    port = 0,
    framing = "line",
    open = function(conn)
      conn.context.name = conn.id
      conn:subscribe "lines"
    end,
    message = function(conn, line)
      if line == "wait" then aq.sleep(0.001) end
      if line == "tell" then aq.hub.publish("lines", "told") end
      conn:send(line)
    end,
    close = function(conn, reason) aq.log.info(reason, { address = conn.remote_address }) end,
  }
end
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
  router:route("/late"):limits { request_timeout = 0.005 }:link(function(req)
    local kept <close> = setmetatable({}, { __close = function()
      aq.log.info("late", { path = req.path })
      error "in a close"
    end })
    coroutine.wrap(function() aq.sleep(10) end)()
  end)
  router:get("/shield", function()
    local one, two = aq.shield(function() aq.sleep(0.001) return 1, 2 end)
    return one .. " " .. two
  end)
  router:get("/lazy", function() return require "lazy" end)
  router:route("/large"):limits { body = "200K" }:link(function(req)
    return #req:body() .. ("x"):rep(100000)
  end)
  router:get("/hub", function()
    local got
    local subscription = aq.hub.subscribe("topic", function(value) got = value.n end)
    aq.hub.publish("topic", { n = 7 }, { include_self = true })
    for _ = 1, 20 do
      if not got then aq.sleep(0.001) end
    end
    subscription:cancel()
    return got and tostring(got) or error "the message is lost"
  end)
  router:get("/call", function()
    local adder = aq.service("adder", { timeout = 0.2 })
    assert(adder:cast("add", 1))
    return tostring(assert(adder:call("add", 2, { 3 })))
  end)
  router:get("/dial", function(req) -- the resolver knows 127.1 without asking anybody
    local conn <close> = assert(aq.tcp.connect("127.1", tonumber(req.query.port), { timeout = 1 }))
    assert(conn:write "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    local line = assert(conn:read("line", 1))
    return line == "HTTP/1.1 200 OK" and line or error(line)
  end)
  -- A server that could not be asked is away for a moment: it is asked again.
  local function query(db)
    local row = db:one("select $1::int as a, $2::text[] as b", 7, { "x" })
    local sum = row and db:transaction(function(tx)
      local one = tx:value("select $1::int", row.a)
      return one and tx:transaction(function(inner) return inner:value("select $1::int", one) end)
    end)
    local results = sum and db:batch { { "select $1::text as c", "y" }, { "select 1 as d" } }
    for streamed in db:each("select generate_series(1, $1::int) as g", results and 3 or 0) do
      sum = sum + streamed.g
    end
    return results and sum .. row.b[1] .. results[1][1].c
  end
  --- What `fn` gives, once it gives something.
  local function insist(fn, ...)
    for _ = 1, 100 do
      local ok, text = pcall(fn, ...)
      if ok and text then return text end
      aq.sleep(0.01)
    end
    error "the database does not answer"
  end
  local function open(size, shared)
    return aq.db.open { url = os.getenv "LQ_SPEC_DB", size = size, shared = shared }
  end
  router:get("/db", function()
    self.db = self.db or open(2)
    return insist(query, self.db)
  end)
  router:get("/db/shared", function()
    self.shared = self.shared or open(2, true)
    return insist(query, self.shared)
  end)
  local function ask_once()
    local db <close> = open(3, true)
    return tostring(assert(db:value "select 8"))
  end
  router:get("/db/once", function() return insist(ask_once) end)
  local function hear()
    local heard
    local sub <close> = assert(self.heard:listen("words", function(text) heard = text end))
    assert(self.heard:notify("words", "hi"))
    for _ = 1, 50 do
      if heard then return heard end
      aq.sleep(0.002)
    end
  end
  router:get("/db/listen", function()
    self.heard = self.heard or open(1)
    return insist(hear)
  end)
  local function copy()
    return self.copied:session(function(session)
      assert(session:query "create temp table if not exists c (n int)")
      local n, sum = 0, ""
      assert(session:copy_in("copy c from stdin", function()
        n = n + 1
        return n < 4 and n .. "\n" or nil
      end))
      for chunk in session:copy_out "copy c to stdout" do sum = sum .. chunk end
      return (sum:gsub("\n", ""))
    end)
  end
  router:get("/db/copy", function()
    self.copied = self.copied or open(2, true)
    return insist(copy)
  end)
  router:get("/log", function(req)
    aq.log.warn("seen", { id = req.id, list = { 1, 2 }, address = req.remote_address })
    return "logged"
  end)
  router:get("/port", function() return tostring(self.listener.port) end)
  router:get("/detach", function(req)
    local stream <close> = assert(req:detach())
    stream:write(assert(stream:read "line"))
  end)
  local function socket(takeover)
    return aq.websocket {
      deflate = { context_takeover = takeover },
      open = function(ws) assert(ws:subscribe "news") end,
      message = function(ws, data)
        if data ~= "publish" then return ws:send(data) end
        aq.sleep(0.001)
        aq.hub.publish("news", ("news "):rep(40))
        ws:publish("news", "to others")
        ws:send "published"
      end,
      close = function(ws, code) aq.sleep(0.001) aq.log.debug("closed", { code = code }) end,
    }
  end
  router:get("/socket", socket(false))
  router:get("/socket/contexts", socket(true))
  return router
end

return App
]]

--- The other files of the app.
m.files = { ["lazy.lua"] = [[
local aq = require "luaqueduct"
aq.sleep(0.002)
return "lazy"
]], ["adder.lua"] = [[
local Adder = require("luaqueduct").service()
function Adder:prepare(arg) self.first = arg.first end
function Adder:add(a, b) return self.first + a + (b and b[1] or 0) end
return Adder
]] }

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
local function ask(conn, requests)
  local texts = {}

  assert(conn:send(table.concat(requests)))
  for i = 1, #requests do
    local text, err = told(conn:read_response())
    if not text then return nil, err end
    texts[i] = text:gsub("\n", "")
  end
  return table.concat(texts, ", ")
end

local function pipeline(conn)
  return ask(conn, { client.format("GET", "/wait"), client.format("POST", "/json", { body = "[]" }),
    client.format("GET", "/nowhere") })
end

--- Two requests that run side by side want a module that takes its time.
local function lazy(conn)
  return ask(conn, { client.format("GET", "/lazy"), client.format("GET", "/lazy") })
end

--- One connection, one request after the other.
local function kept(conn)
  local first, err = told(conn:get "/")
  if not first then return nil, err end
  return told(conn:options "/json")
end

--- The client leaves while its handler waits; told is what another one hears then.
local function leave(conn, app)
  assert(conn:send(client.format("GET", "/late")))
  conn:reset()
  local other <close> = app:connect()
  return told(other:get "/")
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

--- The handler is a client of its own server.
local function dial(conn, app)
  return told(conn:get("/dial?port=" .. app.port))
end

local function detach(conn)
  assert(conn:send(client.format("GET", "/detach") .. "echo\n"))
  local text, err = conn:read_all()
  -- Nothing: the other side has ended, which it may; what else comes is whole.
  if text == "" then return nil, "closed" end
  return text and text:match "^HTTP/1.1 (%d+)" or text, err
end

--- A connection to what the app listens on; what was sent before its end is answered. A topic's
--- message may be lost.
local function listen(conn)
  local answer, err = told(conn:get "/port")
  local port = answer and answer:match "^200 (%d+)$"
  if not port then return answer, err end
  local other <close> = client.connect { host = "127.0.0.1", port = tonumber(port) }
  assert(other:send "echo\nwait\ntell\n")
  other:half_close()
  local text, read_err = other:read_all()
  if not text then return nil, read_err end
  if text == "echo\nwait\ntell\n" then return "500 lost" end
  local answers = text:gsub("told\n", "", 1)
  if answers == "echo\nwait\ntell\n" then return "all" end
  -- It has ended before, which it may; what came is whole.
  return nil, ("echo\nwait\ntell\n"):find(answers, 1, true) == 1 and "closed" or text
end

-- What a client hears of a WebSocket, or why it hears no more. A topic's message may be lost.
local function dialogue(ws)
  local text = ("It is said twice. "):rep(20)

  ws:frames({ "text", "frag", more = true }, { "ping", "between" }, { "cont", "ments" })
  local first, err = ws:message()
  if first ~= "fragments" then return first, err end
  ws:deflated(text)
  local echo, echo_err = ws:message()
  if echo ~= text then return echo, echo_err end
  ws:text "publish"
  local heard = ws:messages "published"
  if heard[1] == "published" then return "500 lost" end
  if heard[1] ~= ("news "):rep(40) or heard[2] ~= "published" then return nil, heard[#heard] end
  return (ws:bye(1000))
end

local function socket(path)
  return function(conn)
    assert(conn:send(websocket.request(path, { offer = "permessage-deflate" })))
    local head, err = conn:read_head()
    if not head then return nil, err end
    if head.status ~= 101 then return head.status .. "" end
    local text
    text, err = dialogue(websocket.adopt(conn, head))
    local ended = text or err
    if ended == "close 1011" or ended == "eof" or ended == "reset" then return nil, "closed" end
    return text, err
  end
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
  { name = "a handler that is cut off", told = "503 503 Service Unavailable\n",
    talk = get "/late" },
  { name = "a client that leaves", told = "200 ok", talk = leave },
  { name = "a task that is shielded", told = "200 1 2", talk = get "/shield" },
  { name = "a module for two", told = "200 lazy, 200 lazy", talk = lazy },
  { name = "a large body", told = "200 150000" .. ("x"):rep(100000),
    talk = post("/large", ("y"):rep(150000)) },
  { name = "a body too large", told = "413 413 Content Too Large\n",
    talk = post("/large", ("y"):rep(300000)) },
  { name = "a connection that is kept", told = "204 ", talk = kept },
  { name = "a message", told = "200 7", talk = get "/hub" },
  { name = "a call of a service", told = "200 6", talk = get "/call" },
  -- Behind most points the server has to be asked for a new connection.
  { name = "queries", told = "200 13xy", talk = get "/db", step = 30 },
  { name = "shared queries", told = "200 13xy", talk = get "/db/shared", step = 30 },
  { name = "a shared pool that comes and goes", told = "200 8", talk = get "/db/once", step = 30 },
  { name = "a notification", told = "200 hi", talk = get "/db/listen", step = 30 },
  { name = "copies", told = "200 123", talk = get "/db/copy", step = 30 },
  { name = "a connection to a server", told = "200 HTTP/1.1 200 OK", talk = dial },
  { name = "a connection to a listener", told = "all", talk = listen },
  { name = "a stream", told = "200 one two", talk = get "/stream" },
  { name = "an error", told = "500 sorry", talk = get "/error" },
  { name = "a record", told = "200 logged", talk = get "/log" },
  { name = "a path that is not there", told = "404 404 Not Found\n", talk = get "/nowhere" },
  { name = "a request that is wrong", told = "400 400 Bad Request\n", talk = broken },
  { name = "a pipeline", talk = pipeline,
    told = [[200 waited, 200 {"got":[]}, 404 404 Not Found]] },
  { name = "a WebSocket", told = "close 1000", talk = socket "/socket" },
  { name = "a WebSocket with contexts", told = "close 1000", talk = socket "/socket/contexts" },
  { name = "a detached connection", told = "echo", talk = detach },
}

return m
