--- Sockets that systemd hands over, by hand and by its own systemd-socket-activate.

local client = require "spec.support.client"
local command = require "spec.support.command"
local proc = require "spec.proc"
local server = require "spec.support.server"
local socket = require "socket"
local unix = require "socket.unix"
local wait = require "spec.support.wait"

local KILL = 9

local APP = [[
local aq = require "luaqueduct"
local router = aq.router()
router:get("/", function() return "fine" end)
router:get("/id", function() return tostring(aq.instance.id) end)
router:get("/env", function()
  local names = { "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES" }
  for i, name in ipairs(names) do names[i] = tostring(os.getenv(name)) end
  return table.concat(names, " ")
end)
return router
]]

-- Tells the program its own process id, as systemd does.
local LAUNCHER = { "sh", "-c", 'exec env LISTEN_PID=$$ "$@"', "sh" }

--- Options of a server that gets these sockets.
local function with(sockets, options)
  local all = { source = APP, workers = 2, listen = {}, launcher = LAUNCHER, pass = {} }

  for i, sock in ipairs(sockets) do
    all.pass[i] = type(sock) == "number" and sock or sock:getfd()
  end
  all.env = { LISTEN_FDS = tostring(#sockets) }
  for name, value in pairs(options or {}) do
    if name == "env" then
      for key, text in pairs(value) do all.env[key] = text end
    else
      all[name] = value
    end
  end
  return all
end

local Closing = { __close = function(self) self.sock:close() end }

--- A socket of 127.0.0.1 or ::1 that listens, and its URL.
local function listen(host)
  local sock = assert(socket[host == "::1" and "tcp6" or "tcp4"]())
  assert(sock:bind(host or "127.0.0.1", 0))
  assert(sock:listen(64))
  local _, port = sock:getsockname()
  local shown = host == "::1" and "[::1]" or "127.0.0.1"
  return setmetatable({ sock = sock }, Closing), ("http://%s:%d"):format(shown, port)
end

local Folder = { __close = function(self) command.remove(self.path) end }

local function listen_unix(folder)
  local path, sock = folder.path .. "/socket", assert(unix.stream())
  assert(sock:bind(path))
  assert(sock:listen(64))
  return setmetatable({ sock = sock }, Closing), "unix:" .. path
end

local function new_folder()
  return setmetatable({ path = command.folder() }, Folder)
end

local function says(app, urls, workers)
  assert.are.equal(("luaqueduct: listening on %s (%d workers)"):format(table.concat(urls, ", "),
    workers or 2), app.ready_line)
end

--- Starts on `given`, stops, and asserts that what came meanwhile is answered by the next one.
local function serves_and_leaves(given, url)
  local app <close> = server.start(with { given.sock })
  says(app, { url })
  for _ = 1, 4 do assert.are.equal("fine", app:get("/").body) end
  app:stop { status = 0 }

  local waiting <close> = app:connect() -- nobody is there but the kernel
  waiting:send(client.format("GET", "/"))
  local again <close> = server.start(with { given.sock })
  assert.are.equal("fine", waiting:read_response().body)
  again:stop { status = 0 }
end

describe("sockets of systemd", function()
  for _, host in ipairs { "127.0.0.1", "::1" } do
    it("are served on, and stay open when we stop: " .. host, function()
      local given <close>, url = listen(host)
      serves_and_leaves(given, url)
    end)
  end

  it("are served on, and stay open when we stop: unix", function()
    local folder <close> = new_folder()
    local given <close>, url = listen_unix(folder)
    serves_and_leaves(given, url)
  end)

  it("may be several, and stand before those of --listen", function()
    local folder <close> = new_folder()
    local one <close>, one_url = listen()
    local two <close>, two_url = listen_unix(folder)
    local app <close> = server.start(with({ one.sock, two.sock },
      { listen = { "http://127.0.0.1:0" } }))

    assert.are.equal(3, #app.addresses)
    says(app, { one_url, two_url, app.addresses[3] })
    for _, url in ipairs(app.addresses) do
      app.url, app.port = url, tonumber(url:match ":(%d+)$")
      assert.are.equal("fine", app:get("/").body)
    end
    app:stop { status = 0 }

    assert.is_false((pcall(app.connect, app, { port = tonumber(app.addresses[3]:match "%d+$") })))
    app.url = two_url
    app:connect():close()
  end)

  it("are not the address of --listen", function()
    local given <close>, url = listen()
    local res = server.fail(with({ given.sock }, { listen = { url } }))

    assert.are.equal(1, res.status)
    assert.are.equal(("luaqueduct: --listen %s: it is given twice\n"):format(url), res.stderr)
  end)

  it("go to all workers", function()
    local given <close> = listen()
    local app <close> = server.start(with({ given.sock }, { workers = 4 }))
    local conns, seen, count = {}, {}, 0

    for i = 1, 40 do
      conns[i] = app:connect()
      local id = conns[i]:get("/id").body
      if not seen[id] then count = count + 1 end
      seen[id] = true
    end
    for _, conn in ipairs(conns) do conn:close() end
    assert.are.equal(4, count)
    app:stop { status = 0 }
  end)

  it("are there again after the death of the runtime", function()
    local given <close> = listen()
    local app <close> = server.start(with { given.sock })
    local runtime = app:runtime()

    proc.kill(runtime, KILL)
    wait.till(function() return app:runtime() ~= runtime end)

    for _ = 1, 8 do assert.are.equal("fine", app:get("/").body) end
    app:stop { status = 0 }
  end)

  it("are served on without a guard", function()
    local given <close>, url = listen()
    local app <close> = server.start(with({ given.sock }, { args = { "--no-respawn" } }))

    says(app, { url })
    assert.are.equal("fine", app:get("/").body)
    app:stop { status = 0 }
    app:connect():close()
  end)

  it("are nothing for our children, nor are the variables", function()
    local given <close> = listen()
    local app <close> = server.start(with { given.sock })

    assert.are.equal("nil nil nil", app:get("/env").body)
    for _, pid in ipairs { app.pid, app:runtime() } do
      local info = command.read_file(("/proc/%d/fdinfo/3"):format(pid))
      local flags = tonumber(info:match "flags:%s+(%d+)", 8)
      assert.are.equal(tonumber("2000000", 8), flags & tonumber("2000000", 8)) -- O_CLOEXEC
      assert.are.equal(tonumber("4000", 8), flags & tonumber("4000", 8)) -- O_NONBLOCK
    end
    app:stop { status = 0 }
  end)

  it("are left alone when they are for another process", function()
    for _, launcher in ipairs { { "env", "LISTEN_PID=1" }, { "env", "LISTEN_PID=x" }, {} } do
      local given <close> = listen()
      local app <close> = server.start(with({ given.sock },
        { launcher = launcher, listen = { "http://127.0.0.1:0" } }))

      assert.are.equal(1, #app.addresses)
      assert.are.equal("nil nil nil", app:get("/env").body)
      app:stop { status = 0 }
    end
  end)

  it("are refused when none can be served on, by name", function()
    local given <close> = listen()
    local other <close> = setmetatable({ sock = assert(socket.tcp4()) }, Closing)
    local datagram <close> = setmetatable({ sock = assert(socket.udp4()) }, Closing)
    local WHY = ": expected a stream socket that listens, over IPv4, IPv6 or unix\n"

    local function fails(sockets, env, message)
      local res = server.fail(with(sockets, { env = env }))
      assert.are.equal(1, res.status)
      assert.are.equal("", res.stdout)
      assert.are.equal("luaqueduct: LISTEN_FDS: " .. message, res.stderr)
    end

    fails({ other.sock }, {}, "descriptor 3" .. WHY)
    fails({ given.sock, datagram.sock }, { LISTEN_FDNAMES = "web:time" },
      "descriptor 4, time" .. WHY)
    fails({ given.sock, datagram.sock }, { LISTEN_FDNAMES = "web" }, "descriptor 4" .. WHY)
    fails({ given.sock }, { LISTEN_FDS = "64" }, "descriptor 4" .. WHY)
    fails({ given.sock }, { LISTEN_FDS = "65" }, "expected a number up to 64, not '65'\n")
    fails({ given.sock }, { LISTEN_FDS = "one" }, "expected a number up to 64, not 'one'\n")
  end)

  it("may be none", function()
    local app <close> = server.start(with({}, { listen = { "http://127.0.0.1:0" } }))

    assert.are.equal("fine", app:get("/").body)
    app:stop { status = 0 }
  end)
end)

--- A port that was free a moment ago.
local function free_port(host)
  local given <close>, url = listen(host)
  assert(given)
  return url:match "%d+$"
end

--- The real thing: it listens, and runs the program at the first connection.
local function activate(address, ...)
  local launcher = { "systemd-socket-activate", "-l", address, ... }

  for _, pair in ipairs(command.environment()) do
    launcher[#launcher + 1] = "-E"
    launcher[#launcher + 1] = pair:match "^[^=]+"
  end
  return launcher
end

describe("systemd-socket-activate", function()
  local function start(address, on_spawn)
    return server.start { source = APP, workers = 2, listen = {}, on_spawn = on_spawn,
      launcher = activate(address, "--fdname=web") }
  end

  local function serves(address, url)
    local waiting
    local app <close> = start(address, function(self)
      self.url = url
      self.host, self.port = url:match "^http://%[?([^%]/]-)%]?:(%d+)$"
      waiting = wait.till(function()
        local ok, conn = pcall(self.connect, self)
        return ok and conn
      end)
      waiting:send(client.format("GET", "/env"))
    end)

    says(app, { url })
    assert.are.equal("nil nil nil", waiting:read_response().body)
    waiting:close()
    assert.are.equal("fine", app:get("/").body)
    app:stop { status = 0 }
  end

  it("starts us at the first connection, which is answered", function()
    local folder <close> = new_folder()
    local port, port6 = free_port(), free_port "::1"

    serves("127.0.0.1:" .. port, "http://127.0.0.1:" .. port)
    serves("[::1]:" .. port6, "http://[::1]:" .. port6)
    serves(folder.path .. "/s", ("unix:%s/s"):format(folder.path))
  end)

  it("may listen on a name that is no file", function()
    local folder <close> = new_folder()
    local name, answer, curl = "@" .. folder.path, folder.path .. "/answer", nil
    local app <close> = start(name, function(self)
      self:wait_log "Listening on"
      curl = proc.spawn({ "curl", "-sS", "--abstract-unix-socket", name:sub(2), "http://x/" },
        { env = command.environment(), stdout = answer, stderr = answer })
    end)

    says(app, { "unix:" .. name })
    assert.are.equal(0, proc.wait(curl, 10))
    assert.are.equal("fine", command.read_file(answer))
    app:stop { status = 0 }
  end)

  it("is told when it passes a datagram socket", function()
    local port = free_port()
    local launcher = activate(port, "--datagram", "--fdname=web")
    local sock = socket.udp4()

    table.move({ server.binary(), "serve", "examples/hello.lua" }, 1, 3, #launcher + 1, launcher)
    local pid, output, errors = proc.spawn(launcher, { env = command.environment() })
    local text = proc.read(errors, 5)
    while not text:find "Listening on" do text = text .. proc.read(errors, 5) end
    sock:sendto("anything", "127.0.0.1", tonumber(port))
    local status = proc.wait(pid, 10)
    while true do
      local piece = proc.read(errors, 1)
      if not piece then break end
      text = text .. piece
    end
    proc.close(output)
    proc.close(errors)
    sock:close()

    assert.are.equal(1, status, text)
    assert.matches("LISTEN_FDS: descriptor 3, web: expected a stream socket", text, 1, true)
  end)
end)
