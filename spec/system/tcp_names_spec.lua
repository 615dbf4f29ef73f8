--- aq.tcp.connect: names, with a resolver that the spec plays.

local client = require "spec.support.client"
local command = require "spec.support.command"
local core = require "spec.support.core"
local server = require "spec.support.server"
local spec_peer = require "spec.support.peer"
local SOURCE = require "spec.support.tcp_app"

describe("names", function()
  local app, folder, gate

  setup(function()
    folder = command.folder()
    gate = folder .. "/gate"
    assert.are.equal(0, command.run({ "mkfifo", gate }).status)
  end)
  before_each(function()
    app = server.start { source = SOURCE, env = {
      LD_PRELOAD = core.object:gsub("[^/]*$", "names.so"), LQ_NAMES_GATE = gate,
      ASAN_OPTIONS = (os.getenv "ASAN_OPTIONS" or "") .. ":verify_asan_link_order=0",
    } }
  end)
  after_each(function() app:stop { status = 0 } end)
  teardown(function() command.remove(folder) end)

  local function begin(port, code)
    local conn = app:connect()
    assert(conn:send(client.format("POST", "/run?port=" .. port, { body = code })))
    return conn
  end

  --- Lets everybody through the gate, until the file is closed.
  local function open_gate()
    return assert(io.open(gate, "r+"))
  end

  local READ_TWO = [[
    local conn <close> = assert(aq.tcp.connect(%q, port))
    return show(conn:read(2))]]

  it("are looked up, and their addresses tried in turn", function()
    local peer <close> = spec_peer.listen()
    local asking <close> = begin(peer.port, READ_TWO:format "two.test")
    local conn <close> = peer:accept()
    conn:send "hi"

    assert.are.equal("[hi]", assert(asking:read_response()).body)
  end)

  it("that nobody has are told", function()
    local asking <close> = begin(80, [[
      local _, err = aq.tcp.connect("none.test", 80)
      return err.code .. " " .. err.message]])

    assert.are.equal("EAI_NONAME cannot connect to none.test, port 80: unknown node or service",
      assert(asking:read_response()).body)
  end)

  it("hold up nobody else while they are looked up", function()
    local peer <close> = spec_peer.listen()
    local asking <close> = begin(peer.port, READ_TWO:format "slow.test")
    app:wait_log "slow.test is being looked up"

    local other <close> = begin(peer.port, "return 'quick'")
    assert.are.equal("quick", assert(other:read_response()).body)
    local _ <close> = open_gate()
    local conn <close> = peer:accept()
    conn:send "hi"

    assert.are.equal("[hi]", assert(asking:read_response()).body)
  end)

  it("count within the timeout", function()
    local asking <close> = begin(80, [[
      local _, err = aq.tcp.connect("slow.test", 80, { timeout = 0.02 })
      return err.code]])

    assert.are.equal("timeout", assert(asking:read_response()).body)
    local _ <close> = open_gate()
    app:stop { status = 0 }
  end)

  it("may be given up, and the worker may stop", function()
    local asking <close> = begin(80, [[
      local handle = aq.spawn(aq.tcp.connect, "slow.test", 80)
      for _ = 1, 20 do aq.spawn(aq.tcp.connect, "slow.test", 80) end
      aq.sleep(0.001)
      handle:cancel()
      return "given up"]])
    assert.are.equal("given up", assert(asking:read_response()).body)
    app:wait_log "slow.test is being looked up"

    app:signal "TERM"
    local _ <close> = open_gate()
    assert.are.equal(0, app:wait_exit())
  end)
end)
