--- The command line: every option, every refusal, and the help.

local command = require "spec.support.command"
local run = require "spec.run"

local function parse(...)
  return assert(run.parse { ... })
end

--- What `serve` with these arguments is.
local function serve(...)
  return parse("serve", ...)
end

--- The one line with which these arguments are refused.
local function refused(...)
  local options, message = run.parse { ... }

  assert.is_nil(options)
  assert.is_nil(message:find "%c", "more than one line: " .. message)
  return message
end

local SECONDS = {
  drain_timeout = 10, header_timeout = 10, idle_timeout = 75, body_timeout = 30,
  write_timeout = 30, request_timeout = 30, start_timeout = 60,
}
local SIZES = { header_limit = 32 * 1024, body_limit = 10 * 1024 * 1024 }
local LATER = {
  "watch", "trust-proxy", "busy-timeout", "hub-queue",
  "log-format", "log-file", "log-rotate", "access-log",
}

local function option_of(field)
  return "--" .. field:gsub("_", "-")
end

describe("options", function()
  describe("commands", function()
    it("are known by each of their names", function()
      assert.are.equal("serve", parse("serve").command)
      assert.are.equal("routes", parse("routes").command)
      for _, name in ipairs { "version", "--version", "-V" } do
        assert.are.equal("version", parse(name).command)
      end
      for _, name in ipairs { "help", "--help", "-h" } do
        assert.are.equal("help", parse(name).command)
        assert.are.equal("help", parse(name).help_for)
      end
    end)

    it("are needed, and unknown ones refused", function()
      assert.are.equal("a command is expected: serve, routes, version or help", refused())
      assert.are.equal("a command is expected: serve, routes, version or help", refused "")
      for _, name in ipairs { "dance", "create", "test", "migrate", "Serve", "serv", "--serve" } do
        assert.are.equal("unknown command '" .. name ..
          "': expected serve, routes, version or help", refused(name))
      end
    end)

    it("take an app where there is one", function()
      assert.are.equal("app.lua", serve().app)
      assert.are.equal("a.lua", serve("a.lua").app)
      assert.are.equal("a.lua", serve("-j", "2", "a.lua", "--share-port").app)
      assert.are.equal("b/a.lua", parse("routes", "b/a.lua").app)
      assert.are.equal("-", serve("-").app)
    end)

    it("take what follows -- as it is", function()
      assert.are.equal("--app.lua", serve("--", "--app.lua").app)
      assert.are.equal("-j", serve("-j", "3", "--", "-j").app)
      assert.are.equal("app.lua", serve("--").app)
      assert.are.equal("serve: expected one argument, 'b' is too much",
        refused("serve", "--", "a", "b"))
      assert.are.equal("serve: expected one argument, '--' is too much",
        refused("serve", "a", "--", "--"))
    end)

    it("refuse an argument too many, and an app without a name", function()
      assert.are.equal("serve: expected one argument, 'b.lua' is too much",
        refused("serve", "a.lua", "b.lua"))
      assert.are.equal("routes: expected one argument, 'b' is too much",
        refused("routes", "a", "b"))
      assert.are.equal("version: expected no arguments, 'now' is too much",
        refused("version", "now"))
      assert.are.equal("version: expected no arguments, 'now' is too much", refused("-V", "now"))
      assert.are.equal("help: expected one argument, 'routes' is too much",
        refused("help", "serve", "routes"))
      assert.are.equal("serve: APP: expected the path of a Lua file, not ''", refused("serve", ""))
    end)

    it("have help of their own", function()
      assert.are.same({ "help", "serve" }, { serve("--help").command, serve("-h").help_for })
      assert.are.equal("routes", parse("routes", "--help").help_for)
      assert.are.equal("version", parse("version", "--help").help_for)
      assert.are.equal("serve", parse("help", "serve").help_for)
      assert.are.equal("version", parse("--help", "version").help_for)
      assert.are.equal("help: expected serve, routes or version, not 'dance'",
        refused("help", "dance"))
    end)

    it("take help as the end, whatever follows", function()
      assert.are.equal("help", serve("-j", "2", "--help", "--dance").command)
      assert.are.equal("help", serve("-hj").command)
      refused("serve", "--dance", "--help")
    end)
  end)

  describe("defaults", function()
    it("are those of the contract", function()
      local o = serve()

      for field, seconds in pairs(SECONDS) do assert.are.equal(seconds, o[field], field) end
      for field, bytes in pairs(SIZES) do assert.are.equal(bytes, o[field], field) end
      assert.are.equal(0, o.max_connections)
      assert.are.equal(1, o.log_level)
      assert.are.equal(run.cpus(), o.workers)
      assert.is_false(o.share_port)
      assert.are.same({ "http://127.0.0.1:8888" }, o.listen)
      assert.are.same({}, o.pairs)
    end)
  end)

  describe("--workers", function()
    it("takes auto and 1 to 1024, in each of its forms", function()
      assert.are.equal(1, serve("-j", "1").workers)
      assert.are.equal(4, serve("-j4").workers)
      assert.are.equal(7, serve("--workers", "7").workers)
      assert.are.equal(1024, serve("--workers=1024").workers)
      assert.are.equal(run.cpus(), serve("-j", "2", "-j", "auto").workers)
    end)

    it("refuses everything else", function()
      for _, bad in ipairs { "0", "1025", "-1", "+1", " 1", "1 ", "1.5", "four", "", "Auto", "0x4",
        "99999999999999999999", "auto4" } do
        assert.are.equal("serve: --workers: expected auto or a number from 1 to 1024, not '" ..
          bad .. "'", refused("serve", "--workers", bad))
        assert.matches("^serve: %-j, %-%-workers: expected auto", refused("serve", "-j", bad))
        refused("serve", "--workers=" .. bad)
      end
    end)

    it("refuses to stand without a value", function()
      local line = " needs a value: expected auto or a number from 1 to 1024"

      assert.are.equal("serve: -j, --workers" .. line, refused("serve", "-j"))
      assert.are.equal("serve: --workers" .. line, refused("serve", "a.lua", "--workers"))
    end)
  end)

  describe("--listen", function()
    it("may be repeated, and replaces the default", function()
      assert.are.same({ "http://[::1]:80" }, serve("--listen", "http://[::1]:80").listen)
      assert.are.same({ "unix:/tmp/s", "http://localhost:0" },
        serve("--listen=unix:/tmp/s", "--listen", "http://localhost:0").listen)
    end)

    it("may be given 64 times, --port included", function()
      local argv = { "serve" }
      for i = 1, 64 do argv[#argv + 1] = "--listen=http://127.0.0.1:" .. i end

      assert.are.equal(64, #parse(table.unpack(argv)).listen)

      local line = "serve: --listen: expected at most 64 of them, --port and --address included"
      for _, more in ipairs { "--listen=http://127.0.0.1:65", "-p1", "-alocalhost" } do
        argv[66] = more
        assert.are.equal(line, refused(table.unpack(argv)))
      end
    end)

    it("refuses what is no URL, naming it", function()
      assert.are.equal("serve: --listen ftp://x: expected http://HOST:PORT or unix:/PATH",
        refused("serve", "--listen", "ftp://x"))
      assert.are.equal("serve: --listen https://a:1: TLS is not available, expected http://",
        refused("serve", "--listen", "https://a:1"))
      assert.are.equal("serve: --listen needs a value: expected http://HOST:PORT or unix:/PATH",
        refused("serve", "--listen"))
    end)
  end)

  describe("--address and --port", function()
    it("are one more --listen", function()
      assert.are.same({ "http://127.0.0.1:80" }, serve("-p", "80").listen)
      assert.are.same({ "http://127.0.0.1:0" }, serve("--port=0").listen)
      assert.are.same({ "http://0.0.0.0:8888" }, serve("-a", "0.0.0.0").listen)
      assert.are.same({ "http://localhost:65535" },
        serve("--address", "localhost", "-p65535").listen)
      assert.are.same({ "unix:/s", "http://127.0.0.1:1" },
        serve("-p", "1", "--listen", "unix:/s").listen)
    end)

    it("put an IPv6 address in brackets", function()
      assert.are.same({ "http://[::1]:80" }, serve("-a", "::1", "-p", "80").listen)
      assert.are.same({ "http://[::]:8888" }, serve("-a", "[::]").listen)
      assert.are.same({ "http://[fe80::1%eth0]:8888" }, serve("-a", "fe80::1%eth0").listen)
    end)

    it("refuse what is neither", function()
      for _, bad in ipairs { "", "a b", "127.0.0.1:80", "::g", "[::1", "[127.0.0.1]", "a/b", "a@b",
        "http://a", "[::1]:80" } do
        assert.are.equal("serve: --address: expected an IP address or the name of a host, not '" ..
          bad .. "'", refused("serve", "-a", bad))
      end
      refused("serve", "-a", ("a"):rep(300))
      for _, bad in ipairs { "", "-1", "65536", "http", "80/", "0x50", "1.0",
        "99999999999999999999" } do
        assert.are.equal("serve: -p, --port: expected a number from 0 to 65535, not '" ..
          bad .. "'", refused("serve", "-p", bad))
      end
      assert.are.equal("serve: --port needs a value: expected a number from 0 to 65535",
        refused("serve", "--port"))
      assert.are.equal(
        "serve: --address needs a value: expected an IP address or the name of a host",
        refused("serve", "--address"))
    end)
  end)

  describe("--share-port", function()
    it("is a flag", function()
      assert.is_true(serve("--share-port").share_port)
      assert.are.equal("serve: --share-port: expected no value, not 'yes'",
        refused("serve", "--share-port=yes"))
      assert.are.equal("serve: --share-port: expected no value, not ''",
        refused("serve", "--share-port="))
      assert.are.equal("yes", serve("--share-port", "yes").app)
    end)
  end)

  describe("--option", function()
    it("may be repeated, and splits at the first =", function()
      local o = serve("--option", "a=1", "--option=b=x=y", "--option", "c=", "--option", "a=2")

      assert.are.same({ "a=1", "b=x=y", "c=", "a=2" }, o.pairs)
    end)

    it("takes a value that looks like an option", function()
      assert.are.same({ "--help=me" }, serve("--option", "--help=me").pairs)
    end)

    it("belongs to routes too", function()
      assert.are.same({ "a=1" }, parse("routes", "--option", "a=1").pairs)
    end)

    it("refuses what has no name or no =", function()
      for _, bad in ipairs { "", "a", "=", "=a" } do
        assert.are.equal("serve: --option: expected K=V, at most 256 times, not '" .. bad .. "'",
          refused("serve", "--option", bad))
      end
      assert.matches("^routes: %-%-option: ", refused("routes", "--option", "a"))
    end)

    it("may be given 256 times", function()
      local argv = { "serve" }
      for i = 1, 256 do argv[#argv + 1] = "--option=k" .. i .. "=v" end

      assert.are.equal(256, #parse(table.unpack(argv)).pairs)
      argv[#argv + 1] = "--option=last=v"
      assert.matches("at most 256 times", refused(table.unpack(argv)), 1, true)
    end)
  end)

  for field in pairs(SECONDS) do
    local option = option_of(field)

    describe(option, function()
      it("takes seconds", function()
        for text, seconds in pairs {
          ["0"] = 0, ["0.0"] = 0, ["1"] = 1, ["2.5"] = 2.5, ["0.3"] = 0.3, ["010"] = 10,
          ["12.125"] = 12.125, ["1000000000"] = 1e9, ["0.001"] = 0.001,
          ["1.0000000000000000000000000000000001"] = 1,
        } do
          assert.are.equal(seconds, serve(option, text)[field])
          assert.are.equal(seconds, serve(option .. "=" .. text)[field])
        end
      end)

      it("never turns a small limit off", function()
        assert.are.equal(0.001, serve(option, "0.0001")[field])
      end)

      it("refuses everything else", function()
        for _, bad in ipairs { "", "-1", "+1", ".5", "5.", ".", "1e3", "0x10", "inf", "nan", "1s",
          " 1", "1 ", "1,5", "1.2.3", "1000000000.5", "1000000001", "99999999999999999999999" } do
          assert.are.equal("serve: " .. option ..
            ": expected seconds such as 2.5, from 0 (no limit) to 1000000000, not '" .. bad .. "'",
            refused("serve", option, bad))
        end
        assert.are.equal("serve: " .. option .. " needs a value: expected seconds such as 2.5, " ..
          "from 0 (no limit) to 1000000000", refused("serve", option))
      end)
    end)
  end

  for field in pairs(SIZES) do
    local option = option_of(field)
    local most = field == "header_limit" and "1G" or "1048576G"

    describe(option, function()
      it("takes digits with K, M or G", function()
        for text, bytes in pairs {
          ["0"] = 0, ["1"] = 1, ["512"] = 512, ["64K"] = 65536, ["3M"] = 3145728,
          ["1G"] = 1 << 30, ["0G"] = 0, ["1048576K"] = 1 << 30,
          ["000000000000000000000000000001K"] = 1024,
        } do
          assert.are.equal(bytes, serve(option, text)[field])
        end
      end)

      it("refuses everything else", function()
        for _, bad in ipairs { "", "K", "10X", "10k", "10KB", "10KK", "-1", "1.5M", " 1", "1 K",
          "0x10", "9007199254740993K", "18446744073709551616", "17179869184G", "1048577G",
          "99999999999999999999999G" } do
          assert.are.equal("serve: " .. option .. ": expected a size such as 512, 64K or 10M, " ..
            "from 0 (no limit) to " .. most .. ", not '" .. bad .. "'",
            refused("serve", option, bad))
        end
        assert.matches("^serve: %-%-%S+ needs a value: expected a size", refused("serve", option))
      end)
    end)
  end

  it("holds --header-limit and --body-limit to what can be counted", function()
    assert.are.equal(1 << 50, serve("--body-limit", "1048576G").body_limit)
    refused("serve", "--header-limit", "1073741825")
  end)

  describe("--max-connections", function()
    it("takes a count", function()
      assert.are.equal(0, serve("--max-connections", "0").max_connections)
      assert.are.equal(1000000000, serve("--max-connections=1000000000").max_connections)
      for _, bad in ipairs { "", "-1", "1K", "1000000001", "many", "18446744073709551617" } do
        assert.are.equal("serve: --max-connections: expected a number from 0 (no limit) " ..
          "to 1000000000, not '" .. bad .. "'", refused("serve", "--max-connections", bad))
      end
      assert.matches("needs a value", refused("serve", "--max-connections"))
    end)
  end)

  describe("--log-level", function()
    it("takes one of four names", function()
      for level, name in ipairs { "debug", "info", "warn", "error" } do
        assert.are.equal(level - 1, serve("--log-level", name).log_level)
        assert.are.equal(level - 1, parse("routes", "--log-level", name).log_level)
      end
      for _, bad in ipairs { "", "loud", "INFO", "warning", "inf", "1" } do
        assert.are.equal("serve: --log-level: expected debug, info, warn or error, not '" ..
          bad .. "'", refused("serve", "--log-level", bad))
      end
      assert.matches("needs a value", refused("serve", "--log-level"))
    end)
  end)

  describe("an option", function()
    it("given twice counts the last time", function()
      assert.are.equal(3, serve("-j", "1", "--workers", "3").workers)
      assert.are.equal(1, serve("--idle-timeout", "5", "--idle-timeout", "1").idle_timeout)
      assert.are.same({ "http://b:2" }, serve("-p1", "-a", "a b", "-p2", "-a", "b").listen)
    end)

    it("that is unknown is refused, also with a value", function()
      local line = "serve: unknown option --dance; luaqueduct serve --help lists what is expected"

      assert.are.equal(line, refused("serve", "--dance"))
      assert.are.equal(line, refused("serve", "--dance=1", "x"))
      assert.are.equal(line, refused("serve", "a.lua", "--dance", "-j", "2"))
      for _, bad in ipairs { "-x", "-J", "-jx", "-V", "---", "---workers", "--=1", "--workers ",
        "-\u{e9}" } do
        refused("serve", bad)
      end
      assert.matches("unknown option -x;", refused("serve", "-x"), 1, true)
    end)

    it("is not known by an abbreviation or in capitals", function()
      for _, bad in ipairs { "--work", "--worker", "--list=http://a:1", "--share", "--hel", "--h",
        "--drain", "--por=1", "--WORKERS", "--workersx", "--share_port" } do
        assert.matches("^serve: unknown option " .. bad:match "[^=]+":gsub("%-", "%%-") .. ";",
          refused("serve", bad, "2"))
      end
    end)

    it("of a later version is not known", function()
      for _, name in ipairs(LATER) do
        local line = refused("serve", "--" .. name, "1")
        assert.matches("unknown option --" .. name .. ";", line, 1, true)
        assert.is_nil(run.help("serve"):find("--" .. name, 1, true))
      end
    end)

    it("of another command is not known", function()
      assert.matches("^routes: unknown option %-%-workers;", refused("routes", "--workers", "2"))
      assert.matches("^routes: unknown option %-j;", refused("routes", "-j", "2"))
      assert.matches("^version: unknown option %-%-option;", refused("version", "--option", "a=1"))
      assert.matches("^help: unknown option %-%-share%-port;", refused("help", "--share-port"))
    end)
  end)

  it("refuses in one line, however long and strange the text is", function()
    local strange = "\n\27[2J\r\t\127" .. ("x"):rep(10000) .. "\nsecond line"

    for _, argv in ipairs {
      { strange }, { "help", strange }, { "version", strange },
      { "serve", "a", strange }, { "serve", "--" .. strange }, { "serve", "-" .. strange },
      { "serve", "-j", strange }, { "serve", "-a", strange }, { "serve", "-p", strange },
      { "serve", "--option", strange }, { "serve", "--idle-timeout", strange },
      { "serve", "--share-port=" .. strange }, { "serve", "--listen", strange },
      { "serve", "--listen", "unix:/" .. strange },
      { "serve", "--listen", "http://" .. strange .. ":1" },
    } do
      local message = refused(table.unpack(argv))
      assert.is_true(#message < 240)
    end
  end)

  it("does not mind how arguments and options are mixed (argv is checked)", function()
    local random = math.random
    local words = { "a.lua", "-j", "4", "-j4", "--workers=2", "--share-port", "--", "-p",
      "80", "--option", "k=v", "-", "", "--idle-timeout", "-h", "-x", "--work",
      "-hj2", "=" }

    for _ = 1, 3000 do
      local argv = { ({ "serve", "routes", "version", "help" })[random(4)] }
      for _ = 1, random(0, 6) do argv[#argv + 1] = words[random(#words)] end
      local options, message = run.parse(argv)
      assert.is_true(options ~= nil or (message ~= "" and not message:find "%c"))
    end
  end)
end)

describe("help", function()
  it("fits a terminal, and ends with a newline", function()
    for _, name in ipairs { "serve", "routes", "version", "help" } do
      local text = run.help(name)
      assert.are.equal("\n", text:sub(-1))
      for line in text:gmatch "[^\n]*" do
        assert.is_true(#line <= 80, line)
        assert.is_nil(line:find "%s$", "'" .. line .. "'")
      end
    end
  end)

  it("names every option with its default", function()
    local text = run.help "serve"

    for _, what in ipairs { "-j, --workers N|auto", "--listen URL", "-a, --address ADDR",
      "-p, --port PORT", "--share-port", "--option K=V", "--header-limit SIZE", "--body-limit SIZE",
      "--max-connections N", "--log-level LEVEL", "-h, --help", "(auto)", "(127.0.0.1)", "(8888)",
      "(32K)", "(10M)", "(info)" } do
      assert.matches(what, text, 1, true)
      assert.matches(what, run.help "help", 1, true)
    end
    for field, seconds in pairs(SECONDS) do
      local _, from = text:find(option_of(field) .. " S ", 1, true)
      assert.matches("^[^%-]*%(" .. seconds .. "%)\n", text:sub(from))
    end
  end)

  it("of all names the commands", function()
    for _, name in ipairs { "serve [APP]", "routes [APP]", "version", "help [COMMAND]" } do
      assert.matches("\n  " .. name, run.help "help", 1, true)
    end
    for _, name in ipairs { "create", "migrate" } do
      assert.is_nil(run.help("help"):find(name, 1, true))
    end
  end)

  it("of a command shows its own options only", function()
    assert.matches("--option K=V", run.help "routes", 1, true)
    assert.is_nil(run.help("routes"):find("--workers", 1, true))
    assert.is_nil(run.help("version"):find("--option", 1, true))
    assert.matches("Usage: luaqueduct version", run.help "version", 1, true)
  end)
end)

describe("quota()", function()
  local folder

  before_each(function() folder = command.folder() end)
  after_each(function() command.remove(folder) end)

  local function write(path, text)
    command.run { "mkdir", "-p", folder .. "/" .. (path:match "^(.*)/" or "") }
    local file = assert(io.open(folder .. "/" .. path, "w"))
    file:write(text)
    file:close()
  end

  local function quota(list)
    write("list", list)
    return run.quota(folder .. "/list", folder)
  end

  it("rounds cpu.max of version 2 up", function()
    for text, cpus in pairs {
      ["max 100000\n"] = 0, ["100000 100000\n"] = 1, ["150000 100000\n"] = 2, ["1000 100000\n"] = 1,
      ["800000 100000\n"] = 8, ["max\n"] = 0, [""] = 0, ["0 100000"] = 0, ["100000 0"] = 0,
      ["-1 100000"] = 0, ["9223372036854775807 1"] = 2147483647, ["rubbish"] = 0,
    } do
      write("a/cpu.max", text)
      assert.are.equal(cpus, quota "0::/a\n", text)
    end
  end)

  it("takes the least of a group and those above it", function()
    write("cpu.max", "900000 100000")
    write("a/cpu.max", "200000 100000")
    write("a/b/cpu.max", "max 100000")
    write("a/b/c/cpu.max", "400000 100000")

    assert.are.equal(2, quota "0::/a/b/c\n")
    assert.are.equal(9, quota "0::/\n")
    assert.are.equal(9, quota "0::/of/the/host\n")
    assert.are.equal(9, quota "0::/../outside\n")
  end)

  it("reads version 1, wherever the controller is mounted", function()
    write("cpu,cpuacct/x/cpu.cfs_quota_us", "250000\n")
    write("cpu,cpuacct/x/cpu.cfs_period_us", "100000\n")
    write("cpu/cpu.cfs_quota_us", "-1\n")
    write("cpu/cpu.cfs_period_us", "100000\n")
    write("cpuset/cpu.cfs_quota_us", "100000\n")
    write("cpuset/cpu.cfs_period_us", "100000\n")

    assert.are.equal(3, quota "7:cpuset:/\n4:cpu,cpuacct:/x\n0::/\n")
    assert.are.equal(0, quota "4:cpu:/y\n")
    assert.are.equal(0, quota "4:cpuset:/\n")
  end)

  it("finds no limit in what it cannot read", function()
    assert.are.equal(0, run.quota(folder .. "/absent", folder))
    for _, list in ipairs { "", "\n", "0", "0:", "0::", "0::\n", "x:y", "0::relative\n",
      "0::/" .. ("a/"):rep(5000) .. "\n" } do
      assert.are.equal(0, quota(list))
    end
  end)

  it("leaves at least one CPU, and at most those of the mask", function()
    local result = command.run { "nproc" }

    assert.is_true(run.cpus() >= 1)
    assert.is_true(run.cpus() <= tonumber(result.stdout))
  end)
end)
