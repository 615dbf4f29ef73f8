--- Migrations as files: what they hold, and what is to be done with which.
--
--   -- up
--   create table notes (id bigserial primary key, body text not null);
--   -- down
--   drop table notes;
--
-- The name is 0001_create_notes.sql: a number, and what it is about. A line `-- no transaction`
-- in a part, or before both, lets that part run without one.
-- Pure but for `load`, which reads the folder.
-- Failure: nil and one line that names the file.

local folder = require "luaqueduct.core.folder"
local sql = require "luaqueduct.cli.sql"

local m = {}

local NAME = "^(%d+)_([%w_-]+)%.sql$"

--- Statements that end the runner's transaction; "rollback to" a savepoint does not.
local ENDS = { begin = true, start = true, commit = true, rollback = true, ["end"] = true,
  abort = true }

-- ---- one file ----------------------------------------------------------------------------

--- FNV-1a over 64 bits: against edits that were forgotten, not against forgers. How lines end
--- does not count.
---@param text string
---@return string 16 hexadecimal digits
function m.checksum(text)
  local hash = 0xcbf29ce484222325

  for char in text:gsub("\r\n", "\n"):gmatch "." do
    hash = (hash ~ char:byte()) * 0x100000001b3
  end
  return ("%016x"):format(hash)
end

--- "up", "down", "no transaction" or nil: what a line of the file marks.
local function mark_of(line)
  local text = line:match "^%-%-%s*(.-)%s*$"
  return (text == "up" or text == "down" or text == "no transaction") and text or nil
end

