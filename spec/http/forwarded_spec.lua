--- What trusted proxies say of a client in Forwarded and X-Forwarded-*.

local forwarded = require "spec.forwarded"
local scale = require "spec.support.scale"

local PROXIES = { "10.0.0.0/8", "fd00::/8" }

--- What is believed of fields given as { name, value, name, value ... }.
local function read(list, ranges)
  local fields = {}

  for i = 1, #list, 2 do fields[#fields + 1] = { list[i], list[i + 1] } end
  return forwarded.read(fields, ranges or PROXIES)
end

--- Runs a table of cases { what it shows, fields, what is believed or the reason of a refusal }.
local function cases(list)
  for _, case in ipairs(list) do
    it(case[1], function()
      local got, why = read(case[2])

      if type(case[3]) == "table" then
        assert.are.same(case[3], got or why)
      else
        assert.is_nil(got)
        assert.are.equal(case[3], why)
      end
    end)
  end
end

describe("lq_forwarded_read()", function()
  describe("with nothing to read", function()
    cases {
      { "tells nothing", {}, {} },
      { "passes over other fields", { "Host", "a", "X-Forwarded", "for=1.2.3.4", "Via", "x" }, {} },
      { "takes empty fields for none",
        { "Forwarded", "", "X-Forwarded-For", " , ,", "X-Forwarded-Proto", "" }, {} },
    }
  end)

  describe("Forwarded", function()
    cases {
      { "tells address, scheme and host",
        { "Forwarded", "for=192.0.2.60;proto=https;host=a.example" },
        { address = "192.0.2.60", scheme = "https", host = "a.example" } },
      { "is known in any case",
        { "fORWARDED", "FOR=192.0.2.60;Proto=HTTPS;hosT=A.example" },
        { address = "192.0.2.60", scheme = "https", host = "A.example" } },
      { "has ports in quotes", { "Forwarded", 'for="192.0.2.43:47011";host="a.example:8443"' },
        { address = "192.0.2.43", port = 47011, host = "a.example:8443" } },
      { "has IPv6 in quotes and brackets", { "Forwarded", 'for="[2001:DB8:cafe::17]:4711"' },
        { address = "2001:db8:cafe::17", port = 4711 } },
      { "has IPv6 without a port", { "Forwarded", 'For="[2001:db8:cafe::17]"' },
        { address = "2001:db8:cafe::17" } },
      { "has IPv4 in the form of IPv6", { "Forwarded", 'for="[::ffff:192.0.2.1]"' },
        { address = "192.0.2.1" } },
      { "has hosts that are IPv6", { "Forwarded", 'host="[2001:db8::1]:80"' },
        { host = "[2001:db8::1]:80" } },
      { "may escape in quotes", { "Forwarded", [[for="192\.0.\2.1";proto="h\ttps";host="a\.b"]] },
        { address = "192.0.2.1", scheme = "https", host = "a.b" } },
      { "may hide the address", { "Forwarded", "for=_gazonk;proto=https" },
        { address = "_gazonk", scheme = "https" } },
      { "may hide the port", { "Forwarded", 'for="_a.B-9_:_port"' }, { address = "_a.B-9_" } },
      { "may hide the port of an address", { "Forwarded", 'for="[::1]:_x"' }, { address = "::1" } },
      { "may not know the address", { "Forwarded", "for=Unknown" }, { address = "unknown" } },
      { "may not know the address of a port", { "Forwarded", 'for="unknown:80"' },
        { address = "unknown", port = 80 } },
      { "may tell no address", { "Forwarded", "proto=https;by=10.0.0.1" }, { scheme = "https" } },
      { "may have further parameters",
        { "Forwarded", 'for=192.0.2.1;x=y;z="a,b;c=\\"d\\"";proto=http' },
        { address = "192.0.2.1", scheme = "http" } },
      { "may have long further parameters",
        { "Forwarded", 'for=192.0.2.1;sig="' .. ("x"):rep(5000) .. '";proto="https"' },
        { address = "192.0.2.1", scheme = "https" } },
      { "may have white space and empty pairs",
        { "Forwarded", "\t ;for=192.0.2.1 ; ;\tproto=https;" },
        { address = "192.0.2.1", scheme = "https" } },
      { "calls the schemes of a WebSocket by those of its request", { "Forwarded", "proto=wss" },
        { scheme = "https" } },
    }
  end)

  describe("Forwarded that is malformed", function()
    local list = {}
    for value, why in pairs {
      ["for"] = "Forwarded has a parameter without name or value",
      ["=1"] = "Forwarded has a parameter without name or value",
      ["for =1.2.3.4"] = "Forwarded has a parameter without name or value",
      ["1.2.3.4"] = "Forwarded has a parameter without name or value",
      ["for="] = "Forwarded has a value that is no token",
      ["for= 1.2.3.4"] = "Forwarded has a value that is no token",
      ["for=1.2.3.4:80"] = "Forwarded has something behind a value",
      ["for=[::1]"] = "Forwarded has a value that is no token",
      ["for=1.2.3.4 proto=http"] = "Forwarded has something behind a value",
      ['for="1.2.3.4"x'] = "Forwarded has something behind a value",
      ['for="1.2.3.4'] = "Forwarded has a quote that is not closed",
      ['for="1.2.3.4\\"'] = "Forwarded has a quote that is not closed",
      ['for="1.2.3.4\\'] = "Forwarded has a quote that is not closed",
      ['x="\1"'] = "Forwarded has a control character",
      ['x="\127"'] = "Forwarded has a control character",
      ["for=1.2.3.4;for=1.2.3.4"] = "Forwarded has a parameter twice",
      ["proto=http;PROTO=http"] = "Forwarded has a parameter twice",
      ['host=a;host=""'] = "Forwarded has a parameter twice",
      ["by=_a;by=_b"] = "Forwarded has a parameter twice",
      ['host="' .. ("a"):rep(1000) .. '"'] = "Forwarded has a value that is too long",
      ["host=" .. ("a"):rep(1000)] = "Forwarded has a malformed host",
      ["proto=ftp"] = "Forwarded has an unknown scheme",
      ['proto=""'] = "Forwarded has an unknown scheme",
      ['host=""'] = "Forwarded has a malformed host",
      ['host=":80"'] = "Forwarded has a malformed host",
      ['host="a/b"'] = "Forwarded has a malformed host",
      ['host="a b"'] = "Forwarded has a malformed host",
      ['host="a@b"'] = "Forwarded has a malformed host",
      ['host="a:b"'] = "Forwarded has a malformed host",
      ['host="[::g]"'] = "Forwarded has a malformed host",
    } do
      list[#list + 1] = { "is not believed: " .. value:sub(1, 40):gsub("%c", "?"),
        { "Forwarded", value, "X-Forwarded-Host", "x" }, why }
    end
    for _, node in ipairs { "", "1.2.3", "1.2.3.4:", "1.2.3.4:x", "1.2.3.4:65536", "1.2.3.4:000080",
      "::1", "[::1", "::1]", "[]", "[1.2.3.4]", "[::1]80", "[::1]:", "[unknown]", "[_a]", "_", "a",
      "_a b", "_a:", "_a:_", "1.2.3.4:_", "localhost", "[::1%lo]", "_" .. ("a"):rep(127),
      "1.2.3.4:80:90", "[::1]:80:90", "unknownx" } do
      list[#list + 1] = { "is not believed: for " .. node:sub(1, 40),
        { "Forwarded", 'proto=https;for="' .. node .. '"' }, "Forwarded has a malformed address" }
    end
    cases(list)
  end)

  describe("Forwarded of several proxies", function()
    cases {
      { "is read from the right up to the first that is not trusted",
        { "Forwarded",
          "for=1.1.1.1;proto=http, for=192.0.2.1;proto=https;host=a, for=10.0.0.2;proto=http" },
        { address = "192.0.2.1", scheme = "https", host = "a" } },
      { "may stand in several lines",
        { "Forwarded",
          "for=1.1.1.1", "Host", "x", "forwarded", "for=192.0.2.1;proto=https", "Forwarded",
          'for="[fd00::1]";proto=http' },
        { address = "192.0.2.1", scheme = "https" } },
      { "does not believe who is not trusted",
        { "Forwarded", "for=10.0.0.9;proto=https, for=192.0.2.1" }, { address = "192.0.2.1" } },
      { "ends with the first of all when each is trusted",
        { "Forwarded", "for=10.0.0.3;host=a,for=10.0.0.2,for=10.0.0.1;host=b" },
        { address = "10.0.0.3", host = "a" } },
      { "takes scheme and host from the outermost that tells them",
        { "Forwarded",
          "for=192.0.2.1;host=a, for=10.0.0.2;proto=https;host=b, for=10.0.0.1;proto=http" },
        { address = "192.0.2.1", scheme = "https", host = "a" } },
      { "ends where an address is hidden", { "Forwarded", "for=1.1.1.1, for=_x, for=10.0.0.1" },
        { address = "_x" } },
      { "ends where an address is unknown",
        { "Forwarded", "for=10.0.0.9, for=unknown, for=10.0.0.1" },
        { address = "unknown" } },
      { "ends where an address is not told",
        { "Forwarded", 'for=1.1.1.1;proto=http, proto=https, for="10.0.0.1:8"' },
        { address = "10.0.0.1", port = 8, scheme = "https" } },
      { "forgets the port of those between",
        { "Forwarded", 'for=192.0.2.1, for="10.0.0.1:8"' }, { address = "192.0.2.1" } },
      { "leaves out empty members",
        { "Forwarded", ", for=192.0.2.1,, ,\t,for=10.0.0.1,", "Forwarded", "" },
        { address = "192.0.2.1" } },
      { "is not believed when one on the way is malformed",
        { "Forwarded",
          "for=192.0.2.1, for=10.0.0, for=10.0.0.1" }, "Forwarded has a malformed address" },
      { "does not look at what stands left of the client",
        { "Forwarded", 'for=;;;"\1, for=192.0.2.1' }, { address = "192.0.2.1" } },
      { "is not swallowed by a quote that the client has opened",
        { "Forwarded", 'for="1.1.1.1, for="192.0.2.1";proto=https' },
        { address = "192.0.2.1", scheme = "https" } },
      { "... nor by one behind a backslash",
        { "Forwarded", 'for="\\, for="192.0.2.1";x="\\\\"' }, { address = "192.0.2.1" } },
      { "keeps commas and quotes within quotes",
        { "Forwarded", [[for=1.1.1.1, for=192.0.2.1;x="a,\",b\\"]] }, { address = "192.0.2.1" } },
    }

    it("has at most 64 of them", function()
      local way = ", for=10.0.0.1"

      assert.are.same({ address = "1.1.1.1" }, read { "Forwarded", "for=1.1.1.1" .. way:rep(63) })
      local got, why = read { "Forwarded", "for=1.1.1.1" .. way:rep(64) }
      assert.is_nil(got)
      assert.are.equal("Forwarded has too many members", why)
      assert.are.same({ address = "1.1.1.1" },
        read { "Forwarded", ("for=2.2.2.2, "):rep(1000) .. "for=1.1.1.1" })
    end)
  end)

  describe("X-Forwarded-*", function()
    cases {
      { "tells address, scheme and host",
        { "X-Forwarded-For",
          "192.0.2.1", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "a.example" },
        { address = "192.0.2.1", scheme = "https", host = "a.example" } },
      { "is known in any case",
        { "x-FORWARDED-for", "192.0.2.1", "x-forwarded-PROTO", "HTTPS", "x-forwarded-host", "A" },
        { address = "192.0.2.1", scheme = "https", host = "A" } },
      { "has IPv6 as it is", { "X-Forwarded-For", "2001:DB8::1" }, { address = "2001:db8::1" } },
      { "has IPv6 in brackets, with a port or without",
        { "X-Forwarded-For", "[2001:db8::1]:80" }, { address = "2001:db8::1", port = 80 } },
      { "has IPv4 with a port", { "X-Forwarded-For", "192.0.2.1:80" },
        { address = "192.0.2.1", port = 80 } },
      { "may not know the address",
        { "X-Forwarded-For", "1.1.1.1, unknown" }, { address = "unknown" } },
      { "is read from the right",
        { "X-Forwarded-For", "1.1.1.1, 192.0.2.1,10.0.0.2", "X-Forwarded-For", "fd00::1" },
        { address = "192.0.2.1" } },
      { "does not look at what stands left of the client",
        { "X-Forwarded-For", 'rubbish", 192.0.2.1', "X-Forwarded-Proto", "ftp, https" },
        { address = "192.0.2.1", scheme = "https" } },
      { "has schemes and hosts beside the addresses",
        { "X-Forwarded-For",
          "1.1.1.1, 192.0.2.1, 10.0.0.1", "X-Forwarded-Proto", "http, https, http",
          "X-Forwarded-Host", "evil, a, b" },
        { address = "192.0.2.1", scheme = "https", host = "a" } },
      { "has fewer of them when some proxies add none",
        { "X-Forwarded-For", "192.0.2.1, 10.0.0.1, 10.0.0.2", "X-Forwarded-Proto", "https",
          "X-Forwarded-Host", "a, b" },
        { address = "192.0.2.1", scheme = "https", host = "a" } },
      { "tells those of the last proxy when there is no address",
        { "X-Forwarded-Proto", "http, https", "X-Forwarded-Host", "evil, a" },
        { scheme = "https", host = "a" } },
      { "adds the port to a host that has none",
        { "X-Forwarded-Host", "a", "X-Forwarded-Port", "8443" }, { host = "a:8443" } },
      { "... in brackets", { "X-Forwarded-Host", "[::1]", "X-Forwarded-Port", "8443" },
        { host = "[::1]:8443" } },
      { "... or to that which was sent",
        { "Host", "b", "X-Forwarded-Port", "8443" }, { host = "b:8443" } },
      { "leaves out a port of the schemes",
        { "X-Forwarded-Host", "a", "X-Forwarded-Port", "443" }, { host = "a" } },
      { "leaves a port that is there alone",
        { "X-Forwarded-Host", "a:1", "X-Forwarded-Port", "8443" }, { host = "a:1" } },
      { "tells of no host by a port alone", { "X-Forwarded-Port", "8443" }, {} },
      { "calls the schemes of a WebSocket by those of its request", { "X-Forwarded-Proto", "ws" },
        { scheme = "http" } },
    }
  end)

  describe("X-Forwarded-* that is malformed", function()
    local list = {}
    for _, node in ipairs { "x", "1.2.3", "1.2.3.4:", "1.2.3.4:x", "[::1", "::1]", "[1.2.3.4]",
      "::1:x",
      '"1.2.3.4"', "1.2.3.4 1.2.3.4", "1.2.3.4;", "for=1.2.3.4", "::1%lo", "1.2.3.4/8" } do
      list[#list + 1] = { "is not believed: for " .. node,
        { "X-Forwarded-For", node, "X-Forwarded-Proto", "https" },
        "X-Forwarded-For has a malformed address" }
    end
    for _, scheme in ipairs { "ftp", "https:", "http s", '"https"' } do
      list[#list + 1] = { "is not believed: scheme " .. scheme,
        { "X-Forwarded-For", "1.2.3.4", "X-Forwarded-Proto", scheme },
        "X-Forwarded-Proto has an unknown scheme" }
    end
    for _, host in ipairs { "[::\0]", "[::\0x]:1", "a/b", "a b", ":80", "a:b", "[::g]", "a@b",
      '"a"', ("a"):rep(300) } do
      list[#list + 1] = { "is not believed: host " .. host:sub(1, 40):gsub("%c", "?"),
        { "X-Forwarded-Host",
          host, "X-Forwarded-For", "1.2.3.4" }, "X-Forwarded-Host is malformed" }
    end
    for _, port in ipairs { "0", "65536", "x", "-1", "80 ,81x", "000080" } do
      list[#list + 1] = { "is not believed: port " .. port,
        { "Host", "a", "X-Forwarded-Port", port }, "X-Forwarded-Port is malformed" }
    end
    list[#list + 1] = { "is not believed when one on the way is malformed",
      { "X-Forwarded-For",
        "192.0.2.1, 10.0.0, 10.0.0.1" }, "X-Forwarded-For has a malformed address" }
    cases(list)

    it("has at most 64 addresses on the way", function()
      local way = ", 10.0.0.1"

      assert.are.same({ address = "1.1.1.1" }, read { "X-Forwarded-For", "1.1.1.1" .. way:rep(63) })
      local got, why = read { "X-Forwarded-For", "1.1.1.1" .. way:rep(64) }
      assert.is_nil(got)
      assert.are.equal("X-Forwarded-For has too many members", why)
    end)
  end)

  describe("both kinds", function()
    local CONTRADICTION = "Forwarded and X-Forwarded-* contradict each other"

    cases {
      { "are believed when they say the same",
        { "Forwarded", 'for="192.0.2.1:1";proto=https;host=A', "X-Forwarded-For", "192.0.2.1",
          "X-Forwarded-Proto", "https", "X-Forwarded-Host", "a" },
        { address = "192.0.2.1", port = 1, scheme = "https", host = "A" } },
      { "complete each other",
        { "Forwarded", "for=192.0.2.1", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "a" },
        { address = "192.0.2.1", scheme = "https", host = "a" } },
      { "complete each other the other way round",
        { "Forwarded", "proto=https;host=a", "X-Forwarded-For", "192.0.2.1:5" },
        { address = "192.0.2.1", port = 5, scheme = "https", host = "a" } },
      { "are not believed when the addresses differ",
        { "Forwarded", "for=1.1.1.1", "X-Forwarded-For", "192.0.2.1" }, CONTRADICTION },
      { "are not believed when the schemes differ",
        { "Forwarded", "for=192.0.2.1;proto=https", "X-Forwarded-For", "192.0.2.1",
          "X-Forwarded-Proto", "http" }, CONTRADICTION },
      { "are not believed when the hosts differ",
        { "Forwarded", "for=192.0.2.1;host=a", "X-Forwarded-Host", "b" }, CONTRADICTION },
      { "are not believed when one is malformed",
        { "Forwarded", "for=192.0.2.1", "X-Forwarded-For", "x" },
        "X-Forwarded-For has a malformed address" },
    }
  end)

  it("stands whatever comes (the input is checked)", function()
    local random = math.random
    local words = { "for", "=", ";", ",", '"', "\\", "10.0.0.1", "192.0.2.1", "[::1]", ":80", " ",
      "proto=https", "host=a", "unknown", "_x", "\0", "\255", "by", "", "for=10.0.0.1", "x" }
    local names = { "Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host",
      "X-Forwarded-Port", "Host", "" }

    for _ = 1, scale(5000) do
      local list = {}
      for _ = 1, random(0, 4) do
        local parts = {}
        for i = 1, random(0, 8) do parts[i] = words[random(#words)] end
        list[#list + 1] = names[random(#names)]
        list[#list + 1] = table.concat(parts)
      end
      local got, why = read(list)
      assert.is_true(got ~= nil or why ~= "")
      if got and got.scheme then assert.matches("^https?$", got.scheme) end
    end
  end)

  it("adds nothing to what the rightmost member says, whatever the client has sent", function()
    local random = math.random
    local words = { '"', "\\", ",", ";", "for=", "10.0.0.1", "=", "x", " " }

    for _ = 1, scale(2000) do
      local parts = {}
      for i = 1, random(0, 12) do parts[i] = words[random(#words)] end
      local sent = table.concat(parts)
      assert.are.same({ address = "192.0.2.1", scheme = "https", host = "a,b" },
        read { "Forwarded", sent .. ', for="192.0.2.1";proto=https;host="a,\\b"' })
      assert.are.same({ address = "192.0.2.1" },
        read { "X-Forwarded-For", sent, "X-Forwarded-For", sent .. ",192.0.2.1" })
    end
  end)
end)
