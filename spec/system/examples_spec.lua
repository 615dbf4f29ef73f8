--- Every example is served, and the commands in its header are run.

local command = require "spec.support.command"
local server = require "spec.support.server"

local EXAMPLES = { "hello", "json_api", "linking", "routing", "streaming", "timers" }

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

local function prove(app, proof)
  local line = proof.run:gsub("http://127%.0%.0%.1:8888", app.url)
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
