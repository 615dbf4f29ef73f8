--- Runs a program to its end and collects what it wrote.
--
-- The sanitizers' preload stays with the interpreter of the specs: compilers
-- and tools are not to be checked for leaks.
-- Failure: raises when the program cannot be started or outlives its deadline.

local proc = require "spec.proc"

local command = {}

--- The environment of this process with `changes` (name -> string, false
--- removes) as the list that `proc.spawn` takes.
function command.environment(changes)
  local list = {}
  changes = changes or {}

  for _, pair in ipairs(proc.environ()) do
    local name = pair:match "^[^=]*"
    if name ~= "LD_PRELOAD" and changes[name] == nil then list[#list + 1] = pair end
  end
  for name, value in pairs(changes) do
    if value then list[#list + 1] = name .. "=" .. value end
  end
  return list
end

local function read_file(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  return text
end
command.read_file = read_file

--- A new, empty folder; `command.remove` deletes it.
function command.folder()
  return assert(proc.mkdtemp())
end

function command.remove(folder)
  assert(folder:match "^/tmp/luaqueduct%-spec%-%w+$", "not a folder of the specs")
  local pid = assert(proc.spawn({ "rm", "-rf", folder }, { stdout = "/dev/null",
    stderr = "/dev/null" }))
  assert(proc.wait(pid, 10))
end

---@param argv string[]
---@param options? table { env = changes, cwd, stdin = path, timeout = 30, pass = descriptors }
---@return table { status, stdout, stderr, seconds }
function command.run(argv, options)
  options = options or {}
  local folder = command.folder()
  local out, err = folder .. "/stdout", folder .. "/stderr"
  local started = proc.now()
  local pid, message = proc.spawn(argv, {
    env = command.environment(options.env),
    cwd = options.cwd,
    stdin = options.stdin,
    pass = options.pass,
    stdout = out,
    stderr = err,
  })
  if not pid then
    command.remove(folder)
    error(argv[1] .. ": " .. message, 2)
  end

  local status = proc.wait(pid, options.timeout or 30)
  local seconds = proc.now() - started
  if not status then
    proc.kill(pid, 9)
    proc.wait(pid, 5)
  end
  local result = {
    status = status,
    stdout = read_file(out),
    stderr = read_file(err),
    seconds = seconds,
  }
  command.remove(folder)
  if not status then
    error(("%s still ran after %g s; it wrote:\n%s%s"):format(table.concat(argv, " "),
      options.timeout or 30, result.stdout, result.stderr), 2)
  end
  return result
end

return command
