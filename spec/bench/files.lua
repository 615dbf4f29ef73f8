--- Reading and writing small files, and what a command prints.

local files = {}

---@return string? text nil when the file cannot be read
function files.read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read "a"
  file:close()
  return text
end

function files.write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

--- What the shell command prints to both outputs, without the last newline.
function files.output(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read "a"
  pipe:close()
  return (text:gsub("%s+$", ""))
end

return files
