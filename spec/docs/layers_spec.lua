--- The rules of core/ that no compiler checks: who may include whom, headers
--- that stand on their own, no mutable statics, complete source lists.

local command = require "spec.support.command"
local core = require "spec.support.core"
local make = require "spec.support.make"

-- A room may include its own files and those of rooms with a smaller number.
local LEVELS = { base = 0, loop = 1, http = 1, log = 2, net = 3, hub = 3, pg = 3, lua = 4, run = 5 }

-- Headers of libraries -> patterns of the files that may include them.
local LIBRARIES = {
  ["^llhttp%.h$"] = { "^core/http/parse%.c$" },
  ["^libpq%-fe%.h$"] = { "^core/pg/", "^core/lua/pgvalue%.[ch]$" },
  ["^lua%.h$"] = { "^core/lua/", "^core/run/" },
  ["^lauxlib%.h$"] = { "^core/lua/", "^core/run/" },
  ["^lualib%.h$"] = { "^core/lua/", "^core/run/" },
  ["^yajl"] = { "^core/lua/json_decode%.c$" },
  ["^openssl/"] = { "^core/http/ws_handshake%.c$" },
  ["^zlib%.h$"] = { "^core/http/ws_deflate%.c$" },
  ["^jansson%.h$"] = { "^core/lua/json_decode%.c$" },
  ["^uv%.h$"] = { "^core/loop/", "^core/log/", "^core/net/", "^core/hub/", "^core/pg/",
    "^core/lua/", "^core/run/" },
}

-- The same for what a header of ours may include.
local IN_HEADERS = {
  ["^uv%.h$"] = { "^core/loop/", "^core/log/", "^core/net/", "^core/hub/", "^core/pg/",
    "^core/run/" },
  ["^lua%.h$"] = { "^core/lua/" },
}

