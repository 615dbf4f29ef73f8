--- wrk's side: pipelines, and one line of figures at the end.
--
-- Run: wrk -s spec/bench/wrk.lua URL -- DEPTH
--
-- luacheck: globals wrk init request done

function init(args)
  local depth = tonumber(args[1])
  if depth > 1 then
    local requests = wrk.format("GET"):rep(depth)
    request = function() return requests end
  end
end

function done(summary, latency)
  local e = summary.errors
  print(("figures %d %d %d %d %d"):format(summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
