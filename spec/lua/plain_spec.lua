--- luaqueduct in plain Lua: what works there, what says that it does not.

local command = require "spec.support.command"
local core = require "spec.support.core"

local MODULE = core.build .. "/lib/luaqueduct/core.so"

--- Runs a script in an interpreter of its own, which knows nothing of the specs.
local function run(script)
  local result = command.run({ "lua5.4", "-" }, {
    stdin = script,
    env = {
      LUA_CPATH_5_4 = core.build .. "/lib/?.so",
      LUA_PATH_5_4 = core.absolute "lua/?.lua" .. ";" .. core.absolute "lua/?/init.lua",
    },
  })
  assert.are.equal("", result.stderr)
  assert.are.equal(0, result.status)
  return result.stdout
end

local folder

local function lua(text)
  local path = folder .. "/script.lua"
  local file = assert(io.open(path, "w"))
  assert(file:write(text))
  file:close()
  return run(path)
end

describe("in plain Lua #once", function()
  before_each(function() folder = command.folder() end)
  after_each(function() command.remove(folder) end)

  describe("luaqueduct.core", function()
    it("has the pure layers", function()
      assert.are.equal('{"list":[1,2]} 1 cat 7 a%20b 0.1.0', lua [[
        local core = require "luaqueduct.core"
        local router = core.router.new()
        router:add("GET", "/users/:id", 1)
        local _, tag, params = router:match("GET", "/users/7")
        io.write(core.json.encode { list = { 1, 2 } }, " ", tag, " ",
          core.pack.unpack(core.pack.pack { "cat" })[1], " ", params.id, " ",
          core.url.encode "a b", " ", core.version)]])
    end)

    it("registers its parts under their own names", function()
      assert.are.equal("true", lua [[
        local core = require "luaqueduct.core"
        for _, name in ipairs { "errors", "json", "pack", "router", "url" } do
          assert(require("luaqueduct.core." .. name) == core[name], name)
        end
        io.write "true"]])
    end)

    it("gives errors that read well", function()
      assert.are.equal("invalid true", lua [[
        local value, err = require("luaqueduct.core").json.decode "{"
        io.write(err.code, " ", tostring(value == nil and #tostring(err) > 0))]])
    end)

    it("starts no thread, and brings neither libuv nor another Lua", function()
      assert.are.equal("1 1 0", lua [[
        local function count(path, pattern)
          local _, n = io.open(path):read("a"):gsub(pattern, "")
          return n
        end
        local before = count("/proc/self/maps", "r%-xp [^\n]*liblua")
        local aq = require "luaqueduct"
        aq.json.encode(aq.json.decode "[1]")
        local threads = io.open("/proc/self/status"):read("a"):match "Threads:%s*(%d+)"
        local more = count("/proc/self/maps", "r%-xp [^\n]*liblua") - before
        io.write(threads, " ", count("/proc/self/maps", "r%-xp [^\n]*luaqueduct/core%.so"),
          " ", more + count("/proc/self/maps", "r%-xp [^\n]*libuv"))]])
    end)

    it("does not link liblua, and shows its entry alone", function()
      local needed = command.run({ "readelf", "-d", MODULE }).stdout
      local shown = command.run({ "nm", "-D", "--defined-only", MODULE }).stdout

      assert.matches("NEEDED", needed, 1, true)
      assert.is_nil(needed:find "liblua")
      assert.is_nil(needed:find "libuv")
      assert.matches("^%x+ T luaopen_luaqueduct_core\n$", shown)
    end)
  end)

  describe("luaqueduct", function()
    it("builds routers and answers", function()
      assert.are.equal('201 /users/7 {"id":7} 405', lua [[
        local aq = require "luaqueduct"
        local router = aq.router()
        router:post("/users/:id(%d+)", function(req)
          return aq.created(req.path, { id = tonumber(req.params.id) })
        end)
        local handler, params = router:match("POST", "/users/7")
        local res = handler { params = params, path = "/users/7" }
        local _, status = router:match("GET", "/users/7")
        io.write(res.status, " ", res.headers.Location, " ", aq.json.encode(res.body), " ", status)
      ]])
    end)

    it("writes records from info on to standard error", function()
      assert.are.equal("error an error\ninfo  hello n=1\nwarn  nest: w\n", lua [[
        local aq = require "luaqueduct"
        io.stderr = io.stdout
        aq.log.error "an error"
        aq.log.info("hello", { n = 1 })
        aq.log.debug "unseen"
        aq.logger("nest").warn "w"]])
    end)

    it("says what needs the runtime, with the caller's place", function()
      local words = lua [[
        local aq = require "luaqueduct"
        local uses = {
          function() aq.sleep(1) end,
          function() aq.spawn(print) end,
          function() aq.after(1, print) end,
          function() aq.every(1, print) end,
          function() aq.all(print) end,
          function() aq.shield(print) end,
          function() local _ = aq.now() end,
          function() local _ = aq.time() end,
          function() local _ = aq.instance.id end,
        }
        for _, use in ipairs(uses) do print(select(2, pcall(use))) end]]
      local count = 0

      for line in words:gmatch "[^\n]+" do
        count = count + 1
        local place = "^stdin:" .. count + 2 .. ": "
        assert.matches(place .. ".+ needs the runtime: .*`luaqueduct serve`", line)
      end
      assert.are.equal(9, count)
    end)
  end)
end)