local function add_line(part, text)
  part.lines[#part.lines + 1] = text
end

--- Some editors put a byte order mark before the text.
local function without_mark(text)
  return (text:gsub("^\xEF\xBB\xBF", ""))
end

--- The lines of the file by part; `head` is what stands before the first.
local function read_parts(text)
  local parts = { head = { lines = {}, line = 1 } }
  local part, number = parts.head, 0

  for line in (text:gsub("\r\n", "\n") .. "\n"):gmatch "(.-)\n" do
    number = number + 1
    local mark = mark_of(line)
    if mark == "no transaction" then part.is_bare = true end
    if mark == "up" or mark == "down" then
      if parts[mark] then return nil, number, ("a second line `-- %s`"):format(mark) end
      part = { lines = {}, line = number }
      parts[mark] = part
    end
    add_line(part, line)
  end
  return parts
end

local function ends_transaction(statement)
  local first, second = statement.words[1], statement.words[2]

  if first == "prepare" then return second == "transaction" end
  return ENDS[first] and not (first == "rollback" and second == "to")
end

--- A part as its statements.
local function finish_part(part, head)
  if not part then return nil end
  local statements = sql.split(table.concat(part.lines, "\n"), part.line)
  local in_transaction = not (part.is_bare or head.is_bare)

  for _, statement in ipairs(statements) do
    if in_transaction and ends_transaction(statement) then
      return nil, statement.line, ("`%s` would end the migration's own transaction; a line "
        .. "`-- no transaction` lets a part run without one"):format(statement.words[1])
    end
  end
  return { statements = statements, in_transaction = in_transaction, line = part.line }
end

---@class luaqueduct.cli.Part
---@field line integer of its mark
---@field statements luaqueduct.cli.Statement[]
---@field in_transaction boolean

---@class luaqueduct.cli.Migration
---@field number integer
---@field name string "0001_create_notes"
---@field path string
---@field checksum string
---@field up luaqueduct.cli.Part
---@field down? luaqueduct.cli.Part

--- Reads what a file holds.
---@param text string
---@param path string for the messages
---@return { up: luaqueduct.cli.Part, down: luaqueduct.cli.Part?, checksum: string }?
---@return string? err
function m.parse(text, path)
  local function refuse(line, message) return nil, ("%s:%d: %s"):format(path, line, message) end
  text = without_mark(text)
  local parts, line, message = read_parts(text)
  if not parts then return refuse(line, message) end
  local early = sql.split(table.concat(parts.head.lines, "\n"))[1]
  if early then return refuse(early.line, "expected a line `-- up` before any statement") end
  if not parts.up then return refuse(1, "there is no line `-- up`") end

  local result = { checksum = m.checksum(text) }
  for _, name in ipairs { "up", "down" } do
    result[name], line, message = finish_part(parts[name], parts.head)
    if line then return refuse(line, message) end
  end
  return result
end

-- ---- the folder --------------------------------------------------------------------------

local function by_number(a, b) return a.number < b.number end

--- The migrations that the names stand for, without what is in them.
---@param names string[] of a folder
---@return { number: integer, name: string, file: string }[]? sorted by number
---@return string? err
function m.list(names)
  local list, seen = {}, {}

  table.sort(names)
  for _, file in ipairs(names) do
    if file:lower():find "%.sql$" and file:sub(1, 1) ~= "." then
      local digits = file:match(NAME)
      local number = math.tointeger(tonumber(digits))
      if not number then
        return nil, file .. ": expected a name such as 0001_create_notes.sql"
      end
      if seen[number] then
        return nil, ("%s: %s has the same number"):format(file, seen[number])
      end
      seen[number] = file
      list[#list + 1] = { number = number, name = file:match "^(.*)%.sql$", file = file }
    end
  end
  table.sort(list, by_number)
  return list
end

local function read_file(path)
  local file, err = io.open(path, "rb")
  if not file then return nil, err end
  local text = file:read "a"
  file:close()
  if not text then return nil, path .. ": cannot be read" end
  return text
end

--- Reads the whole folder.
---@param dir string
---@return luaqueduct.cli.Migration[]? sorted by number
---@return string? err
function m.load(dir)
  local names, err = folder.list(dir)
  if not names then return nil, ("%s: %s"):format(dir, tostring(err)) end
  local list, message = m.list(names)
  if not list then return nil, dir .. "/" .. message end

  for i, entry in ipairs(list) do
    local path = dir .. "/" .. entry.file
    local text, why = read_file(path)
    if not text then return nil, why end
    local migration, wrong = m.parse(text, path)
    if not migration then return nil, wrong end
    migration.number, migration.name, migration.path = entry.number, entry.name, path
    list[i] = migration
  end
  return list
end

--- The name of the file that comes next.
---@param names string[] of the folder
---@param about string
---@return string? file
---@return string? err
function m.next_file(names, about)
  local list, err = m.list(names)
  if not list then return nil, err end
  local last = list[#list]
  if last and last.number == math.maxinteger then
    return nil, last.file .. ": there is no higher number"
  end
  return ("%04d_%s.sql"):format(last and last.number + 1 or 1, about)
end

-- ---- what is to be done ------------------------------------------------------------------

---@class luaqueduct.cli.Applied
---@field number integer
---@field name string
---@field checksum string
---@field applied_at string

--- Whether the history is the one that was applied.
---@param list luaqueduct.cli.Migration[]
---@param applied luaqueduct.cli.Applied[]
---@param dir string for the messages
---@return string? err what is not
function m.check(list, applied, dir)
  local by = {}
  for _, migration in ipairs(list) do by[migration.number] = migration end

  for _, row in ipairs(applied) do
    local migration = by[row.number]
    local path = ("%s/%s.sql"):format(dir, row.name)
    if not migration then
      return ("%s: was applied, and is not there any more"):format(path)
    elseif migration.name ~= row.name then
      return ("%s: was applied under the name %s.sql"):format(migration.path, row.name)
    elseif migration.checksum ~= row.checksum then
      return ("%s: was changed after it had been applied"):format(path)
    end
  end
end

--- What `up` runs.
---@param list luaqueduct.cli.Migration[]
---@param applied luaqueduct.cli.Applied[]
---@return luaqueduct.cli.Migration[]?
---@return string? err
function m.pending(list, applied)
  local done, last, pending = {}, nil, {}
  for _, row in ipairs(applied) do
    done[row.number] = true
    if not last or row.number > last.number then last = row end
  end

  for _, migration in ipairs(list) do
    if not done[migration.number] then
      if last and migration.number < last.number then
        return nil, ("%s: comes before %s.sql, which is applied: give it a higher number"):format(
          migration.path, last.name)
      elseif #migration.up.statements == 0 then
        return nil, ("%s:%d: there is no statement below `-- up`"):format(migration.path,
          migration.up.line)
      end
      pending[#pending + 1] = migration
    end
  end
  return pending
end

--- What `down` undoes, the newest first. Every applied one has its file: see `check`.
---@param list luaqueduct.cli.Migration[]
---@param applied luaqueduct.cli.Applied[]
---@param count integer
---@return luaqueduct.cli.Migration[]?
---@return string? err
function m.undone(list, applied, count)
  local done, chosen = {}, {}
  for _, row in ipairs(applied) do done[row.number] = true end

  for i = #list, 1, -1 do
    local migration = list[i]
    if #chosen < count and done[migration.number] then
      if not migration.down then
        return nil, migration.path .. ": has no line `-- down`, so it cannot be undone"
      end
      chosen[#chosen + 1] = migration
    end
  end
  return chosen
end

return m
