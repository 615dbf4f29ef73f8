--- Where readings are kept when DATABASE_URL is set: a table of PostgreSQL, in place of the file of
--- store.lua, with the same two functions.
--
-- Suspends the task. Failure: `nil, err`; of what was being appended nothing stands there then, or
-- all of it, which is told by its number when it comes again.

local aq = require "luaqueduct"

local TABLE = [[
create table if not exists readings (
  id bigserial,
  device text not null,
  seq bigint not null,
  time bigint not null, -- milliseconds
  quantity text not null,
  value float8 not null,
  primary key (device, seq)
)]]

local INSERT = [[
insert into readings (device, seq, time, quantity, value)
select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::float8[])
on conflict do nothing]]

local Store = {}
Store.__index = Store

--- Calls `each` with what is there, the oldest first.
---@param each fun(reading: table)
function Store:restore(each)
  assert(self.db:query(TABLE))
  for reading in self.db:each "select * from readings order by id" do each(reading) end
end

--- All of them, in one statement.
---@param readings table[]
---@return true?
---@return string? err
function Store:append(readings)
  local device, seq, time, quantity, value = {}, {}, {}, {}, {}
  for i, reading in ipairs(readings) do
    device[i], seq[i], time[i] = reading.device, reading.seq, reading.time
    quantity[i], value[i] = reading.quantity, reading.value
  end

  local rows, err = self.db:query(INSERT, device, seq, time, quantity, value)
  if rows then return true end
  return nil, tostring(err)
end

---@param url string
local function open(url)
  return setmetatable({ db = aq.db.open { url = url, size = 2 } }, Store)
end

return { open = open }
