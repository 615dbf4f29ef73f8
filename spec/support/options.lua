--- Command lines, parsed without a server.
--
-- Pure: no I/O. Failure: a line that is refused, or taken, against what was expected raises.

local run = require "spec.run"

local m = {}

-- The fields of the time limits and of the size limits -> their defaults.
m.SECONDS = {
  drain_timeout = 10, header_timeout = 10, idle_timeout = 75, body_timeout = 30,
  write_timeout = 30, request_timeout = 30, start_timeout = 60,
}
m.SIZES = { header_limit = 32 * 1024, body_limit = 10 * 1024 * 1024 }

--- The option of a field.
function m.option_of(field)
  return "--" .. field:gsub("_", "-")
end

function m.parse(...)
  return assert(run.parse { ... })
end

--- What `serve` with these arguments is.
function m.serve(...)
  return m.parse("serve", ...)
end

--- The one line with which these arguments are refused.
function m.refused(...)
  local options, message = run.parse { ... }

  if options then error("these arguments were taken", 2) end
  if message:find "%c" then error("more than one line: " .. message, 2) end
  return message
end

return m
