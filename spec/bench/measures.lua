--- Figures out of the rounds: of one server, and of two compared. Pure.
--
-- A ratio is taken inside each round, then its median over the rounds. User
-- and kernel time are sums over all rounds: in one round the kernel's ticks
-- are too few.

local stats = require "spec.bench.stats"

local measures = {}

--- Microseconds of user (or "kernel") CPU a request, over all rounds.
function measures.split(point, side)
  return stats.sum(point[side]) / stats.sum(point.requests) * 1e6
end

--- How one server's metric compares with another's; nil when one is absent.
---@return table? { median, iqr, count }
function measures.ratio(metric, upper, lower)
  if not upper or not lower then return nil end
  return stats.ratio(upper[metric], lower[metric])
end

--- The same for user CPU a request: one figure, without a spread.
---@return table? { median, iqr, seconds } seconds: measured of each
function measures.user_ratio(upper, lower)
  if not upper or not lower then return nil end
  return {
    median = measures.split(upper, "user") / measures.split(lower, "user"),
    iqr = 0,
    seconds = math.min(stats.sum(upper.seconds), stats.sum(lower.seconds)),
  }
end

return measures
