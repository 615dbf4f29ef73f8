--- The command line as a whole: commands, defaults, unknown options, strange texts, and the help.

local options = require "spec.support.options"
local run = require "spec.run"

local parse, refused, serve = options.parse, options.refused, options.serve

local LATER = {
  "gc",
}

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
      local wanted = "a command is expected: serve, routes, migrate, version or help"
      assert.are.equal(wanted, refused())
      assert.are.equal(wanted, refused "")
      for _, name in ipairs { "dance", "create", "test", "Migrate", "Serve", "serv", "--serve" } do
        assert.are.equal("unknown command '" .. name ..
          "': expected serve, routes, migrate, version or help", refused(name))
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

    it("of migrate are an action, and what it takes", function()
      assert.are.same({ "action=up", "dir=migrations" }, parse("migrate", "up").pairs)
      assert.are.same({ "action=down", "argument=2", "dir=sql", "url=postgres:///app" },
        parse("migrate", "--dir", "sql", "down", "--url=postgres:///app", "2").pairs)
      assert.are.same({ "action=down", "dir=migrations" }, parse("migrate", "down").pairs)
      assert.are.same({ "action=new", "argument=a_B-1", "dir=migrations" },
        parse("migrate", "new", "a_B-1").pairs)
      assert.are.same({ "action=status", "dir=migrations" }, parse("migrate", "status").pairs)
    end)

    it("of migrate refuse what is not, and what is missing", function()
      assert.are.equal("migrate: expected up, down, status or new", refused "migrate")
      assert.are.equal("migrate: expected up, down, status or new, not 'sideways'",
        refused("migrate", "sideways"))
      assert.are.equal("migrate up: '1' is too much", refused("migrate", "up", "1"))
      assert.are.equal("migrate down: '2' is too much", refused("migrate", "down", "1", "2"))
      for _, count in ipairs { "0", "x", "1000001", "" } do
        assert.are.equal("migrate down: expected a number from 1 to 1000000, not '" .. count .. "'",
          refused("migrate", "down", count))
      end
      assert.are.equal("migrate new: expected a name such as create_notes",
        refused("migrate", "new"))
      for _, name in ipairs { "a b", "a.b", "../a", "", ("a"):rep(101) } do
        assert.matches("^migrate new: expected a name of letters, digits, _ and %-, not '",
          refused("migrate", "new", name))
      end
      assert.are.equal("migrate: --url: expected a URL such as postgres:///app, not ''",
        refused("migrate", "up", "--url", ""))
      assert.matches("^migrate: unknown option %-%-workers;", refused("migrate", "--workers", "2"))
    end)

    it("have help of their own", function()
      assert.are.same({ "help", "serve" }, { serve("--help").command, serve("-h").help_for })
      assert.are.equal("routes", parse("routes", "--help").help_for)
      assert.are.equal("version", parse("version", "--help").help_for)
      assert.are.equal("serve", parse("help", "serve").help_for)
      assert.are.equal("version", parse("--help", "version").help_for)
      assert.are.equal("help: expected serve, routes, migrate or version, not 'dance'",
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

      for field, seconds in pairs(options.SECONDS) do assert.are.equal(seconds, o[field], field) end
      for field, bytes in pairs(options.SIZES) do assert.are.equal(bytes, o[field], field) end
      assert.are.equal(0, o.max_connections)
      assert.are.equal(1, o.log_level)
      assert.are.equal("text", o.log_format)
      assert.is_nil(o.log_file)
      assert.are.same({ size = 0, keep = 0 }, o.log_rotation)
      assert.is_false(o.access_log)
      assert.are.equal(run.cpus(), o.workers)
      assert.is_false(o.share_port)
      assert.are.same({ "http://127.0.0.1:8888" }, o.listen)
      assert.are.same({}, o.pairs)
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
      local argv = { ({ "serve", "routes", "migrate", "version", "help" })[random(5)] }
      for _ = 1, random(0, 6) do argv[#argv + 1] = words[random(#words)] end
      local parsed, message = run.parse(argv)
      assert.is_true(parsed ~= nil or (message ~= "" and not message:find "%c"))
    end
  end)
end)

describe("help", function()
  it("fits a terminal, and ends with a newline", function()
    for _, name in ipairs { "serve", "routes", "migrate", "version", "help" } do
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
      "-p, --port PORT", "--share-port", "--trust-proxy CIDR",
      "--option K=V", "--header-limit SIZE", "--body-limit SIZE",
      "--max-connections N", "--log-level LEVEL", "--log-format FORMAT", "--log-file PATH",
      "--log-rotate SIZE[,KEEP]", "--access-log", "-h, --help", "(auto)", "(127.0.0.1)", "(8888)",
      "(32K)", "(10M)", "(info)" } do
      assert.matches(what, text, 1, true)
      assert.matches(what, run.help "help", 1, true)
    end
    for field, seconds in pairs(options.SECONDS) do
      local _, from = text:find(options.option_of(field) .. " S ", 1, true)
      assert.matches("^[^%-]*%(" .. seconds .. "%)\n", text:sub(from))
    end
  end)

  it("of all names the commands", function()
    for _, name in ipairs { "serve [APP]", "routes [APP]", "migrate ACTION", "version",
      "help [COMMAND]" } do
      assert.matches("\n  " .. name, run.help "help", 1, true)
    end
    assert.is_nil(run.help("help"):find("create ", 1, true))
  end)

  it("of a command shows its own options only", function()
    assert.matches("--option K=V", run.help "routes", 1, true)
    assert.is_nil(run.help("routes"):find("--workers", 1, true))
    assert.is_nil(run.help("version"):find("--option", 1, true))
    assert.matches("Usage: luaqueduct version", run.help "version", 1, true)
  end)
end)
