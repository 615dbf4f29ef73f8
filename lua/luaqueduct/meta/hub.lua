---@meta luaqueduct.core.hub
-- luacheck: ignore 212 241

--- nil, booleans, integers, floats, strings, `aq.null`, and tables of them without metatables, at
--- most 32 levels and 16 MiB packed; keys are strings, integers, booleans or floats.
---@alias luaqueduct.Packable nil|boolean|number|string|table|userdata

--- A worker's id, or a service's name.
---@alias luaqueduct.Sender integer|string

--- Messages between workers and services: `aq.hub`. In `initialize` it raises.
---@class luaqueduct.core.hub
local hub = {}

--- Calls `fn` with each value published or sent on the topic, one after another, each in a task
--- that may wait. Subscribing one function twice is two.
---@param topic string literal, 1 to 255 bytes
---@param fn async fun(value: luaqueduct.Packable, from: luaqueduct.Sender)
---@return luaqueduct.Subscription
function hub.subscribe(topic, fn) end

--- Queues the value for every other worker and service that subscribes; what `prepare` publishes
--- is held until every `entry_point` has returned. Raises for what cannot be packed.
---@param topic string
---@param value luaqueduct.Packable
---@param options? luaqueduct.PublishOptions
---@return integer count for how many it was queued
function hub.publish(topic, value, options) end

--- Queues the value for one worker, the newest of that id and this one included, or one service.
---@param to integer|string a worker's id, or a service's name
---@param topic string
---@param value luaqueduct.Packable
---@return true? ok
---@return luaqueduct.Error? err `no_receiver`: there is none that subscribes
function hub.send(to, topic, value) end

--- What this worker has sent and got: `sent` counts every receiver, `dropped` what came while its
--- own queue was full.
---@return luaqueduct.HubStats
---@nodiscard
function hub.stats() end

--- What `aq.hub.publish` can be told.
---@class luaqueduct.PublishOptions
---@field include_self? boolean this worker's functions get it, too
---@field binary? boolean a string reaches WebSockets as binary, not as text

--- What `aq.hub.stats` counts.
---@class luaqueduct.HubStats
---@field sent integer
---@field received integer
---@field dropped integer
---@field queued integer
---@field subscriptions integer

--- Lives until it is cancelled or its worker ends.
---@class luaqueduct.Subscription
local subscription = {}

--- Nothing comes any more; what waits is dropped. A second call does nothing.
function subscription:cancel() end

return hub
