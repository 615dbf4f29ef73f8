--- Installation for real: by LuaRocks and by make, as a plain user.
--
-- When the specs run as root, everything here is done by the user nobody, in a
-- folder of its own with a copy of the sources, so that nothing is read or
-- written that a plain user could not. The network is not needed.

local command = require "spec.support.command"
local server = require "spec.support.server"

local SOURCES = { "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "core",
  "lua", "rocks" }
local ROCKSPEC = "rocks/luaqueduct-scm-1.rockspec"
local BUILD_SECONDS = 300

local is_root = command.run({ "id", "-u" }).stdout == "0\n"
local AS_USER = is_root and { "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
  "--pdeathsig=KILL" } or {}

-- Only the search path of programs and a home, as after a fresh login.
local base
local function environment()
  return { "env", "-i", "PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" .. base .. "/home" }
end

local function join(...)
  local list = {}

  for _, part in ipairs { ... } do table.move(part, 1, #part, #list + 1, list) end
  return list
end

--- Runs a command as the plain user.
local function run(argv, cwd)
  return command.run(join(AS_USER, environment(), argv), { cwd = cwd or base,
    timeout = BUILD_SECONDS })
end

local function must(argv, cwd)
  local result = run(argv, cwd)

  if result.status ~= 0 then
    error(("%s: status %d\n%s%s"):format(table.concat(argv, " "), result.status, result.stdout,
      result.stderr), 2)
  end
  return result
end

local function luarocks(...)
  return must({ "luarocks", "--lua-version", "5.4", ... }, base .. "/src")
end

local function write(name, text)
  local path = base .. "/" .. name
  command.run { "mkdir", "-p", path:match "^(.*)/" }
  local file = assert(io.open(path, "w"))
  assert(file:write(text))
  file:close()
end

local function files(folder)
  return must({ "find", folder, "-printf", "%P\n" }).stdout
end

-- A rock with a Lua module and one in C, as others put them into the tree.
local ROCK = [[
rockspec_format = "3.0"
package = "nest"
version = "1.0-1"
source = { url = "." }
description = { license = "MIT" }
build = { modules = { nest = "nest.lua", eggs = "eggs.c", beside = "beside.lua" } }
]]
local EGGS = [[
#include <lua.h>
static int count(lua_State *L) { lua_pushinteger(L, 3); return 1; }
int luaopen_eggs(lua_State *L) { lua_pushcfunction(L, count); return 1; }
]]
local APP = [[
local router = require("luaqueduct").router()
router:get("/", function()
  return { nest = require("nest").word, eggs = require("eggs")(), beside = require "beside" }
end)
return router
]]

local function write_rock()
  write("nest/nest-1.0-1.rockspec", ROCK)
  write("nest/nest.lua", "return { word = 'straw' }")
  write("nest/beside.lua", "return 'the one of the tree'")
  write("nest/eggs.c", EGGS)
end

--- Serves the app from a folder that is neither its own nor the program's.
local function serve(program)
  local wrapper = base .. "/run"
  local argv = join(AS_USER, environment(), { program })

  write("run", "#!/bin/sh\nexec '" .. table.concat(argv, "' '") .. "' \"$@\"\n")
  command.run { "chmod", "755", wrapper }
  return server.start { app = base .. "/app/app.lua", binary = wrapper, cwd = base .. "/elsewhere",
    workers = 2 }
end

local function serves_rocks(program)
  local app <close> = serve(program)

  local res = app:get "/"

  assert.are.equal(200, res.status, res.body)
  assert.matches('"nest":"straw"', res.body, 1, true)
  assert.matches('"eggs":3', res.body, 1, true)
  assert.matches('"beside":"the one of the app"', res.body, 1, true)
  app:stop()
end

describe("an installed luaqueduct #once", function()
  setup(function()
    base = command.folder()
    command.run { "mkdir", "-p", base .. "/src", base .. "/home", base .. "/elsewhere" }
    command.run(join({ "cp", "-r" }, SOURCES, { base .. "/src" }))
    write_rock()
    write("app/app.lua", APP)
    write("app/beside.lua", "return 'the one of the app'")
    command.run { "chmod", "755", base }
    if is_root then command.run { "chown", "-R", "nobody:nogroup", base } end
    luarocks("make", ROCKSPEC, "--tree", "../tree")
    must({ "luarocks", "--lua-version", "5.4", "make", "--tree", "../tree" }, base .. "/nest")
  end)

  teardown(function() command.remove(base) end)

  it("comes from a rockspec that lint accepts", function()
    luarocks("lint", ROCKSPEC)
  end)

  describe("by LuaRocks", function()
    it("leaves the program, its Lua files and luaqueduct.core", function()
      local list = files(base .. "/tree")

      for _, path in ipairs { "bin/luaqueduct", "share/lua/5.4/luaqueduct/init.lua",
        "share/lua/5.4/luaqueduct/meta/request.lua", "lib/lua/5.4/luaqueduct/core.so" } do
        assert.matches("\n" .. path .. "\n", list, 1, true)
      end
      assert.matches("^luaqueduct %d", must({ base .. "/tree/bin/luaqueduct", "version" }).stdout)
    end)

    it("serves an app with the rocks of its tree, the app's own modules first", function()
      serves_rocks(base .. "/tree/bin/luaqueduct")
    end)

    it("does so through a link", function()
      must { "ln", "-sf", "../tree/bin/luaqueduct", base .. "/home/aq" }

      serves_rocks(base .. "/home/aq")
    end)

    it("does so from the copy that LuaRocks keeps", function()
      serves_rocks(base .. "/tree/lib/luarocks/rocks-5.4/luaqueduct/scm-1/bin/luaqueduct")
    end)

    it("does so when the tree has been moved", function()
      must { "cp", "-r", base .. "/tree", base .. "/a tree" }

      serves_rocks(base .. "/a tree/bin/luaqueduct")
    end)

    it("has luaqueduct.core for plain Lua", function()
      local lua = base .. "/tree/share/lua/5.4/"
      local out = must { "env", "LUA_CPATH=" .. base .. "/tree/lib/lua/5.4/?.so",
        "LUA_PATH=" .. lua .. "?.lua;" .. lua .. "?/init.lua", "lua5.4", "-e", [[
          local core = require "luaqueduct.core"
          print(core.json.encode { core.version }, require("luaqueduct").ok().status)]] }.stdout

      assert.matches('^%["%d+%.%d+%.%d+"%]\t200\n$', out)
    end)

    it("is replaced by a newer one, under a server that goes on", function()
      write("src/lua/luaqueduct/old.lua", "return 1")
      luarocks("make", ROCKSPEC, "--tree", "../upgraded")
      local app <close> = serve(base .. "/upgraded/bin/luaqueduct")
      command.run { "rm", base .. "/src/lua/luaqueduct/old.lua" }
      local older = must({ base .. "/upgraded/bin/luaqueduct", "version" }).stdout
      must { "sed", "-i", 's/LQ_VERSION "/&9./', base .. "/src/core/base/version.h" }

      luarocks("make", ROCKSPEC, "--tree", "../upgraded")

      must { "sed", "-i", 's/LQ_VERSION "9./LQ_VERSION "/', base .. "/src/core/base/version.h" }
      assert.are.equal((older:gsub("^luaqueduct ", "%09.")),
        must({ base .. "/upgraded/bin/luaqueduct", "version" }).stdout)
      assert.is_nil(files(base .. "/upgraded"):find("old.lua", 1, true))
      assert.are.equal(500, app:get("/").status) -- this tree has no rocks
      app:stop()
    end)

    it("is removed without a trace", function()
      luarocks("make", ROCKSPEC, "--tree", "../removed")

      luarocks("remove", "luaqueduct", "--tree", "../removed")

      for path in files(base .. "/removed"):gmatch "[^\n]+" do
        assert.is_nil(path:find("luaqueduct", 1, true), path)
      end
      assert.are.equal("", must({ "find", base .. "/removed", "-type", "f", "!", "-path",
        "*/luarocks/*" }).stdout)
    end)
  end)

  describe("by make install", function()
    it("is found below DESTDIR and served from there", function()
      must({ "make", "-s", "install", "DESTDIR=" .. base .. "/stage", "PREFIX=/opt/own place" },
        base .. "/src")
      local root = base .. "/stage/opt/own place/"

      must { "cp", "-r", base .. "/tree/share/lua/5.4/nest.lua", root .. "share/lua/5.4" }
      must { "cp", "-r", base .. "/tree/lib/lua/5.4/eggs.so", root .. "lib/lua/5.4" }
      serves_rocks(root .. "bin/luaqueduct")
      assert.matches("lib/lua/5.4/luaqueduct/core.so", files(root), 1, true)
    end)
  end)
end)
