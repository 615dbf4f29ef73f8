--- The listening sockets: URLs, who may have a port, what is shown and shut.

local command = require "spec.support.command"
local proc = require "spec.proc"
local run = require "spec.run"
local socket = require "socket"
local unix = require "socket.unix"

local V4, V6 = "http://127.0.0.1:0", "http://[::1]:0"
local USED = "address already in use"

local function open(url, workers, share_port)
  return assert(run.open(type(url) == "table" and url or { url }, workers, share_port))
end

local function port_of(sockets, listener)
  return tonumber(sockets:url(listener or 1):match ":(%d+)$")
end

--- Connects to a TCP port or a path; nil and why when that fails.
local function connect(where, host)
  local client = type(where) == "string" and unix.stream() or
    (host == "::1" and socket.tcp6 or socket.tcp4)()
  client:settimeout(5)
  local ok, err = client:connect(type(where) == "string" and where or (host or "127.0.0.1"),
    type(where) == "number" and where or nil)
  if ok then return client end
  client:close()
  return nil, err
end

--- Asserts that a descriptor listens or does not.
local function all_listen(sockets, workers, expected)
  for worker = 1, workers do
    assert.are.equal(expected, run.flags(sockets:fd(1, worker)).listening)
  end
end

local function failure(urls, workers, share_port)
  local list = type(urls) == "table" and urls or { urls }
  local sockets, message, name = run.open(list, workers, share_port)

  assert.is_nil(sockets)
  return message, name
end

local function descriptors()
  return proc.fds(tonumber(io.open("/proc/self/stat"):read "n"))
end

