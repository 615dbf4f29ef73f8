--- Scales the counts of specs: LQ_SCALE=10 makes every storm ten times as long.
--
-- Pure: reads the environment once.

local factor = tonumber(os.getenv "LQ_SCALE" or "1") or 1

---@param count number how often at a scale of one
---@param most? integer never more often than that
---@return integer at least 1
return function(count, most)
  return math.max(1, math.min(math.floor(count * factor + 0.5), most or math.maxinteger))
end
