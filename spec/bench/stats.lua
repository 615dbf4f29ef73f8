--- Medians and spreads of lists of numbers. Pure.

local stats = {}

--- The value below which the fraction `part` of a sorted list lies.
local function at(sorted, part)
  local place = 1 + (#sorted - 1) * part
  local low = math.floor(place)
  local high = math.min(low + 1, #sorted)
  return sorted[low] + (sorted[high] - sorted[low]) * (place - low)
end

---@param list number[] at least one
---@return table { median, iqr, count } iqr: the third quartile less the first
function stats.summary(list)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  return {
    median = at(sorted, 0.5),
    iqr = at(sorted, 0.75) - at(sorted, 0.25),
    count = #sorted,
  }
end

--- The summary of `upper[i] / lower[i]`, pair by pair.
---@return table? nil where nothing can be divided
function stats.ratio(upper, lower)
  local list = {}
  for i = 1, math.min(#upper, #lower) do
    if lower[i] > 0 then list[#list + 1] = upper[i] / lower[i] end
  end
  return #list > 0 and stats.summary(list) or nil
end

function stats.sum(list)
  local sum = 0
  for _, value in ipairs(list) do sum = sum + value end
  return sum
end

return stats
