--- What is asked of the servers: the path, how, of whom, and the right answer.
--
-- `needs`: another scenario whose figures this one's are compared with.
-- `servers`: those that take part; all unless given. Elsewhere a scenario may have a `check` of
-- the body where that differs each time, and `subjects` of its own.

local TEXT, JSON = "text/plain; charset=utf-8", "application/json"

local function scenario(fields)
  fields.connections = fields.connections or 64
  fields.depth = fields.depth or 1
  fields.type = fields.type or TEXT
  fields.body = fields.body or "Hello, World!"
  fields.path = fields.path or "/plain"
  return fields
end

local scenarios = {
  scenario { name = "plain", title = "Plain text" },
  scenario {
    name = "json",
    title = "JSON",
    path = "/json",
    type = JSON,
    body = '{"message":"Hello, World!"}',
  },
  scenario {
    name = "route",
    title = "A route with a parameter",
    path = "/users/4711",
    body = "user 4711",
    needs = "plain",
  },
  scenario { name = "pipelined", title = "Plain text, 16 pipelined", depth = 16 },
  scenario {
    name = "many",
    title = "Plain text, 256 connections",
    connections = 256,
    needs = "plain",
    servers = { "luaqueduct", "nginx" },
  },
}

for _, each in ipairs(scenarios) do scenarios[each.name] = each end

--- Those of `wanted` (a set, nil: all) and those that they need, in order.
function scenarios.select(wanted)
  local list, taken = {}, {}
  for _, each in ipairs(scenarios) do
    if not wanted or wanted[each.name] then
      taken[each.name] = true
      if each.needs then taken[each.needs] = true end
    end
  end
  for _, each in ipairs(scenarios) do
    if taken[each.name] then list[#list + 1] = each end
  end
  return list
end

return scenarios
