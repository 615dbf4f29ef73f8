--- The command line, option by option: what each takes, and how it refuses the rest.

local options = require "spec.support.options"
local run = require "spec.run"

local parse, refused, serve = options.parse, options.refused, options.serve

describe("options", function()
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

  describe("--trust-proxy", function()
    it("may be repeated, and takes addresses, ranges and unix", function()
      assert.are.equal(0, serve().trusted)
      assert.are.equal(4, serve("--trust-proxy", "10.0.0.0/8", "--trust-proxy=::1",
        "--trust-proxy", "127.0.0.1", "--trust-proxy", "unix").trusted)
    end)

    it("may be given 64 times", function()
      local argv = { "serve" }
      for i = 1, 64 do argv[#argv + 1] = "--trust-proxy=10.0.0." .. i end

      assert.are.equal(64, parse(table.unpack(argv)).trusted)
      argv[#argv + 1] = "--trust-proxy=::1"
      assert.matches("at most 64 times", refused(table.unpack(argv)), 1, true)
    end)

    it("refuses everything else", function()
      local expected = "an IP address, a range such as 10.0.0.0/8, or unix, at most 64 times"

      for _, bad in ipairs { "", "10.0.0.0/33", "::1/129", "10.0.0.0/", "10/8", "localhost", "*",
        "10.0.0.1,10.0.0.2", "[::1]", "unix:/path", "http://10.0.0.1" } do
        assert.are.equal("serve: --trust-proxy: expected " .. expected .. ", not '" .. bad .. "'",
          refused("serve", "--trust-proxy", bad))
      end
      assert.are.equal("serve: --trust-proxy needs a value: expected " .. expected,
        refused("serve", "--trust-proxy"))
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

  for field in pairs(options.SECONDS) do
    local option = options.option_of(field)

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

  for field in pairs(options.SIZES) do
    local option = options.option_of(field)
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

  describe("--log-format", function()
    it("takes one of two names", function()
      for _, name in ipairs { "text", "json" } do
        assert.are.equal(name, serve("--log-format", name).log_format)
      end
      for _, bad in ipairs { "", "JSON", "xml" } do
        assert.are.equal("serve: --log-format: expected text or json, not '" .. bad .. "'",
          refused("serve", "--log-format", bad))
      end
      assert.matches("needs a value", refused("serve", "--log-format"))
    end)
  end)

  describe("--log-file", function()
    it("takes a path", function()
      assert.are.equal("logs/app.log", serve("--log-file", "logs/app.log").log_file)
      assert.are.equal("serve: --log-file: expected the path of a file, not ''",
        refused("serve", "--log-file", ""))
      assert.matches("needs a value", refused("serve", "--log-file"))
    end)
  end)

  describe("--log-rotate", function()
    local function rotation(text)
      return serve("--log-file", "app.log", "--log-rotate", text).log_rotation
    end

    it("takes a size and a count", function()
      assert.are.same({ size = 1024, keep = 5 }, rotation "1K")
      assert.are.same({ size = 64 << 20, keep = 1 }, rotation "64M,1")
      assert.are.same({ size = 512, keep = 999 }, rotation "512,999")
      assert.are.same({ size = 0, keep = 5 }, rotation "0")
    end)

    it("refuses what is neither", function()
      for _, bad in ipairs { "", ",", "1K,", ",5", "1K,0", "1K,1000", "1K,-1", "1K,5,5", "1K 5",
        "K", "1048577G", ("1"):rep(40) } do
        assert.matches("serve: --log-rotate: expected a size such as 64M, or 64M,10 to keep 1 to "
          .. "999 files, up to 1048576G, not '" .. bad .. "'",
          refused("serve", "--log-file", "app.log", "--log-rotate", bad), 1, true)
      end
    end)

    it("needs a file", function()
      assert.are.equal("serve: --log-rotate: expected with --log-file PATH only",
        refused("serve", "--log-rotate", "1K"))
      assert.are.equal(0, serve("--log-rotate", "0").log_rotation.size)
    end)
  end)

  describe("--access-log", function()
    it("takes no value", function()
      assert.is_true(serve("--access-log").access_log)
      assert.are.equal("serve: --access-log: expected no value, not 'yes'",
        refused("serve", "--access-log=yes"))
    end)
  end)
end)
