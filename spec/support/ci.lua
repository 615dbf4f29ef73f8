--- Busted output handler: failures in full, then one line `N passed, N failed`.
--
-- A file that cannot be loaded and an error outside a spec count as failed.
-- Specs marked pending are named, as nobody looks at dots. LQ_VERBOSE=1 shows
-- the name and duration of each spec that takes more than 0.5 s.

local base = require "busted.outputHandlers.base"
local pretty = require "pl.pretty"

local SLOW_SECONDS = 0.5

local function message_of(entry)
  if type(entry.message) == "string" then return entry.message end
  return entry.message == nil and "error(nil)" or pretty.write(entry.message)
end

local function place_of(entry)
  local trace = entry.element.trace or entry.trace
  if not trace or not trace.short_src then return "?" end
  return ("%s:%d"):format(trace.short_src, trace.currentline or 0)
end

local function print_entry(kind, entry)
  print(("\n%s: %s\n  at %s"):format(kind, entry.name, place_of(entry)))
  print("  " .. message_of(entry):gsub("\n", "\n  "))
  local traceback = entry.trace and entry.trace.traceback
  if traceback and kind ~= "PENDING" then print("  " .. traceback:gsub("\n", "\n  ")) end
  if entry.randomseed then print("  random seed: " .. entry.randomseed) end
end

return function()
  local busted = require "busted"
  local handler = base()

  function handler.suiteEnd()
    for _, entry in ipairs(handler.pendings) do
      entry.message = entry.message or ""
      print_entry("PENDING", entry)
    end
    for _, entry in ipairs(handler.failures) do print_entry("FAILED", entry) end
    for _, entry in ipairs(handler.errors) do print_entry("ERROR", entry) end
    print(("took %.1f s"):format(handler.getDuration()))
    print(("%d passed, %d failed"):format(handler.successesCount,
      #handler.failures + #handler.errors))
    io.stdout:flush()
    return nil, true
  end

  function handler.testEnd(element)
    if os.getenv "LQ_VERBOSE" and (element.duration or 0) > SLOW_SECONDS then
      print(("%6.1f s  %s"):format(element.duration, handler.getFullName(element)))
    end
    return nil, true
  end

  busted.subscribe({ "suite", "end" }, handler.suiteEnd)
  busted.subscribe({ "test", "end" }, handler.testEnd)
  return handler
end
