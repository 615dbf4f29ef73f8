---@meta luaqueduct.core.instance
-- luacheck: ignore 212 241

--- What a worker knows of itself: `aq.instance`.
---@class luaqueduct.Instance
---@field id integer 1 to `workers`; 0 in the state of `initialize`
---@field workers integer
---@field restarts integer of this worker
---@field generation integer of the code: one more with each reload
local instance = {}

--- Drains and ends this worker.
function instance:stop() end

return instance
