--- The app of the specs of aq.tcp.connect: POST /run runs what it is sent, /with does so with a
--- connection to the peer at `port` at hand, as `conn`. A string: its source.

return [[
local aq = require "luaqueduct"
local router = aq.router()
local kept = {}

local function show(value, err)
  if value == nil and err then return "<" .. err.code .. ">" end
  return "[" .. tostring(value) .. "]"
end

local function run(req, conn)
  local env = { aq = aq, conn = conn, show = show, kept = kept, port = tonumber(req.query.port) }
  local fn = assert(load(req:body(), "=run", "t", setmetatable(env, { __index = _G })))
  return fn()
end

router:post("/run", function(req)
  return run(req)
end)
router:post("/with", function(req)
  local conn <close> = assert(aq.tcp.connect("127.0.0.1", tonumber(req.query.port)))
  return run(req, conn)
end)
return router
]]
