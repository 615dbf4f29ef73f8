--- SQL text as its statements: where one ends, and on which line a position lies.
--
-- Knows what a semicolon does not end: strings of each kind, quoted names, comments (nested ones
-- too), dollar quotes, parentheses, and the bodies of `begin atomic`. Assumes
-- standard_conforming_strings, PostgreSQL's default.
-- Pure: no I/O, no state.
-- Failure: none; what never ends is a statement up to the end of the text.

local m = {}

local WORD = "^[%a_\128-\255][%w_$\128-\255]*"

--- Behind a `/*` comment that begins at `pos`; they nest.
local function skip_comment(text, pos)
  local depth = 0

  repeat
    local at = text:find("[/*]", pos)
    if not at then return #text + 1 end
    local two = text:sub(at, at + 1)
    pos = at + 2
    if two == "/*" then
      depth = depth + 1
    elseif two == "*/" then
      depth = depth - 1
    else
      pos = at + 1
    end
  until depth == 0
  return pos
end

--- Behind what is quoted from `pos` on; twice the quote stands for itself.
local function skip_quoted(text, pos, has_escapes)
  local quote = text:sub(pos, pos)

  pos = pos + 1
  while true do
    local at = text:find(has_escapes and "[\\" .. quote .. "]" or quote, pos)
    if not at then return #text + 1 end
    if text:sub(at, at) == quote and text:sub(at + 1, at + 1) ~= quote then return at + 1 end
    pos = at + 2
  end
end

--- Behind a dollar quote that begins at `pos`, or behind the dollar if none does.
local function skip_dollar(text, pos)
  local tag = text:match("^%$[%a_\128-\255][%w_\128-\255]*%$", pos) or text:match("^%$%$", pos)
  if not tag then return pos + 1 end
  local _, last = text:find(tag, pos + #tag, true)
  return (last or #text) + 1
end

--- Whether the words so far begin what may have a body of statements.
local function has_body(words)
  local kind = words[2] == "or" and words[4] or words[2]
  return words[1] == "create" and (kind == "function" or kind == "procedure")
end

--- A word of a statement: its first ones are kept, those around a body counted.
local function take_word(state, word)
  local words = state.words

  if #words < 4 then words[#words + 1] = word end
  if state.parentheses > 0 or not has_body(words) then return end
  if word == "begin" or (word == "case" and state.body > 0) then
    state.body = state.body + 1
  elseif word == "end" and state.body > 0 then
    state.body = state.body - 1
  end
end

local function new_state()
  return { words = {}, parentheses = 0, body = 0 }
end

--- Behind the token at `pos`, which is no comment and no semicolon that ends a statement.
local function skip_token(text, pos, state)
  local char = text:sub(pos, pos)

  if char == "'" or char == '"' then return skip_quoted(text, pos) end
  if char == "$" then return skip_dollar(text, pos) end
  if char == "(" then state.parentheses = state.parentheses + 1 end
  if char == ")" then state.parentheses = math.max(0, state.parentheses - 1) end
  local word = text:match(WORD, pos)
  if word then
    take_word(state, word:lower())
    pos = pos + #word
    if word:lower() == "e" and text:sub(pos, pos) == "'" then
      return skip_quoted(text, pos, true)
    end
    return pos
  end
  local number = text:match("^%d[%w_.]*", pos)
  return pos + (number and #number or 1)
end

--- Behind white space or a comment at `pos`; nil when neither is there.
local function skip_blank(text, pos)
  local _, last = text:find("^%s+", pos)
  if last then return last + 1 end
  local two = text:sub(pos, pos + 1)
  if two == "--" then return text:find("\n", pos, true) or #text + 1 end
  if two == "/*" then return skip_comment(text, pos) end
end

--- The newlines from `first` up to before `pos`.
local function count_lines(text, first, pos)
  return select(2, text:sub(first, pos - 1):gsub("\n", ""))
end

---@class luaqueduct.cli.Statement
---@field text string without the semicolon
---@field line integer of its first word
---@field words string[] its first words, at most four, in lower case

--- The statements of a text.
---@param text string
---@param line? integer that of the text's beginning: 1 unless given
---@return luaqueduct.cli.Statement[]
function m.split(text, line)
  local list, state, pos, from, last = {}, new_state(), 1, nil, nil
  local counted = 1 -- up to here the newlines are in `line`

  line = line or 1
  local function finish()
    if from then
      line, counted = line + count_lines(text, counted, from), from
      list[#list + 1] = { text = text:sub(from, last), words = state.words, line = line }
    end
    state, from = new_state(), nil
  end

  while pos <= #text do
    local behind = skip_blank(text, pos)
    if behind then
      pos = behind
    elseif text:sub(pos, pos) == ";" and state.parentheses == 0 and state.body == 0 then
      finish()
      pos = pos + 1
    else
      from = from or pos
      pos = skip_token(text, pos, state)
      last = pos - 1
    end
  end
  finish()
  return list
end

--- The line of a position as PostgreSQL gives it: characters, from 1 on.
---@param statement luaqueduct.cli.Statement
---@param position? integer
---@return integer
function m.line_at(statement, position)
  if not position then return statement.line end
  local text = statement.text
  local offset = utf8.len(text) and utf8.offset(text, position) or position
  return statement.line + count_lines(text, 1, offset)
end

return m
