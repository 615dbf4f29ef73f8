--- Where the program looks for its Lua files and the rocks of its tree.

local command = require "spec.support.command"
local run = require "spec.run"

describe("lq_paths_find()", function()
  local root

  before_each(function() root = command.folder() end)
  after_each(function() command.remove(root) end)

  --- A folder that has the runtime's Lua files.
  local function lua_files(folder)
    command.run { "mkdir", "-p", root .. folder .. "/luaqueduct" }
    command.run { "touch", root .. folder .. "/luaqueduct/app.lua" }
  end

  local function find(program)
    command.run { "mkdir", "-p", (root .. program):match "^(.*)/" }
    return run.paths(root .. program)
  end

  it("finds the folders of an installation", function()
    lua_files "/share/lua/5.4"

    local lua, lib = find "/bin/luaqueduct"

    assert.are.equal(root .. "/share/lua/5.4", lua)
    assert.are.equal(root .. "/lib/lua/5.4", lib)
  end)

  it("finds them from the copy that LuaRocks keeps", function()
    lua_files "/share/lua/5.4"

    local lua, lib = find "/lib/luarocks/rocks-5.4/luaqueduct/scm-1/bin/luaqueduct"

    assert.are.equal(root .. "/share/lua/5.4", lua)
    assert.are.equal(root .. "/lib/lua/5.4", lib)
  end)

  it("finds the tree that it is built in, which has no rocks", function()
    lua_files "/lua"

    for _, program in ipairs { "/build/luaqueduct", "/build/asan/luaqueduct" } do
      local lua, lib = find(program)
      assert.are.equal(root .. "/lua", lua)
      assert.are.equal("", lib)
    end
  end)

  it("goes through links to folders", function()
    lua_files "/real/share/lua/5.4"
    command.run { "ln", "-s", "real", root .. "/link" }

    local lua = find "/link/bin/luaqueduct"

    assert.are.equal(root .. "/real/share/lua/5.4", lua)
  end)

  it("says where they are expected when they are missing", function()
    local lua, err = find "/bin/luaqueduct"

    assert.is_nil(lua)
    assert.matches("luaqueduct/app.lua is expected in ../share/lua/5.4", err, 1, true)
  end)

  it("refuses a path that is too long to be one", function()
    assert.is_nil((run.paths("/" .. ("x"):rep(10000) .. "/luaqueduct")))
  end)
end)
