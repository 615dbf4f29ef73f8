---@meta luaqueduct.core.url
-- luacheck: ignore 212 241

--- Percent-encoding and queries.
---@class luaqueduct.core.url
local url = {}

--- Decodes %XX; `nil, err` when an escape is broken.
---@param text string
---@param plus_is_space? boolean
---@return string?
---@return luaqueduct.Error? err
---@nodiscard
function url.decode(text, plus_is_space) end

--- Encodes what is not unreserved.
---@param text string
---@return string
---@nodiscard
function url.encode(text) end

--- Splits `a=1&b=2`. Returns the first value of each name, and all pairs in order; `nil, err` for
--- a broken escape (`invalid`) and for more than 1,000 pairs (`too_large`).
---@param text string
---@return table<string, string>? first
---@return { [1]: string, [2]: string }[]|luaqueduct.Error pairs_or_err
---@nodiscard
function url.parse_query(text) end

return url
