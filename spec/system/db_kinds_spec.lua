--- aq.db with one pool for all: what holds for the pool of a worker holds for it.

local database = require "spec.support.database"

local NAMES = { "db_spec", "db_pool_spec", "db_transaction_spec", "db_stream_spec",
  "db_chaos_spec", "db_copy_spec", "db_listen_spec", "db_edge_spec" }

describe("with `shared = true`", function()
  setup(function() database.shared = true end)
  teardown(function() database.shared = false end)

  for _, name in ipairs(NAMES) do
    assert(loadfile("spec/system/" .. name .. ".lua", "t", _ENV))()
  end
end)
