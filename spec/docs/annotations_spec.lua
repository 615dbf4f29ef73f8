--- The annotations of lua/luaqueduct/meta against the API of a live worker, in both directions.

local annotations = require "spec.support.annotations"
local api = require "spec.support.api"
local command = require "spec.support.command"
local json = require "luaqueduct.core.json"

local META = "lua/luaqueduct/meta"

--- The Lua part of a module, without the C parts that need a worker.
local function load_alone(name, ...)
  local kept = { [name] = package.loaded[name] or false }

  package.loaded[name] = nil
  for _, core in ipairs { ... } do
    kept[core] = package.loaded[core] or false
    package.loaded[core] = {}
  end
  local loaded = require(name)
  for module, value in pairs(kept) do package.loaded[module] = value or nil end
  return loaded
end

local function load_service() return load_alone("luaqueduct.service", "luaqueduct.core.service") end

local function load_websocket()
  return load_alone("luaqueduct.websocket", "luaqueduct.core.websocket").websocket
end

-- Tables that apps fill; what is known of them is said by the error for what is not.
local OPTION_TABLES = {
  ["luaqueduct.CookieOptions"] = function(unknown)
    require("luaqueduct.cookie").bake("name", "value", unknown)
  end,
  ["luaqueduct.CallOptions"] = function(unknown) load_service().service("name", unknown) end,
  ["luaqueduct.ServiceKind"] = function(unknown) load_service().service(unknown) end,
  ["luaqueduct.ServiceOptions"] = function(unknown)
    load_service().declarer "."({}, "name", "path", nil, unknown)
  end,
  ["luaqueduct.WebSocketOptions"] = function(unknown) load_websocket()(unknown) end,
  ["luaqueduct.DeflateOptions"] = function(unknown) load_websocket() { deflate = unknown } end,
  ["luaqueduct.ListenOptions"] = function(unknown)
    load_alone("luaqueduct.tcp", "luaqueduct.core.tcp", "luaqueduct.core.listen").listen(unknown)
  end,
  ["luaqueduct.DatabaseOptions"] = function(unknown)
    load_alone("luaqueduct.db", "luaqueduct.core.db", "luaqueduct.dblisten",
      "luaqueduct.response").open(unknown)
  end,
  ["luaqueduct.Limits"] = function(unknown) require("luaqueduct.limits").merge({}, unknown) end,
}

-- Tables that apps give as they like, and those that stand between the Lua part and C.
local SHAPES = { ["luaqueduct.Handling"] = true, ["luaqueduct.core.Handling"] = true,
  ["luaqueduct.PublishOptions"] = true, ["luaqueduct.ConnectOptions"] = true,
  ["luaqueduct.DatabaseError"] = true, ["luaqueduct.Rows"] = true,
  ["luaqueduct.TransactionOptions"] = true }