describe("sockets", function()
  local before

  before_each(function()
    collectgarbage()
    before = descriptors()
  end)
  after_each(function()
    collectgarbage()
    assert.are.equal(before, descriptors())
  end)

  describe("check()", function()
    it("takes what can be listened on", function()
      for _, url in ipairs { "http://127.0.0.1:8888", "http://[::1]:80", "http://0.0.0.0:0",
        "http://localhost:80", "http://localhost:80/", "http://[::]:65535", "http://a-b.c_d:1",
        "http://[fe80::1%eth0]:80", "http://[::ffff:1.2.3.4]:80", "http://127.0.0.1:00080",
        "unix:/path.sock", "unix:/a b/\u{e9}", "unix:///tmp/s", "unix:/" .. ("x"):rep(106) } do
        assert.is_true(run.check(url))
      end
    end)

    it("says what is wrong with the rest", function()
      local HOST = "expected http://HOST:PORT with a name, an IPv4 address or an IPv6 address " ..
        "in brackets"
      local BEHIND, PORT = "expected a port behind the host", "expected a port from 0 to 65535"
      local PATH = "expected an absolute path: unix:/PATH"
      local KIND = "expected http://HOST:PORT or unix:/PATH"

      for url, why in pairs {
        ["http://:80"] = HOST, ["http://"] = HOST, ["http:///"] = HOST, ["http://[]:80"] = HOST,
        ["http://[::1:80"] = HOST, ["http://::1:80"] = HOST, ["http://[127.0.0.1]:80"] = HOST,
        ["http://[localhost]:80"] = HOST, ["http://a b:80"] = HOST, ["http://u@h:80"] = HOST,
        ["http://[::g]:80"] = HOST, ["http://[%eth0]:80"] = HOST, ["http://*:80"] = HOST,
        ["http://localhost"] = BEHIND, ["http://localhost/"] = BEHIND, ["http://[::1]"] = BEHIND,
        ["http://[::1]80"] = BEHIND,
        ["http://a:"] = PORT, ["http://a:/"] = PORT, ["http://a:65536"] = PORT,
        ["http://a:-1"] = PORT,
        ["http://a:+1"] = PORT, ["http://a: 1"] = PORT, ["http://a:80x"] = PORT,
        ["http://a:999999"] = PORT, ["http://a:000080"] = PORT, ["http://a:80?x"] = PORT,
        ["http://a:80#x"] = PORT, ["http://1:2:3"] = PORT,
        ["http://a:80/x"] = "expected nothing behind the port",
        ["http://a:80//"] = "expected nothing behind the port",
        ["https://a:80"] = "TLS is not available, expected http://",
        ["unix:"] = PATH, ["unix:/"] = PATH, ["unix:relative"] = PATH, ["unix:@abstract"] = PATH,
        ["unix:/a\nb"] = "expected no control characters",
        ["unix:/" .. ("x"):rep(107)] = "expected a path of at most 107 bytes",
        [""] = KIND, ["localhost:80"] = KIND, ["HTTP://a:80"] = KIND, ["ftp://a:1"] = KIND,
        ["http:a:80"] = KIND, ["8888"] = KIND,
      } do
        local ok, message, name = run.check(url)

        assert.are.same({ nil, "invalid" }, { ok, name })
        assert.are.equal("--listen " .. url:sub(1, 120) .. ": " .. why, message)
      end
    end)

    it("takes no host that is too long", function()
      assert.is_true(run.check("http://" .. ("a"):rep(255) .. ":1"))
      assert.is_nil(run.check("http://" .. ("a"):rep(256) .. ":1"))
      assert.is_nil(run.check("http://[" .. ("1"):rep(256) .. "]:1"))
      assert.is_nil(run.check("http://" .. ("a"):rep(100000)))
    end)
  end)

  for host, url in pairs { ["127.0.0.1"] = V4, ["::1"] = V6 } do
    describe(url, function()
      it("has one socket for each worker, all on one port that is shown", function()
        local s <close> = open(url, 4)
        local fds = {}

        for worker = 1, 4 do fds[s:fd(1, worker)] = true end
        local count = 0
        for fd in pairs(fds) do
          count = count + 1
          local flags = run.flags(fd)
          flags.listening, flags.v6only = nil, host == "::1" and flags.v6only or nil
          assert.are.same({ nonblocking = true, cloexec = true, reuseaddr = true, reuseport = true,
            nodelay = true, v6only = host == "::1" or nil }, flags)
        end
        assert.are.equal(4, count)
        assert.are.equal(1, s:count())
        assert.is_false(s:is_shared(1))
        assert.is_true(port_of(s) > 0)
        assert.are.equal(url:gsub("0$", "") .. port_of(s), s:url(1))
      end)

      it("refuses connections until it listens", function()
        local s <close> = open(url, 2)

        all_listen(s, 2, false)
        assert.are.equal("connection refused", (select(2, connect(port_of(s), host))))
        assert.is_true(s:listen())
        all_listen(s, 2, true)
        local client = assert(connect(port_of(s), host))
        client:close()
      end)

      it("gives each connection to one of the workers, without delay", function()
        local s <close> = open(url, 2)
        assert(s:listen())
        local clients, taken = {}, 0

        for i = 1, 20 do clients[i] = assert(connect(port_of(s), host)) end
        for worker = 1, 2 do
          repeat
            local is_there, has_nodelay = run.accept(s:fd(1, worker))
            if is_there then
              taken = taken + 1
              assert.is_true(has_nodelay)
            end
          until not is_there
        end
        for _, client in ipairs(clients) do client:close() end

        assert.are.equal(20, taken)
      end)

      it("refuses connections once shut, with its descriptors still open", function()
        local s <close> = open(url, 2)
        assert(s:listen())
        s:shut()

        all_listen(s, 2, false)
        assert.are.equal("connection refused", (select(2, connect(port_of(s), host))))
      end)

      it("refuses connections once closed, and can be opened again at once", function()
        local s = open(url, 2)
        assert(s:listen())
        local port = port_of(s)
        local client = assert(connect(port, host))
        -- Accepted and closed by the server first: it is in TIME_WAIT now.
        assert.is_true((run.accept(s:fd(1, 1))) or (run.accept(s:fd(1, 2))))
        s:close()
        client:close()

        assert.are.equal("connection refused", (select(2, connect(port, host))))
        local again <close> = open((url:gsub("0$", port)), 2)
        assert.is_true(again:listen())
      end)
    end)
  end

  describe("URLs", function()
    it("are shown without the slash, with the name as given", function()
      local s <close> = open { "http://localhost:0/", "http://0.0.0.0:0", "http://[::]:0" }

      assert.matches("^http://localhost:%d+$", s:url(1))
      assert.matches("^http://0%.0%.0%.0:%d+$", s:url(2))
      assert.matches("^http://%[::%]:%d+$", s:url(3))
      assert.are.equal(3, s:count())
    end)

    it("with localhost are those of 127.0.0.1, whatever a resolver knows", function()
      for _, name in ipairs { "localhost", "LocalHost", "localhost.", "some.name.localhost" } do
        local s <close> = open("http://" .. name .. ":0")
        assert(s:listen())

        assert.are.equal("http://" .. name .. ":" .. port_of(s), s:url(1))
        local client = assert(connect(port_of(s)))
        client:close()
      end
      failure "http://localhost.invalid:80"
      failure "http://localhost..:80"
    end)

    it("with [::] leave IPv4 alone", function()
      local s <close> = open "http://[::]:0"
      assert(s:listen())
      local both <close> = open("http://0.0.0.0:" .. port_of(s))

      assert.is_true(both:listen())
    end)

    it("that are wrong leave nothing open", function()
      assert.are.equal("--listen https://a:1: TLS is not available, expected http://",
        (failure { V4, V6, "https://a:1" }))
      assert.matches("^%-%-listen http://no%-such%-host%.invalid:80: %u", (failure {
        V4, "http://no-such-host.invalid:80" }))
      local message, name = failure "http://192.0.2.1:0"
      assert.are.equal("--listen http://192.0.2.1:0: this machine has no such address", message)
      assert.are.equal("EADDRNOTAVAIL", name)
    end)

    it("may be 64, with many workers", function()
      local urls = {}
      for i = 1, 64 do urls[i] = V4 end
      local s <close> = open(urls, 8)
      local ports = {}

      assert.is_true(s:listen())
      for i = 1, 64 do ports[port_of(s, i)] = true end
      local count = 0
      for _ in pairs(ports) do count = count + 1 end
      assert.are.equal(64, count)
    end)
  end)

  describe("a used port", function()
    it("is an error when another runtime listens on it", function()
      local first <close> = open(V4, 2)
      assert(first:listen())

      local message, name = failure(first:url(1), 2)
      assert.are.equal("--listen " .. first:url(1) .. ": " .. USED, message)
      assert.are.equal("EADDRINUSE", name)
      failure(first:url(1):gsub("127.0.0.1", "0.0.0.0"))
      for worker = 1, 2 do assert.is_false((run.accept(first:fd(1, worker)))) end
    end)

    it("is an error when another kind of server listens on it", function()
      local other = assert(socket.bind("127.0.0.1", 0))
      local _, port = other:getsockname()

      assert.matches(USED, failure("http://127.0.0.1:" .. port), 1, true)
      assert.matches(USED, failure("http://127.0.0.1:" .. port, 1, true), 1, true)
      other:close()
    end)

    it("is noticed at listen() by the second of two that start side by side", function()
      local first <close> = open(V4, 2)
      local second <close> = open(first:url(1), 2)

      assert.is_true(first:listen())
      local ok, message = second:listen()
      assert.is_nil(ok)
      assert.are.equal("--listen " .. first:url(1) .. ": " .. USED, message)
      all_listen(second, 2, false)
    end)

    it("makes nothing listen when one of several is taken", function()
      local first <close> = open(V4)
      local second <close> = open { V4, first:url(1) }
      assert(first:listen())

      assert.is_nil((second:listen()))
      assert.is_nil((connect(port_of(second))))
    end)

    it("is shared when both sides want it", function()
      local first <close> = open(V4, 2, true)
      assert(first:listen())
      local second <close> = open(first:url(1), 2, true)

      assert.is_true(second:listen())
      failure(first:url(1))
    end)

    it("is an error when one command line names it twice", function()
      local first = open(V4)
      local url = first:url(1)
      first:close()

      assert.are.equal("--listen " .. url .. ": it is given twice", (failure { url, url .. "/" }))
      local both <close> = open { V4, V4 }
      assert.are_not.equal(port_of(both, 1), port_of(both, 2))
    end)
  end)

  describe("a unix socket", function()
    local folder, path

    before_each(function()
      folder = command.folder()
      path = folder .. "/s"
    end)
    after_each(function() command.remove(folder) end)

    local function exists(name)
      return command.run({ "test", "-S", name or path }).status == 0
    end

    local function server()
      local s = unix.stream()
      assert(s:bind(path))
      assert(s:listen())
      return s
    end

    it("is one for all workers", function()
      local s <close> = open("unix:" .. path, 3)

      assert.are.equal(s:fd(1, 1), s:fd(1, 3))
      assert.is_true(s:is_shared(1))
      assert.are.equal("unix:" .. path, s:url(1))
      local flags = run.flags(s:fd(1, 1))
      assert.is_true(flags.nonblocking and flags.cloexec and not flags.listening)
    end)

    it("refuses connections until it listens, and goes with its file", function()
      local s = open("unix:" .. path)

      assert.are.equal("connection refused", (select(2, connect(path))))
      assert.is_true(s:listen())
      local client = assert(connect(path))
      assert.is_true((run.accept(s:fd(1, 1))))
      client:close()
      s:close()
      assert.is_false(exists())
    end)

    it("refuses connections once shut", function()
      local s <close> = open("unix:" .. path)
      assert(s:listen())
      s:shut()

      assert.are.equal("connection refused", (select(2, connect(path))))
      assert.is_true(exists())
    end)

    it("replaces the file that a dead server has left", function()
      server():close()
      assert.is_true(exists())

      local s <close> = open("unix:" .. path)
      assert.is_true(s:listen())
      assert(connect(path)):close()
    end)

    it("leaves a live server alone", function()
      local other = server()

      assert.are.equal("--listen unix:" .. path .. ": " .. USED, (failure("unix:" .. path)))
      assert.is_true(exists())
      assert(connect(path)):close()
      other:close()
    end)

    it("leaves a live datagram socket alone", function()
      local other = unix.dgram()
      assert(other:bind(path))

      assert.matches(USED, failure("unix:" .. path), 1, true)
      other:close()
    end)

    it("never removes what is no socket", function()
      local file = assert(io.open(path, "w"))
      file:write "precious"
      file:close()
      command.run { "mkdir", folder .. "/d" }
      command.run { "ln", "-s", folder .. "/nowhere", folder .. "/l" }

      for name, url in pairs { s = path, d = folder .. "/d", l = folder .. "/l" } do
        assert.are.equal("--listen unix:" .. url .. ": there is a file that is no socket",
          (failure("unix:" .. url)), name)
      end
      assert.are.equal("precious", command.read_file(path))
    end)

    it("removes at close only its own file", function()
      local s = open("unix:" .. path)
      assert(s:listen())
      command.run { "rm", path }
      local other = server()

      s:close()
      assert.is_true(exists())
      assert(connect(path)):close()
      other:close()
    end)

    it("does not mind at close that the file is gone", function()
      local s = open("unix:" .. path)
      command.run { "rm", path }

      s:close()
      assert.is_false(exists())
    end)

    it("is not served when another took the file away before listen()", function()
      local first <close> = open("unix:" .. path)
      local second <close> = open("unix:" .. path)

      local ok, message = first:listen()
      assert.is_nil(ok)
      assert.are.equal("--listen unix:" .. path .. ": another process took the file away", message)
      assert.is_true(second:listen())
      first:close()
      assert(connect(path)):close()
    end)

    it("is an error when it is named twice, or in no folder", function()
      assert.are.equal("--listen unix:" .. path .. ": it is given twice",
        (failure { "unix:" .. path, "unix:" .. path }))
      assert.is_false(exists())
      assert.matches("No such file or directory", failure("unix:" .. folder .. "/no/s"), 1, true)
    end)

    it("has a path of up to 107 bytes", function()
      local long = folder .. "/" .. ("x"):rep(107 - #folder - 1)
      local s <close> = open("unix:" .. long)

      assert.is_true(s:listen())
      assert.is_true(exists(long))
      assert.matches("at most 107 bytes", failure("unix:" .. long .. "x"), 1, true)
    end)

    it("stands beside TCP", function()
      local s <close> = open({ V4, "unix:" .. path, V6 }, 2)

      assert.is_true(s:listen())
      assert.are.same({ false, true, false }, { s:is_shared(1), s:is_shared(2), s:is_shared(3) })
      assert(connect(port_of(s, 1))):close()
      assert(connect(path)):close()
      assert(connect(port_of(s, 3), "::1")):close()
    end)

    it("goes when a later URL cannot be had", function()
      failure { "unix:" .. path, "http://192.0.2.1:0" }
      assert.is_false(exists())
    end)
  end)
end)
