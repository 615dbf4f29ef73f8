--- How many CPUs a process may use: the quotas of its control groups, version 1 and 2.

local command = require "spec.support.command"
local run = require "spec.run"

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
