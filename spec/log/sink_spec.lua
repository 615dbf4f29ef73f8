--- Where lines go: files that are rotated, removed and full, FIFOs that nobody reads.

local command = require "spec.support.command"
local log = require "spec.log"
local tmpfs = require "spec.support.tmpfs"

local read_file = command.read_file

local function line(i, len)
  local text = ("line %d "):format(i)
  return text .. ("x"):rep((len or 20) - #text - 1) .. "\n"
end

local function lines(first, last, len)
  local list = {}
  for i = first, last do list[#list + 1] = line(i, len) end
  return table.concat(list)
end

local function exists(path)
  return os.rename(path, path) ~= nil
end

describe("the sink of the log", function()
  local folder, path

  before_each(function()
    folder = command.folder()
    path = folder .. "/app.log"
  end)

  after_each(function() command.remove(folder) end)

  local function run(...)
    local result = command.run { ... }
    assert.are.equal(0, result.status, result.stderr)
  end

  it("makes its file and appends to it", function()
    for i = 1, 2 do
      local sink <close> = assert(log.sink(path))
      assert.are.equal(20, sink:write(line(i)))
    end

    assert.are.equal(lines(1, 2), read_file(path))
  end)

  it("says which file cannot be opened, and why", function()
    local _, err = log.sink(folder .. "/none/app.log")

    assert.are.equal("--log-file: " .. folder .. "/none/app.log: No such file or directory", err)
    assert.matches("Is a directory", select(2, log.sink(folder)))
  end)

  it("takes a device", function()
    local sink <close> = assert(log.sink "/dev/null")
    assert.are.equal(20, sink:write(line(1)))
    sink:check()
    assert.are.equal(20, sink:write(line(1)))
  end)

  describe("rotation", function()
    --- Writes `count` lines in pieces of a few; returns what all files have, oldest first.
    local function write_all(size, keep, count, len)
      local sink <close> = assert(log.sink(path, size, keep))
      local at = 1
      while at <= count do
        local piece = lines(at, math.min(at + at % 7, count), len)
        assert.are.equal(#piece, sink:write(piece))
        at = at + at % 7 + 1
      end
      local texts = {}
      for i = keep, 1, -1 do
        if exists(path .. "." .. i) then texts[#texts + 1] = read_file(path .. "." .. i) end
      end
      texts[#texts + 1] = read_file(path)
      return texts
    end

    it("loses and doubles nothing", function()
      local texts = write_all(1000, 999, 5000)

      assert.are.equal(100, #texts)
      assert.are.equal(lines(1, 5000), table.concat(texts))
      for _, text in ipairs(texts) do assert.are.equal(1000, #text) end
    end)

    it("keeps so many files, the newest", function()
      local texts = write_all(1000, 3, 5000)

      assert.are.equal(4, #texts)
      assert.are.equal(lines(4801, 5000), table.concat(texts))
      assert.is_false(exists(path .. ".4"))
    end)

    it("makes no file larger than the limit", function()
      for size = 41, 60 do
        for _, text in ipairs(write_all(size, 5, 50)) do assert.is_true(#text <= size) end
      end
    end)

    it("gives a line that is larger a file to itself", function()
      local texts = write_all(30, 999, 10, 50)

      assert.are.equal(10, #texts)
      assert.are.equal(lines(1, 10, 50), table.concat(texts))
    end)

    it("takes a file that is there into account", function()
      local file = assert(io.open(path, "w"))
      file:write(lines(1, 4))
      file:close()

      local sink <close> = assert(log.sink(path, 100, 1))
      sink:write(lines(5, 6))

      assert.are.equal(lines(1, 5), read_file(path .. ".1"))
      assert.are.equal(line(6), read_file(path))
    end)

    it("goes on in the same file when that cannot be renamed", function()
      run("mkdir", "-p", path .. ".1/full")

      local sink <close> = assert(log.sink(path, 100, 1))
      assert.are.equal(20 * 20, sink:write(lines(1, 20)))

      assert.are.equal(lines(1, 20), read_file(path))
    end)
  end)

  describe("a file that is not at its place", function()
    local function loses(how)
      local sink <close> = assert(log.sink(path))
      sink:write(line(1))

      how()
      sink:check()
      assert.is_true(exists(path))
      sink:write(line(2))

      assert.are.equal(line(2), read_file(path))
    end

    it("comes back when it was removed", function()
      loses(function() os.remove(path) end)
    end)

    it("comes back when it was renamed", function()
      loses(function() os.rename(path, path .. ".old") end)
      assert.are.equal(line(1), read_file(path .. ".old"))
    end)

    it("comes back when another has taken its place", function()
      loses(function()
        os.rename(path, path .. ".old")
        run("touch", path)
      end)
    end)

    it("comes back with its folder; what came before is lost, and told so", function()
      path = folder .. "/logs/app.log"
      run("mkdir", folder .. "/logs")
      local sink <close> = assert(log.sink(path))
      run("rm", "-r", folder .. "/logs")

      sink:check()
      local written, why = sink:write(line(1))
      assert.are.equal(0, written)
      assert.are.equal("ENOENT", why)

      run("mkdir", folder .. "/logs")
      sink:check()
      assert.are.equal(20, sink:write(line(2)))
      assert.are.equal(line(2), read_file(path))
    end)

    it("is opened anew when asked for", function()
      local sink <close> = assert(log.sink(path))
      sink:write(line(1))
      os.rename(path, path .. ".old")
      sink:write(line(2))

      sink:reopen()
      sink:write(line(3))

      assert.are.equal(lines(1, 2), read_file(path .. ".old"))
      assert.are.equal(line(3), read_file(path))
    end)

    it("stays open when it cannot be opened anew", function()
      local sink <close> = assert(log.sink(path))
      os.rename(path, path .. ".old")
      run("mkdir", path)

      sink:reopen()
      sink:check()

      assert.are.equal(20, sink:write(line(1)))
      assert.are.equal(line(1), read_file(path .. ".old"))
    end)
  end)

  describe("a full disk", function()
    it("takes nothing on /dev/full", function()
      local sink <close> = assert(log.sink "/dev/full")

      for _ = 1, 3 do
        local written, why = sink:write(lines(1, 10))
        assert.are.equal(0, written)
        assert.are.equal("ENOSPC", why)
      end
    end)

    it("leaves whole lines only, and goes on when there is room", function()
      local disk <close>, why = tmpfs.mount(64)
      if not disk then return pending(why) end
      local target = disk.path .. "/app.log"
      local sink <close> = assert(log.sink(target))
      sink:write(line(0))
      disk:fill(10000) -- a page and a half more than the page that the file has

      local text = lines(1, 5000, 33)
      local written, err = sink:write(text)

      assert.are.equal("ENOSPC", err)
      assert.is_true(written > 0 and written < #text and written % 33 == 0, written)
      assert.are.equal(line(0) .. text:sub(1, written), read_file(target))
      assert.are.equal(0, (sink:write(text)))

      disk:free()
      assert.are.equal(33, (sink:write(line(1, 33))))
      assert.are.equal(line(0) .. text:sub(1, written) .. line(1, 33), read_file(target))
    end)

    it("stops rotation, too, and loses nothing that was written", function()
      local disk <close>, why = tmpfs.mount(64)
      if not disk then return pending(why) end
      local target = disk.path .. "/app.log"
      local sink <close> = assert(log.sink(target, 5000, 3))

      disk:fill(20000)
      local text = lines(1, 5000, 33)
      local written = sink:write(text)

      local found = ""
      for i = 3, 1, -1 do
        if exists(target .. "." .. i) then found = found .. read_file(target .. "." .. i) end
      end
      found = found .. read_file(target)
      assert.are.equal(#found, written)
      assert.are.equal(text:sub(1, written), found)
    end)
  end)

  describe("a FIFO", function()
    local function read_available(fifo)
      return command.run({ "dd", "if=" .. fifo, "iflag=nonblock", "bs=1M", "status=none" }).stdout
    end

    before_each(function() run("mkfifo", path) end)

    it("is opened and written without a reader", function()
      local sink <close> = assert(log.sink(path))

      assert.are.equal(20, sink:write(line(1)))

      assert.are.equal(line(1), read_available(path))
    end)

    it("takes what it holds; a line that is torn gets an end", function()
      local sink <close> = assert(log.sink(path))
      local text = lines(1, 10000, 33)
      sink:patience(2)

      local written, why = sink:write(text)
      assert.are.equal("timeout", why)
      assert.is_true(written > 60000 and written % 33 == 0, written)
      local first = read_available(path)
      assert.are.equal(text:sub(1, written), first:sub(1, written))
      assert.is_true(#first - written < 33)

      assert.are.equal(33, (sink:write(line(1, 33))))
      assert.are.equal("\n" .. line(1, 33), read_available(path))
    end)

    it("is given up for a file when it is opened anew meanwhile", function()
      local sink <close> = assert(log.sink(path))
      local text = lines(1, 10000, 33)
      assert.is_true(os.remove(path))
      sink:patience(0, true)

      assert.are.equal(#text, sink:write(text))

      local rest = read_file(path)
      assert.are.equal(0, #rest % 33)
      assert.are.equal(text:sub(-#rest), rest)
      assert.is_true(#rest > #text - 70000)
    end)
  end)
end)
