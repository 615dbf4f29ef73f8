--- Addresses of peers as text, and ranges of them.

local forwarded = require "spec.forwarded"

describe("lq_address_read()", function()
  it("reads IPv4 and IPv6, and writes the shortest form", function()
    for text, short in pairs {
      ["192.0.2.1"] = "192.0.2.1", ["0.0.0.0"] = "0.0.0.0", ["::"] = "::", ["::1"] = "::1",
      ["2001:DB8:0:0:0:0:0:1"] = "2001:db8::1", ["::ffff:192.0.2.1"] = "192.0.2.1",
      ["::FFFF:c000:201"] = "192.0.2.1", ["ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255"] =
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    } do
      assert.are.equal(short, forwarded.address(text), text)
    end
  end)

  it("refuses everything else", function()
    for _, text in ipairs { "", " ", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4 ",
      " 1.2.3.4", "1.2.3.4\0", "1.2.3.4\0x", "[::1]", "::1%lo", ":::", "1::2::3", "::g", "a",
        "::1/8",
      "1.2.3.4:5", ("1"):rep(1000), "0x1.2.3.4" } do
      assert.is_nil(forwarded.address(text), text)
    end
  end)
end)

describe("lq_range_read()", function()
  it("has the addresses that begin alike", function()
    for _, case in ipairs {
      { "10.0.0.0/8", "10.255.255.255", true }, { "10.0.0.0/8", "11.0.0.0", false },
      { "10.1.2.3/8", "10.0.0.0", true }, { "192.168.0.0/23", "192.168.1.255", true },
      { "192.168.0.0/23", "192.168.2.0", false }, { "127.0.0.1", "127.0.0.1", true },
      { "127.0.0.1", "127.0.0.2", false }, { "127.0.0.1/32", "127.0.0.1", true },
      { "127.0.0.0/31", "127.0.0.1", true }, { "127.0.0.0/31", "127.0.0.2", false },
      { "0.0.0.0/0", "255.1.2.3", true }, { "::1", "::1", true }, { "::1", "::2", false },
      { "fe80::/10", "febf::1", true }, { "fe80::/10", "fec0::1", false },
      { "2001:db8::/127", "2001:db8::1", true }, { "2001:db8::/127", "2001:db8::2", false },
      { "::/0", "2001:db8::1", true },
    } do
      assert.are.equal(case[3], forwarded.range(case[1], case[2]), case[1] .. " " .. case[2])
    end
  end)

  it("takes an IPv4 address for one in whichever form", function()
    assert.is_true(forwarded.range("10.0.0.0/8", "::ffff:10.1.1.1"))
    assert.is_true(forwarded.range("::ffff:10.0.0.0/104", "10.1.1.1"))
    assert.is_false(forwarded.range("::ffff:10.0.0.0/104", "11.1.1.1"))
    assert.is_true(forwarded.range("::ffff:10.1.1.1", "10.1.1.1"))
    assert.is_true(forwarded.range("::ffff:0:0/96", "10.1.1.1"))
  end)

  it("does not take IPv4 for a part of IPv6", function()
    assert.is_false(forwarded.range("::/0", "10.1.1.1"))
    assert.is_false(forwarded.range("::/0", "::ffff:10.1.1.1"))
    assert.is_false(forwarded.range("0.0.0.0/0", "::1"))
    assert.is_nil(forwarded.range("::ffff:10.0.0.0/95", "10.0.0.0"))
  end)

  it("knows unix sockets by a word", function()
    assert.is_true(forwarded.range("unix", "unix:"))
    assert.is_true(forwarded.range("unix:", "unix:"))
    assert.is_false(forwarded.range("unix", "0.0.0.0"))
    assert.is_false(forwarded.range("0.0.0.0/0", "unix:"))
    assert.is_false(forwarded.range("::/0", "unix:"))
  end)

  it("refuses everything else", function()
    for _, text in ipairs { "", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/-1",
      "10.0.0.0/08", "10.0.0.0/00", "10.0.0.0/+8", "10.0.0.0/8 ", " 10.0.0.0/8", "10.0.0.0/8/8",
      "10.0.0.0/255.0.0.0", "10/8", "[::1]", "[::]/0", "localhost", "10.0.0.1,10.0.0.2", "Unix",
      "unix:/path", "10.0.0.0/8\0", "10.0.0.0\0/8", "10.0.0.0/1000", "*", "all" } do
      assert.is_nil(forwarded.range(text, "10.0.0.0"), text)
    end
  end)
end)