local function list_files(folder)
  local files = {}

  for path in command.run({ "find", folder, "-name", "*.lua" }).stdout:gmatch "[^\n]+" do
    files[#files + 1] = annotations.read(path)
  end
  return files
end

local function says(list)
  table.sort(list)
  return table.concat(list, "\n")
end

local meta_files = list_files(META)
local classes, aliases = {}, {}
for _, file in ipairs(meta_files) do
  for _, class in ipairs(file.classes) do classes[class.name] = class end
  for name, alias in pairs(file.aliases) do aliases[name] = alias.type end
end

-- What is inherited is a member, too.
for _, class in pairs(classes) do
  local parent = class.parent and assert(classes[class.parent], class.parent)
  for name, fn in pairs(parent and parent.functions or {}) do class.functions[name] = fn end
  for name, field in pairs(parent and parent.fields or {}) do class.fields[name] = field end
end

local live

--- Calls `fn(where, annotated, live)` for each function of Lua that is both.
local function each_lua_function(fn)
  for class_name, members in pairs(live) do
    for name, member in pairs(members) do
      local annotated = classes[class_name] and classes[class_name].functions[name]
      if annotated and member.is_lua then fn(class_name .. "." .. name, annotated, member) end
    end
  end
end

-- The objects whose methods C has, by the names in its comments.
local OBJECTS = { conn = "luaqueduct.Connection", db = "luaqueduct.Database",
  handle = "luaqueduct.Task",
  instance = "luaqueduct.Instance", req = "luaqueduct.Request", router = "luaqueduct.core.Router",
  stream = "luaqueduct.Stream" }

--- Calls `fn(where, annotated, args, returns)` for each `/* name(args) -> results */` of C.
local function each_signature(fn)
  local files = "core/lua/lib_*.c core/lua/duplex.c core/lua/body.c core/lua/error.c "
    .. "core/lua/headers.h core/lua/connection.c core/lua/listening.c "
    .. "core/lua/db*.c"
  local sources = command.run({ "sh", "-c", "cat " .. files }).stdout

  for owner, mark, name, args, rest in
      sources:gmatch "\n/%* ([%w_]+)([.:])([%w_]+)(%b())([^\n]*)" do
    local class = mark == ":" and OBJECTS[owner] or "luaqueduct.core." .. owner
    local annotated = classes[class] and classes[class].functions[name]
    assert(annotated, class .. "." .. name)
    fn(class .. "." .. name, annotated, args:sub(2, -2), rest:find "^ %->" ~= nil)
  end
end

--- Calls `fn(where, annotated)` for each annotated function.
local function each_annotated(fn)
  for class_name, class in pairs(classes) do
    for name, annotated in pairs(class.functions) do fn(class_name .. "." .. name, annotated) end
  end
end

--- All of a file's types, as text.
local function types_of(file)
  local types = {}

  local function add(list)
    for _, entry in pairs(list) do types[#types + 1] = entry.type end
  end
  add(file.aliases)
  for _, class in ipairs(file.classes) do add(class.fields) end
  for _, fn in pairs(file.functions) do
    add(fn.params)
    add(fn.returns)
  end
  return types
end

local function fits_one(kind, member)
  local base = kind:match "^%w+"

  if base == "string" or base == "integer" or base == "userdata" then
    return member.type == base
  end
  if base == "fun" or base == "async" then return member.type == "function" end
  return member.type == "table" or member.type == "userdata"
end

--- Whether a live value may be what the annotation says.
local function fits(annotated, member)
  for kind in (aliases[annotated] or annotated):gmatch "[^|]+" do
    if fits_one(kind, member) then return true end
  end
  return false
end

local function written(list)
  local parts = {}

  for i, entry in ipairs(list) do
    parts[i] = (entry.name or "") .. (entry.optional and "? " or " ") .. entry.type
  end
  return table.concat(parts, ", ")
end

describe("lua/luaqueduct/meta #once", function()
  setup(function() live = api.members() end)

  it("has whatever is live", function()
    local missing = {}

    for class_name, members in pairs(live) do
      local class = classes[class_name] or { fields = {}, functions = {} }
      for name in pairs(members) do
        if not class.fields[name] and not class.functions[name] then
          missing[#missing + 1] = class_name .. "." .. name
        end
      end
    end

    assert.are.equal("", says(missing))
  end)

  it("has nothing else", function()
    local dead = {}

    for class_name, class in pairs(classes) do
      local members = live[class_name] or {}
      local is_known = live[class_name] or OPTION_TABLES[class_name] or SHAPES[class_name]
      if not is_known then dead[#dead + 1] = class_name end
      for name in pairs(class.functions) do
        if not members[name] or members[name].type ~= "function" then
          dead[#dead + 1] = class_name .. "." .. name
        end
      end
      for name in pairs(live[class_name] and class.fields or {}) do
        if not members[name] then dead[#dead + 1] = class_name .. "." .. name end
      end
    end

    assert.are.equal("", says(dead))
  end)

  it("has the types of the fields", function()
    local wrong = {}

    for class_name, members in pairs(live) do
      for name, member in pairs(members) do
        local field = classes[class_name] and classes[class_name].fields[name]
        if field and not fits(field.type, member) then
          wrong[#wrong + 1] = ("%s.%s is a %s"):format(class_name, name, member.type)
        end
      end
    end

    assert.are.equal("", says(wrong))
  end)

  it("has the options that are known, and no others", function()
    for class_name, try in pairs(OPTION_TABLES) do
      local _, err = pcall(try, { nothing = 1 })
      local known, annotated = {}, {}
      for name in err:match "known are (.+)$":gmatch "[%w_]+" do known[#known + 1] = name end
      for name in pairs(classes[class_name].fields) do annotated[#annotated + 1] = name end

      assert.is_true(#known > 0)
      assert.are.equal(says(known), says(annotated), class_name)
    end
  end)

  it("names the parameters of Lua functions as the code does", function()
    local wrong, count = {}, 0

    each_lua_function(function(where, annotated, member)
      local args = table.move(annotated.args, 1, #annotated.args, 1, {})
      if annotated.is_method then table.insert(args, 1, "self") end
      count = count + 1
      if table.concat(args, ", ") ~= table.concat(member.params, ", ") then
        wrong[#wrong + 1] = ("%s(%s): the code has (%s)"):format(where, table.concat(args, ", "),
          table.concat(member.params, ", "))
      end
    end)

    assert.is_true(count > 35, count .. " functions") -- those of a logger are in C
    assert.are.equal("", says(wrong))
  end)

  it("agrees with the annotations of the code", function()
    local files, wrong, count = {}, {}, 0

    each_lua_function(function(where, annotated, member)
      files[member.source] = files[member.source] or annotations.read(member.source)
      local own = files[member.source].functions[member.line]
      if not own or (#own.params == 0 and #own.returns == 0) then return end
      count = count + 1
      for _, kind in ipairs { "params", "returns" } do
        if written(own[kind]) ~= written(annotated[kind]) then
          wrong[#wrong + 1] = ("%s: %s, the code has %s"):format(where, written(annotated[kind]),
            written(own[kind]))
        end
      end
    end)

    assert.is_true(count > 30, count .. " functions")
    assert.are.equal("", says(wrong))
  end)

  it("has the signatures that the C functions state", function()
    local wrong, count = {}, 0

    each_signature(function(where, annotated, args, returns)
      count = count + 1
      local own = {}
      for i, param in ipairs(annotated.params) do
        own[i] = param.name .. (param.optional and "?" or "")
      end
      if table.concat(own, ", ") ~= args or (#annotated.returns > 0) ~= returns then
        wrong[#wrong + 1] = ("%s(%s)%s: C has (%s)%s"):format(where, table.concat(own, ", "),
          #annotated.returns > 0 and " ->" or "", args, returns and " ->" or "")
      end
    end)

    assert.is_true(count > 35, count .. " functions")
    assert.are.equal("", says(wrong))
  end)

  it("describes every function and all of its parameters", function()
    local wrong = {}

    each_annotated(function(where, annotated)
      local names = {}
      for i, param in ipairs(annotated.params) do names[i] = param.name end
      if not annotated.text:find "%a" then wrong[#wrong + 1] = where .. ": no description" end
      if table.concat(names, ", ") ~= table.concat(annotated.args, ", ") then
        wrong[#wrong + 1] = ("%s: parameters (%s), described (%s)"):format(where,
          table.concat(annotated.args, ", "), table.concat(names, ", "))
      end
    end)
    for name, class in pairs(classes) do
      if not class.text:find "%a" then wrong[#wrong + 1] = name .. ": no description" end
    end

    assert.are.equal("", says(wrong))
  end)

  it("names only types that are declared, each declared once", function()
    local declared, wrong = {}, {}
    local files = list_files "lua/luaqueduct"
    local function declare(name, place)
      if declared[name] then wrong[#wrong + 1] = name .. ": " .. declared[name] .. ", " .. place end
      declared[name] = place
    end

    for _, file in ipairs(files) do
      for _, class in ipairs(file.classes) do declare(class.name, class.place) end
      for name, alias in pairs(file.aliases) do declare(name, alias.place) end
    end
    for _, file in ipairs(files) do
      for _, text in ipairs(types_of(file)) do
        for name in text:gmatch "luaqueduct[%w_.]*%w" do
          if not declared[name] then wrong[#wrong + 1] = file.path .. ": " .. name end
        end
      end
    end

    assert.are.equal("", says(wrong))
  end)

  it("is read by the names of the modules", function()
    local modules = {}

    for _, file in ipairs(meta_files) do
      assert.is_string(file.meta, file.path)
      assert.is_nil(modules[file.meta], file.path)
      if file.meta ~= "_" then modules[file.meta] = file end -- _: no module
    end
    for name in pairs(live) do
      if name:find "^luaqueduct$" or name:find "^luaqueduct%.core%f[%z.]%.?%l*$" then
        assert(modules[name], name)
        assert.are.equal(name, modules[name].result.name)
      end
    end
  end)
end)

describe(".luarc.json #once", function()
  local settings = assert(json.decode(command.read_file ".luarc.json"))

  local function exists(path)
    local file = io.open(path)
    return file and file:close()
  end

  it("finds the annotations", function()
    local found = {}

    for _, folder in ipairs(settings["workspace.library"]) do
      for _, file in ipairs(list_files(folder)) do found[file.path] = true end
    end

    assert.is_true(#meta_files > 10)
    for _, file in ipairs(meta_files) do assert.is_true(found[file.path], file.path) end
  end)

  it("finds what the app and the specs require", function()
    for _, name in ipairs { "luaqueduct", "luaqueduct.router", "spec.support.wait" } do
      local found = false
      for _, template in ipairs(settings["runtime.path"]) do
        found = found or exists((template:gsub("%?", (name:gsub("%.", "/")))))
      end
      assert.is_true(found and true, name)
    end
    assert.are.equal("Lua 5.4", settings["runtime.version"])
  end)
end)
