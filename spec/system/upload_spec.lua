--- Bodies at, over and far over the limit, and streamed ones that no memory could hold.

local load = require "spec.support.load"
local proc = require "spec.proc"
local scale = require "spec.support.scale"
local server = require "spec.support.server"

local APP = [[
local aq = require "luaqueduct"
local router = aq.router()
router:get("/", function() return "hello" end)
router:post("/whole", function(req)
  local body, err = req:body()
  return body and tostring(#body) or aq.response(413, nil, err.code)
end)
router:post("/pieces", function(req)
  local count, pieces = 0, 0
  for chunk in req:chunks() do count, pieces = count + #chunk, pieces + 1 end
  return { count = count, many = pieces > 1 }
end)
router:post("/own", function(req)
  local next_chunk, chunk, err = req:chunks()
  repeat chunk, err = next_chunk() until not chunk
  return err and aq.response(422, nil, err.code) or "whole"
end)
local function stream(req)
  local count = 0
  for chunk in req:chunks() do count = count + #chunk end
  return tostring(count)
end
router:route("/endless"):limits { body = 0 }:link(stream)
router:route("/small"):limits { body = 10 }:link(function(req) return assert(req:body()) end)
return router
]]

local MIB = 1024 * 1024
local LIMIT = 1 * MIB

local function head(path, lines)
  return ("POST %s HTTP/1.1\r\nHost: a\r\n%s\r\n"):format(path, lines)
end

local function chunk(data)
  return ("%x\r\n%s\r\n"):format(#data, data)
end

for _, workers in ipairs { 1, 4 } do
  describe(("uploads, %d workers"):format(workers), function()
    local app

    setup(function()
      app = server.start { source = APP, workers = workers, args = { "--body-limit", "1M" } }
    end)
    teardown(function() app:stop { status = 0 } end)

    it("are taken at the limit", function()
      local conn <close> = app:connect()
      local body = ("x"):rep(LIMIT)

      for _, path in ipairs { "/whole", "/pieces" } do
        conn:send(head(path, "Content-Length: " .. #body .. "\r\n") .. body)
        assert.matches(tostring(LIMIT), conn:read_response().body)
        conn:send(head(path, "Transfer-Encoding: chunked\r\n") .. chunk(body:rep(1, ""):sub(2))
          .. chunk "x" .. "0\r\n\r\n")
        assert.matches(tostring(LIMIT), conn:read_response().body)
      end
      conn:send(head("/small", "Content-Length: 10\r\n") .. "0123456789")
      assert.are.equal("0123456789", conn:read_response().body)
    end)

    it("above it are refused at the head, before a byte of the body", function()
      local slowest = 0

      for _, case in ipairs { { "/whole", LIMIT + 1 }, { "/whole", 2 ^ 40 // 1 },
        { "/pieces", 2 ^ 62 // 1 }, { "/small", 11 } } do
        for _ = 1, 10 do
          local conn <close> = app:connect()
          local begun = proc.now()
          conn:send(head(case[1], ("Content-Length: %d\r\n"):format(case[2])))
          local answers = conn:answers()
          slowest = math.max(slowest, proc.now() - begun)

          assert.are.same({ 1, 413, "close" }, { #answers, answers[1].status,
            answers[1]:header "connection" })
          assert.are.equal("eof", answers.ended)
        end
      end
      assert.is_true(slowest < load.limit(0.010, 0.5), slowest)
    end)

    it("above it are refused in an orderly way to clients that send it all the same", function()
      local body = ("x"):rep(8 * MIB)

      for _, lines in ipairs { ("Content-Length: %d\r\n"):format(#body),
        "Transfer-Encoding: chunked\r\n" } do
        for _, path in ipairs { "/whole", "/pieces" } do
          local conn <close> = app:connect()
          local data = lines:find "chunked" and chunk(body) or body
          assert(conn:send(head(path, lines) .. data))

          local answers = conn:answers()
          assert.are.same({ 1, 413, "eof" }, { #answers, answers[1].status, answers.ended })
        end
      end
    end)

    it("are refused where the chunks go over the limit, not at their end", function()
      local conn <close> = app:connect()

      conn:send(head("/pieces", "Transfer-Encoding: chunked\r\n"))
      assert(conn:send(("200000\r\n" .. ("x"):rep(LIMIT + 1))))

      assert.are.equal(413, conn:read_response().status)
    end)

    it("that come to no good end are no success for a loop over their pieces", function()
      local cases = { { 400, "invalid", "Transfer-Encoding: chunked\r\n", "3\r\nabcX" },
        { 413, "too_large", "Transfer-Encoding: chunked\r\n", chunk(("x"):rep(LIMIT + 1)) },
        { 400, "eof", "Content-Length: 9\r\n", "abc" } }

      for _, case in ipairs(cases) do
        local status, code, lines, body = table.unpack(case)
        for path, expected in pairs { ["/pieces"] = { status }, ["/own"] = { 422, code } } do
          local conn <close> = app:connect()
          conn:send(head(path, lines .. "Expect: 100-continue\r\n"))
          assert.are.equal(100, conn:read_response().status) -- the handler waits for it
          conn:send(body)
          if code == "eof" then conn:half_close() end

          local answers = conn:answers()
          assert.are.same({ 1, expected[1], "close" }, { #answers, answers[1].status,
            answers[1]:header "connection" }, code)
          if expected[2] then assert.are.equal(code, answers[1].body) end
        end
      end
    end)

    it("of any length are streamed in little memory", function()
      local piece, count = ("x"):rep(MIB), scale(64, 1024)
      local lines = ("Content-Length: %d\r\n"):format(count * MIB)
      app:post("/endless", { body = piece:rep(4), timeout = 20 })
      local before, most = app:rss(), 0

      for _, case in ipairs { { lines, piece, "" },
        { "Transfer-Encoding: chunked\r\n", chunk(piece), "0\r\n\r\n" } } do
        local conn <close> = app:connect { timeout = 60 }
        conn:send(head("/endless", case[1]))
        for _ = 1, count do
          assert(conn:send(case[2]))
          most = math.max(most, app:rss())
        end
        conn:send(case[3])
        assert.are.equal(tostring(count * MIB), conn:read_response().body)
      end
      assert.is_true(most - before <= load.limit(4 * 1024, 4 * 1024), most - before .. " KiB")
    end)
  end)
end