local function find(...)
  local files = {}
  local result = command.run { "find", ... }

  for path in result.stdout:gmatch "[^\n]+" do files[#files + 1] = path end
  table.sort(files)
  return files
end

local sources = find("core", "-name", "*.c")
local headers = find("core", "-name", "*.h")

--- Calls `fn(path, line, name, is_own)` for each include of `files`.
local function each_include(files, fn)
  for _, path in ipairs(files) do
    local number = 0
    for line in io.lines(path) do
      number = number + 1
      local open, name = line:match '^%s*#%s*include%s*([<"])([^>"]+)'
      if name then fn(path, number, name, open == '"') end
    end
  end
end

local function room_of(path)
  return path:match "^core/(%w+)/" or path:match "^(%w+)/"
end

local function may(path, name, rules)
  for pattern, places in pairs(rules) do
    if name:match(pattern) then
      for _, place in ipairs(places) do
        if path:match(place) then return true end
      end
      return false
    end
  end
end

local function says(list)
  return table.concat(list, "\n")
end

--- What is in one list and not in the other.
local function difference(listed, present)
  local missing, seen = {}, {}

  for _, path in ipairs(listed) do seen[path] = "listed, but not there" end
  for _, path in ipairs(present) do
    seen[path] = not seen[path] and "there, but not listed" or nil
  end
  for path, what in pairs(seen) do missing[#missing + 1] = path .. ": " .. what end
  table.sort(missing)
  return missing
end

describe("core #once", function()
  it("includes only rooms below its own", function()
    local wrong = {}

    each_include(find("core", "-name", "*.[ch]"), function(path, line, name, is_own)
      local from, to = room_of(path), room_of(name)
      if is_own and not (LEVELS[from] and LEVELS[to] and
          (from == to or LEVELS[to] < LEVELS[from])) then
        wrong[#wrong + 1] = ("%s:%d: %s"):format(path, line, name)
      end
    end)

    assert.are.equal("", says(wrong))
  end)

  it("includes a library's header only where that library is wrapped", function()
    local wrong = {}

    each_include(find("core", "-name", "*.[ch]"), function(path, line, name)
      if may(path, name, LIBRARIES) == false then
        wrong[#wrong + 1] = ("%s:%d: %s"):format(path, line, name)
      end
    end)

    assert.are.equal("", says(wrong))
  end)

  it("keeps libraries out of its headers", function()
    local wrong = {}

    each_include(headers, function(path, line, name)
      if may(path, name, LIBRARIES) ~= nil and not may(path, name, IN_HEADERS) then
        wrong[#wrong + 1] = ("%s:%d: %s"):format(path, line, name)
      end
    end)

    assert.are.equal("", says(wrong))
  end)

  it("has headers that compile on their own", function()
    local argv = { "gcc" }

    for _, flag in ipairs(make.list "BASE_CFLAGS") do
      if not flag:match "^%-M" then argv[#argv + 1] = flag end
    end
    for _, flag in ipairs { "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c" } do
      argv[#argv + 1] = flag
    end
    local result = command.run({ table.unpack(table.move(headers, 1, #headers, #argv + 1, argv)) })

    assert.are.equal("", result.stderr)
    assert.are.equal(0, result.status)
  end)

  it("says in each header what it owns, on which thread, and what it knows", function()
    local wrong = {}

    for _, path in ipairs(headers) do
      local comment = command.read_file(path):match "^/%*.-%*/" or ""
      for _, field in ipairs { "Owns:", "Thread:", "Knows:" } do
        if not comment:find(field, 1, true) then wrong[#wrong + 1] = path .. ": " .. field end
      end
    end

    assert.are.equal("", says(wrong))
  end)

  it("stands in the Makefile file by file", function()
    local listed = difference(make.list "CORE_SRC", sources)

    assert.are.equal("", says(listed))
  end)

  it("has every C file of the specs in the Makefile", function()
    local listed = make.list "SPEC_LIB_SRC"
    for _, path in ipairs(make.list "LOAD_SRC") do listed[#listed + 1] = path end
    for _, name in ipairs(make.list "C_TESTS") do
      listed[#listed + 1] = ("spec/c/%s_test.c"):format(name)
    end

    assert.are.equal("", says(difference(listed, find("spec/c", "-name", "*.c"))))
  end)

  it("has every C file of the fuzz targets in the Makefile", function()
    local listed = make.list "FUZZ_SRC"
    for _, name in ipairs(make.list "FUZZ_TARGETS") do
      listed[#listed + 1] = ("spec/fuzz/fuzz_%s.c"):format(name)
    end

    assert.are.equal("", says(difference(listed, find("spec/fuzz", "-name", "*.c"))))
  end)

  -- The objects of the debug build: link-time optimisation hides symbols.
  -- llhttp is left out, as its generated tables are not ours.
  it("has no mutable statics", function()
    local argv = { "nm", "--format=sysv" }
    local objects = core.build .. "/debug/obj/"
    local wrong, current = {}, nil
    for _, path in ipairs(make.list "CORE_SRC") do
      argv[#argv + 1] = objects .. path:gsub("%.c$", ".o")
    end

    local result = command.run(argv)
    for line in result.stdout:gmatch "[^\n]+" do
      current = line:match "^Symbols from (.+):$" or current
      local name, class, section = line:match "^([^|]+)|[^|]*|%s*(%a)%s*|.*|%s*(%S+)%s*$"
      -- Constant tables of pointers are relocated, then read-only.
      if class and class:match "[bBdDsSgGCu]" and not section:match "^%.data%.rel%.ro" then
        wrong[#wrong + 1] = ("%s: %s (%s)"):format(current, name:match "^%s*(.-)%s*$", section)
      end
    end

    assert.are.equal("", result.stderr)
    assert.are.equal("", says(wrong))
  end)
end)

describe("README.md #once", function()
  it("has at most 200 lines", function()
    local count = 0

    for _ in io.lines "README.md" do count = count + 1 end

    assert.is_true(count <= 200, count .. " lines")
  end)
end)
