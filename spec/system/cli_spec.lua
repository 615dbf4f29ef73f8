--- The command line: what is asked for, what is refused.

local command = require "spec.support.command"
local server = require "spec.support.server"

local APP = "examples/hello.lua"

local function run(...)
  return server.run({ ... }, { timeout = 10 })
end

local function is_usage_error(res, text)
  assert.are.equal(2, res.status)
  assert.are.equal("", res.stdout)
  assert.matches("^luaqueduct: [^\n]+\n$", res.stderr)
  assert.matches(text, res.stderr, 1, true)
end

describe("luaqueduct", function()
  it("needs a command that it knows", function()
    is_usage_error(run(), "serve")
    is_usage_error(run "dance", "dance")
    is_usage_error(run "", "command")
    is_usage_error(run "--dance", "--dance")
  end)

  it("prints its help", function()
    for _, args in ipairs { { "--help" }, { "help" }, { "serve", "--help" }, { "serve", "-h" } } do
      local res = server.run(args)

      assert.are.equal(0, res.status)
      assert.are.equal("", res.stderr)
      for _, text in ipairs { "serve [APP]", "-j, --workers", "--listen", "--drain-timeout",
        "--option", "--body-limit" } do
        assert.matches(text, res.stdout, 1, true)
      end
      for line in res.stdout:gmatch "[^\n]+" do
        assert.is_true(#line <= 100, "too long: " .. line)
      end
    end
  end)

  it("prints versions", function()
    for _, name in ipairs { "version", "--version" } do
      local res = run(name)

      assert.are.equal(0, res.status)
      assert.are.equal("", res.stderr)
      for _, part in ipairs { "luaqueduct", "Lua", "libuv", "llhttp", "libpq" } do
        assert.matches(part .. " %d+%.%d+", res.stdout)
      end
    end
  end)
end)

describe("luaqueduct serve", function()
  it("refuses options that it does not know", function()
    for _, option in ipairs { "--dance", "-x", "--work", "--Workers", "---" } do
      is_usage_error(run("serve", APP, option), "unknown option " .. option)
    end
    is_usage_error(run("serve", APP, "--dance=now"), "unknown option --dance")
  end)

  it("refuses values that make no sense", function()
    local bad = {
      workers = { "0", "-1", "1.5", "many", "", "1025", "99999999999999999999", "0x4" },
      port = { "-1", "65536", "http", "" },
      ["idle-timeout"] = { "-1", "soon", "1s", "nan", "inf", "1e3", "", "0x10" },
      ["drain-timeout"] = { "-0.5", "." },
      ["start-timeout"] = { "x" },
      ["body-limit"] = { "10X", "-1", "1.5M", "M", "", "99999999999G", "10MB" },
      ["header-limit"] = { "x" },
      ["max-connections"] = { "-1", "x" },
      ["trust-proxy"] = { "10.0.0.0/33", "localhost", "" },
      ["log-level"] = { "loud", "", "INFO" },
      option = { "novalue", "=value", "" },
    }

    for name, values in pairs(bad) do
      for _, value in ipairs(values) do
        is_usage_error(run("serve", APP, "--" .. name, value), "--" .. name)
        is_usage_error(run("serve", APP, "--" .. name .. "=" .. value), "--" .. name)
      end
    end
  end)

  it("refuses a value that is missing or too much, and a second app", function()
    is_usage_error(run("serve", APP, "--workers"), "--workers")
    is_usage_error(run("serve", APP, "-j"), "-j")
    is_usage_error(run("serve", APP, "--share-port=yes"), "--share-port")
    is_usage_error(run("serve", APP, "other.lua"), "other.lua")
  end)

  it("cannot use an address that nobody has", function()
    for _, url in ipairs { "http://192.0.2.1:0", "unix:/nowhere/at/all.sock" } do
      local res = run("serve", APP, "--listen", url)

      assert.are.equal(1, res.status)
      assert.are.equal("", res.stdout)
      assert.matches(url:match "[^/:]+%.[%w.]+", res.stderr, 1, true)
    end
  end)

  it("takes values in every form; the last one wins", function()
    for _, args in ipairs { { "-j", "2" }, { "-j2" }, { "--workers=2" }, { "--workers", "2" },
      { "-j", "4", "-j", "2" } } do
      local app <close> = server.start { app = APP, args = args }

      assert.are.equal(2, app.workers)
      assert.are.equal(200, app:get("/").status)
      app:stop { status = 0 }
    end
  end)

  it("takes -a and -p as one more address", function()
    local app <close> = server.start { app = APP, args = { "-a", "127.0.0.1", "-p", "0" } }

    assert.are.equal(2, #app.addresses)
    app:stop { status = 0 }
  end)

  it("starts as many workers as there are CPUs for auto", function()
    local app <close> = server.start { app = APP, args = { "-j", "auto" } }
    local cpus = tonumber(command.run({ "nproc" }).stdout)

    assert.is_true(app.workers >= 1 and app.workers <= cpus, app.workers .. " workers")
    app:stop { status = 0 }
  end)

  it("serves app.lua of the current folder unless told", function()
    local folder = command.folder()
    local file <close> = assert(io.open(folder .. "/app.lua", "w"))
    file:write 'return function() return "mine" end'
    file:close()

    local res = server.run({ "routes" }, { cwd = folder })
    command.remove(folder)

    assert.are.equal(0, res.status, res.stderr)
  end)

  it("serves when the standard descriptors are closed", function()
    local folder = command.folder()
    local wrapped, path = folder .. "/wrapped", folder .. "/log"
    local file = assert(io.open(wrapped, "w"))
    file:write(("#!/bin/sh\nexec %s \"$@\" <&- 2>&-\n"):format(server.binary()))
    file:close()
    command.run { "chmod", "+x", wrapped }

    do
      local app <close> = server.start {
        source = [[
          local aq = require "luaqueduct"
          local router = aq.router()
          router:get("/", function()
            io.stderr:write "to nobody"
            print "to the log"
            return io.read "a"
          end)
          return router
        ]],
        binary = wrapped,
        args = { "--log-file", path },
      }
      assert.are.equal("", app:get("/").body)
      app:stop { status = 0 }
    end

    assert.matches("info  w1: to the log", command.read_file(path), 1, true)
    assert.is_nil(command.read_file(path):find("to nobody", 1, true))
    command.remove(folder)
  end)

  it("counts one worker in the plural, as it is told", function()
    local app <close> = server.start { app = APP }

    assert.matches("^luaqueduct: listening on http://127%.0%.0%.1:%d+ %(1 workers%)$",
      app.ready_line)
    app:stop { status = 0 }
  end)
end)

describe("luaqueduct routes", function()
  it("prints every route with its method", function()
    local res = run("routes", "examples/routing.lua")

    assert.are.equal(0, res.status)
    assert.are.equal("", res.stderr)
    assert.matches("GET +/%S*", res.stdout)
    assert.matches("^GET +/ ", run("routes", APP).stdout)
  end)

  it("tells of an app that is broken or not there", function()
    local res = run("routes", "/nowhere/app.lua")

    assert.are.equal(1, res.status)
    assert.are.equal("", res.stdout)
    assert.matches("/nowhere/app.lua", res.stderr, 1, true)
  end)
end)
