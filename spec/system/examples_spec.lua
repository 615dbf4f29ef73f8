--- Every example is served, and the commands in its header are run.

local command = require "spec.support.command"
local pg = require "spec.support.postgres"
local proc = require "spec.proc"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

local EXAMPLES = { "hello", "json_api", "linking", "routing", "streaming", "timers", "chat/app" }

--- The commands of the header, each with the texts that its output must contain.
local function proofs_of(path)
  local list = {}

  for line in io.lines(path) do
    local run, expected = line:match "^%-%-%s+%$ (.+)$", line:match "^%-%-%s+< (.+)$"
    if run then
      list[#list + 1] = { run = run, texts = {} }
    elseif expected then
      table.insert(list[#list].texts, expected)
    end
  end
  return list
end

local function prove(app, proof, upstream)
  local line = proof.run:gsub("http://127%.0%.0%.1:8888", app.url)
  if upstream then line = line:gsub("http://127%.0%.0%.1:9000", upstream.url) end
  local out = command.run({ "sh", "-c", line }).stdout

  for _, text in ipairs(proof.texts) do
    if text:find "^%d%d%d$" then text = "HTTP/1.1 " .. text end
    assert(out:find(text, 1, true), ("%s: %q is not in\n%s"):format(line, text, out))
  end
end

for _, name in ipairs(EXAMPLES) do
  local path = "examples/" .. name .. ".lua"
  local one_only = io.open(path):read("a"):find("serve -j 1", 1, true)

  for _, workers in ipairs(one_only and { 1 } or { 1, 4 }) do
    it(("%s keeps its word with %d workers"):format(path, workers), function()
      local app <close> = server.start { app = path, workers = workers }
      local proofs = proofs_of(path)

      assert.is_true(#proofs > 0)
      for _, proof in ipairs(proofs) do prove(app, proof) end
      app:stop { status = 0 }
    end)
  end
end

describe("with a database,", function()
  local postgres

  setup(function() postgres = pg.start() end)
  teardown(function() postgres:close() end)

  for _, name in ipairs { "query", "transaction", "listen" } do
    local path = "examples/" .. name .. ".lua"

    it(path .. " keeps its word", function()
      local app <close> = server.start { app = path, args = { "--option", "url=" .. postgres.url } }
      local proofs = proofs_of(path)

      assert.is_true(#proofs > 0)
      for _, proof in ipairs(proofs) do prove(app, proof) end
      app:stop { status = 0 }
    end)
  end

  it("examples/transaction.lua tries again what a deadlock has ended", function()
    local app <close> = server.start { app = "examples/transaction.lua",
      args = { "--option", "url=" .. postgres.url } }
    local other, out = assert(proc.spawn({ postgres.programs .. "psql", "-Xq", postgres.url, "-c",
      [[update accounts set cents = cents where name = 'ben'; select pg_sleep(0.5);
        update accounts set cents = cents where name = 'anna']] },
      { env = command.environment(pg.environment()) }))
    finally(function() proc.close(out) end)
    local function count(sql) return postgres:psql("select count(*) from " .. sql) end
    wait.till(function()
      return count "pg_stat_activity where wait_event = 'PgSleep'" == "1"
    end, 10, "the lock on ben's account")

    -- It has anna's account and waits for ben's, longer than the other one for hers.
    assert.are.equal(200, app:post("/transfer/anna/ben/30").status)

    assert.are.equal(0, proc.wait(other, 10))
    wait.till(function()
      return count "pg_stat_database where datname = 'spec' and deadlocks = 1" == "1"
    end, 10, "the count of the deadlock")
    app:stop { status = 0 }
  end)
end)

for _, workers in ipairs { 1, 4 } do
  describe(("examples/upstream with %d workers"):format(workers), function()
    local path = "examples/upstream/app.lua"

    local function start_upstream(url)
      return server.start { app = "examples/upstream/simulator.lua", listen = { url } }
    end

    local function start(upstream)
      return server.start { app = path, workers = workers,
        args = { "--option", ("upstream=%s:%d"):format(upstream.host, upstream.port) } }
    end

    --- Waits until each worker has got something: connections go to one after the other.
    local function wait_readings(app)
      for _ = 1, 4 * workers do
        wait.till(function() return app:get("/rooms/cellar").status == 200 end, 10, "a reading")
      end
    end

    it("keeps its word", function()
      local upstream <close> = start_upstream "http://127.0.0.1:0"
      local app <close> = start(upstream)
      local proofs = proofs_of(path)
      wait_readings(app)

      assert.is_true(#proofs > 0)
      for _, proof in ipairs(proofs) do prove(app, proof, upstream) end
      app:stop { status = 0 }
      wait.till(function() return upstream:get("/listeners").body == "0" end)
      upstream:stop { status = 0 }
    end)

    it("starts while its upstream is away, and connects again when that is back", function()
      local first = start_upstream "http://127.0.0.1:0"
      first:stop { status = 0 }
      local app <close> = start(first)
      assert.are.equal(404, app:get("/rooms/cellar").status)

      local second <close> = start_upstream(first.url)
      wait_readings(app)
      second:kill()
      app:wait_log "the upstream is away"
      local third <close> = start_upstream(first.url)
      wait.till(function() return third:get("/listeners").body == "1" end, 10, "its listener")

      app:stop { status = 0 }
      wait.till(function() return third:get("/listeners").body == "0" end, 10, "its end")
    end)
  end)
end

describe("examples/devices", function()
  it("keeps its word", function()
    local path = "examples/devices/app.lua"
    local folder = command.folder()
    local app <close> = server.start { app = path, workers = 4,
      args = { "--option", "device_port=0", "--option", "store=" .. folder .. "/readings" } }
    local proofs = proofs_of(path)

    assert.is_true(#proofs > 0)
    for _, proof in ipairs(proofs) do prove(app, proof) end
    app:stop { status = 0 }
    command.remove(folder)
  end)
end)
