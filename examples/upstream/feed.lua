--- The service of the example: one connection to the upstream for the whole runtime. What comes is
--- republished on the hub; after a failure it connects anew.

local aq = require "luaqueduct"
local Feed = aq.service()

--- Raises when the connection has ended, or nothing has come for 10 s.
local function follow(upstream, on_reading)
  local conn <close> = assert(aq.tcp.connect(upstream.host, upstream.port))

  assert(conn:write "GET /readings HTTP/1.0\r\n\r\n") -- to an old client it streams bare lines
  repeat until assert(conn:read("line", 10)) == "" -- the head
  aq.log.info "the upstream is there"
  while true do
    local room, degrees = assert(conn:read("line", 10)):match "^(%a+) ([%d.]+)$"
    if room then on_reading(room, tonumber(degrees)) end
  end
end

function Feed:prepare(upstream)
  self.rooms = {}

  aq.spawn(function()
    while true do
      local _, err = pcall(follow, upstream, function(room, degrees)
        self.rooms[room] = degrees
        aq.hub.publish("reading", { room = room, degrees = degrees })
      end)
      aq.log.warn("the upstream is away", { reason = err })
      aq.sleep(0.5)
    end
  end)
end

--- What is known by now, for workers that start.
function Feed:latest() return self.rooms end

return Feed
