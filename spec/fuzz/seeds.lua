--- What the fuzz targets begin with: one input for each thing there is to say.
--
-- `lua5.4 spec/fuzz/seeds.lua FOLDER` writes FOLDER/<target>/<number>. An input
-- that was a finding once is added here, too, with what was wrong.

local function lines(...)
  return table.concat({ ... }, "\r\n") .. "\r\n"
end

--- A request with these field lines.
local function head(...)
  return lines("POST /a HTTP/1.1", "Host: a", ...) .. "\r\n"
end

local seeds = {}

seeds.head = {
  lines("GET / HTTP/1.1", "Host: a", ""),
  lines("GET /a/b?c=d&e HTTP/1.0", ""),
  lines("", "", "HEAD /%20?? HTTP/1.1", "hOST:\t[::1]:80 \t", "X:", "Y: a\tb \xff", ""),
  lines("", "", "", "", "GET / HTTP/1.1", "Host: a", ""),
  lines("OPTIONS * HTTP/1.1", "Host: a:8080", "Connection: close, keep-alive", ""),
  lines("GET HTTP://user.example:80?q HTTP/1.1", "Host: b", ""),
  lines("GET https://[v7.a:b]/ HTTP/1.1", "Host: %41b", ""),
  lines("GET / HTTP/1.0", "Connection: Keep-Alive", "", "GET /2 HTTP/1.1", "Host: a", ""),
  lines("PROPFIND / HTTP/1.1", "Host: a", "", "M-SEARCH * HTTP/1.1", "Host: a", ""),
  lines("GET / HTTP/1.1", "Host: a", "Connection: x, Upgrade", "Upgrade: websocket", ""),
  lines("PATCH / HTTP/1.1", "Host:", "Content-Length: 0", "",
    "DELETE / HTTP/1.1", "Host: a", "Content-Length: 2", "", "okPUT / HTTP/1.1", "Host: a", ""),
  head "Content-Length: 3" .. "abc",
  head("Content-Length: 5", "Expect: 100-continue") .. "abc",
  head "Transfer-Encoding: Chunked" .. "3;a=b\r\nabc\r\n0\r\nT: u\r\n\r\n" .. head(),
  -- Refused.
  lines("", "", "", "", "", "GET / HTTP/1.1", "Host: a", ""),
  lines("BREW /pot HTTP/1.1", "Host: a", ""),
  lines("CONNECT a:80 HTTP/1.1", "Host: a", ""),
  lines("DESCRIBE / RTSP/1.0", "Host: a", ""),
  lines("GET / HTTP/2.0", "Host: a", ""),
  lines("PRI * HTTP/2.0", "", "SM", ""),
  lines("GET /", ""),
  lines("GET  / HTTP/1.1", "Host: a", ""),
  lines("GET a HTTP/1.1", "Host: a", ""),
  lines("GET /a#b HTTP/1.1", "Host: a", ""),
  lines("GET / HTTP/1.1", ""),
  lines("GET / HTTP/1.1", "Host: a", "Host: a", ""),
  lines("GET / HTTP/1.1", "Host: a b", ""),
  lines("GET / HTTP/1.1", "Host : a", ""),
  lines("GET / HTTP/1.1", "Host: a", " folded", ""),
  "GET / HTTP/1.1\nHost: a\n\n",
  "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n",
  "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n",
  head("Content-Length: 1", "Content-Length: 1"),
  head("Content-Length: 1", "Transfer-Encoding: chunked"),
  head "Content-Length: 9223372036854775808",
  head "Content-Length: +1",
  head "Transfer-Encoding: gzip, chunked",
  head "Transfer-Encoding: chunked, chunked",
  head "Transfer-Encoding:",
  lines("POST / HTTP/1.0", "Transfer-Encoding: chunked", ""),
  head "Expect: tea",
  -- Found: a wrong answer each.
  lines("GET / HTTP/0.1", "Host: a", ""), -- was 400
  lines("GET / HTTP/5.$", "Host: a", ""), -- was 505
  lines("GET http" .. ("x"):rep(140) .. "/ HTTP/1.1", "Host: a", ""), -- told by its cuts
  lines("GET / HTTP/1.1", "Host: %", ""), -- was accepted
  lines("GET / HTTP/1.1", "Host: [1]", ""), -- was accepted
  head "Transfer-Encoding: , chunked", -- was accepted
}

seeds.body = {
  "0\r\n\r\n",
  "3\r\nabc\r\n00B\r\nhello world\r\n0\r\n\r\nGET / HTTP/1.1\r\n",
  "3;a;b=c;d=\"e\\\"\"\r\nabc\r\n0 \t;\r\n\r\n",
  "1\r\na\r\n0\r\nA:\r\nB: c\td \r\n\r\n",
  ("1\r\nx\r\n"):rep(30) .. "0\r\n\r\n",
  "1;" .. ("x"):rep(300) .. "\r\na\r\n0\r\nA: " .. ("y"):rep(300) .. "\r\n\r\n",
  "0000000000000003\r\nabc\r\n0000000000000000\r\n\r\n",
  "7fffffffffffffff\r\nabc",
  -- Refused.
  "00000000000000003\r\nabc\r\n0\r\n\r\n",
  "8000000000000000\r\n",
  "-1\r\n",
  "0x3\r\nabc\r\n",
  "3 \r\nabc\r\n",
  "3\nabc\n0\n\n",
  "3\rabc",
  "3\r\nabcd\r\n0\r\n\r\n",
  "3;a\1\r\nabc\r\n",
  "\r\n",
  "0\r\nA\r\n\r\n",
  "0\r\n: a\r\n\r\n",
  "0\r\nA: b\r\n c\r\n\r\n",
  "0\r\nA: b\0\r\n\r\n",
  "0\r\n\rX",
}

local function rows(...)
  return table.concat({ ... }, "\n")
end

seeds.router = {
  rows("0/", "?0/", "?1/", "?2/", "?6/", "?6*", "?0*", "?0", "?0x"),
  rows("0/users/:id(%d+)", "2/users/:name", "8/users/*", "?0/users/5", "?2/users/5", "?4/users/5",
    "?0/users/x", "?0/users/", "?0/users"),
  rows("0/a[/:b[/c[/*]]]", "!", "?0/a", "?0/a/", "?0/a/1", "?0/a/1/c", "?0/a/1/c/", "?0/a/1/c/d/e",
    "?0/a/1/d"),
  rows("0/a/:x(a+)/1", "0/a/:y(b?a-)/2", "0/a/:z/3", "0/a/aa/4", "0/a/*", "?0/a/aa/1", "?0/a/aa/2",
    "?0/a/aa/3", "?0/a/aa/4", "?0/a/aa/5"),
  rows("0/a", "0/a", "2/a", "8/a", "1/a", "6/a", "3/b[/:c]", "3/b/:d", "0/b/:d", "?6/a", "?6/b",
    "?5/b/1", "?7/a"),
  rows("0/%61%2Fb", "?0/a%2fb", "?0/a/b", "?0/%61%2Fb", "?0/%zz", "?0/%00", "?0/a%"),
  rows("0/:a([%w_%-%.]+)", "0/:b([^]]*)", "0/:c(.-%(%))", "?0/a-b.c", "?0/x()", "?0/%5d"),
  rows("0/:a(x?x?x?x?x?x?xxxxxx)", "0/:b(.*.*.*.*.*b)", "?0/xxxxxx", "?0/" .. ("a"):rep(200)),
  rows("0/:a/:b/:c", "0/:a/:b/x", "0/:a/x/:c", "0/x/:b/:c", "?0/x/x/x", "?0/y/x/x", "?0/y/y/y"),
  rows("0//", "0/a//b", "0/a/", "?0//", "?0/a//b", "?0/a/", "?0/a", "?0///"),
  -- Refused.
  rows("0", "0a", "0/:", "0/:1", "0/:a-b", "0/:a/:a", "0/*/a", "0/a*", "0/?", "0/#", "0/%0",
    "0/%00"),
  rows("0/a]", "0/a[", "0/a[b]", "0/a[/b", "0/a[/b]c", "0/[/a]", "0/a[/b][/c]", "0/*[/a]", "7/a"),
  rows("0/:a()", "0/:a(", "0/:a(^a)", "0/:a(a$)", "0/:a((a))", "0/:a(%1)", "0/:a(%b())", "0/:a(%q)",
    "0/:a([a)", "0/:a([z-a])", "0/:a([a-%d])", "0/:a(%)", "0/:a(a)b"),
  -- Found: a wrong answer each.
  rows("0/:a(%%$)", "0/:a($$*%$)", "?0/$$"), -- the first was accepted
}

for class in ("adlsuwxpcgADLSUWXPCG"):gmatch "." do
  local bytes = "?0/a\n?0/F\n?0/g\n?0/Z\n?0/0\n?0/9\n?0/_\n?0/%09\n?0/%20\n?0/%7f\n?0/%e9"

  table.insert(seeds.router, rows(("0/:a(%%%s)"):format(class), bytes))
  table.insert(seeds.router, rows(("0/:a([^%%%s])"):format(class), bytes))
end

seeds.url = {
  "a=b&c=d", "&&a&=&b=&=c&a=b=c&", "a+b=%2B%20+", "%41%6a%6A", "%", "%4", "%4g", "%%41", "~-._ /?#",
  "\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}", "\xed\x9f\xbf\xee\x80\x80",
  "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xff",
  ("0123456789"):rep(4) .. "\u{e9}", "\u{20ac}\xe2\x82",
}

seeds.json = {
  "null", " true ", "[]", "{}", '""', "0", "-0", "-12.50e+3", "1E5", "9223372036854775807",
  "-9223372036854775808", "9223372036854775808", "1e308", "5e-324", "0.1", "123456789012345678901",
  '{"a":[1,2.0,null,{"b":false}],"":"c"}', '{"a":1,"a":2}', '[[[[[[1]]]]],{"x":{"y":{}}}]',
  [["\"\\\/\b\f\n\r\t\u0000\u00e9\u20ac\ud834\udd1e"]], '"\u{e9}\u{20ac}\u{1d11e}\u{7f}"',
  "[" .. ("1,"):rep(40) .. "1]", "{" .. ('"a":1,"b":2,'):rep(20) .. '"c":3}',
  ("["):rep(200) .. ("]"):rep(200), ("["):rep(201) .. ("]"):rep(201), "\t\r\n [ 1 , 2 ] \n",
  -- Refused.
  "", " ", "nul", "tru", "[1,]", "[,1]", "[1 2]", '{"a"}', '{"a":}', "{a:1}", '{"a":1,}', "01",
  "1.", ".5", "+1", "1e", "1e309", "-", "0x1", "NaN", "'a'", '"a', '"\n"', '"\\x"', '"\\u12"',
  '"\\ud834"', '"\\udd1e"', '"\\udd1e\\udd1e"', '"\\ud834\\u0041"', '"\xff"', '"\xc0\x80"',
  '"\xed\xa0\x80"',
  "\xef\xbb\xbf1", "1 2",
  "[1]]", "\v1", "1\f", "1\0", "/**/1", "[1}",
}

-- The tags stand in core/lua/pack.c.
seeds.pack = {
  "\0", "\1", "\2", "\3", "\x80", "\xff", "\5\x80", "\6\0\x80", "\7\0\0\0\x80",
  "\8\0\0\0\0\0\0\0\x80", "\4\0\0\0\0\0\0\xf0\x3f", "\4\0\0\0\0\0\0\xf8\x7f", "\x40", "\x43abc",
  "\9\x40" .. ("x"):rep(64), "\10\0\1\0\0" .. ("x"):rep(256),
  "\11\0\0" .. ("\11\255\255\0\0"):rep(90) .. "\0\0", -- asks for more than there is
  "\11\0\0\0\0", "\11\3\0\x80\x81\x82\0\0", "\11\0\1\0\x41a\x41b\0",
  "\11\1\1\11\0\0\0\0\0\x41a\11\1\0\2\0\0\0", "\11\0\2\0\2\x80\4\0\0\0\0\0\0\xe0\x3f\x81\0",
  "\11\255\255\0\0", ("\11\1\0"):rep(32) .. ("\0\0"):rep(32),
  -- Refused.
  "", "\12", "\x3f", "\0\0", "\x43ab", "\9\xff", "\10\xff\xff\xff\xff", "\8\0", "\11", "\11\0\0",
  "\11\0\0\0\0\0", "\11\0\1\0\0\x80", "\11\0\1\0\3\x80\0", "\11\0\1\0\4\0\0\0\0\0\0\xf8\x7f\x80\0",
  "\11\0\1\0\x41a\0\0", ("\11\1\0"):rep(33) .. ("\0\0"):rep(33),
}

-- The first byte of a line is a field's name; see fuzz_forwarded.c.
seeds.forwarded = {
  "Ffor=192.0.2.60;proto=http;host=a.example", 'FFor="[2001:DB8:cafe::17]:4711"',
  "Ffor=1.1.1.1, for=192.0.2.43;proto=https, for=10.0.0.1;host=b", "Ffor=_hidden;by=_SEVKISEK",
  'Ffor="_gaz:_port" ; proto=wss;', "Ffor=unknown\nFfor=10.0.0.1,for=10.0.0.2",
  "Ffor=10.0.0.1\nF,,",
  [[Ffor="1\92.0.2.1";x="a,\",b\\";host="a\:80"]], 'Ffor="1.1.1.1, for="192.0.2.1"',
  [[Ffor="\, for="192.0.2.1";x="\\"]], "Fproto=https\nHa", 'Fhost="[::1]:80",for="10.0.0.1:_x"',
  "f1.1.1.1, 192.0.2.1, 10.0.0.1\nphttp, https, http\nhx, a", "f::1\nf[fd00::1]:80,10.0.0.1:8",
  "funknown\npws\nHa\no8443", "h[::1]\no81",
  "Ffor=192.0.2.1;proto=https;host=a\nf192.0.2.1\nphttps\nhA",
  "F" .. ("for=10.0.0.1,"):rep(65),
  -- Refused.
  "Ffor=", "Ffor", "F=", "Ffor=[::1]", "Ffor=1.2.3.4:80", 'Ffor="1.2.3.4', 'Ffor="1"x',
  "Ffor=1;for=1",
  "Fproto=ftp", 'Fhost=""', 'Fhost="a b"', 'Ffor="[::ffff:1.2.3.4%a]"', 'Ffor="_:80"', "f1.2.3",
  "pftp",
  "ha/b", "Ha\no65536", "Ffor=1.1.1.1\nf1.1.1.2", 'Fx="\1"',
  -- Found: a host that ends at a zero byte was one.
  "h[::\0x]:\no1",
}

--- A frame with a key of zeros: the mask changes nothing.
local function frame(first, payload, len)
  return string.char(first, 0x80 | (len or #payload)) .. "\0\0\0\0" .. payload
end

-- A block with codes of its own.
local DYNAMIC = "\x1c\x89\x89\x0d\x00\x00\x0c\x01\x67\x3d\xec\x3f\x43\x69\x22\x9e\x83\x04\x11\x0d"
  .. "\x11\x53\xaf\xe4\xc5\x2f\xef\xfc\x3e\x66\x3c\xaa\xa4\xe8\x00"
local HELLO = "\xf2\x48\xcd\xc9\xc9\x07\x00"

-- The first byte is the setting; see fuzz_ws.c.
seeds.ws = {
  "\8" .. frame(0x81, "Hello") .. frame(0x82, "\xff\0"),
  "\8" .. "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
  "\8" .. frame(0x01, "Hel") .. frame(0x89, "p") .. frame(0x00, "") .. frame(0x80, "lo"),
  "\8" .. frame(0x01, "\xe2\x82") .. frame(0x80, "\xac") .. frame(0x8a, ""),
  "\8" .. frame(0x88, "\x03\xe8bye") .. frame(0x81, "x"), "\8" .. frame(0x88, ""),
  "\8" .. frame(0x88, "\x13\x87\xe2\x82\xac"),
  "\8" .. "\x82\xfe\0\x7e\0\0\0\0" .. ("x"):rep(126),
  "\12" .. "\x82\xff\0\0\0\0\0\1\0\0\0\0\0\0",
  "\9" .. frame(0xc1, HELLO) .. frame(0xc1, HELLO) .. frame(0x81, "plain"),
  "\11" .. frame(0xc1, HELLO) .. frame(0xc1, "\xf2\x00\x11\x00\x00"),
  "\11" .. frame(0x41, HELLO:sub(1, 3)) .. frame(0x89, "") .. frame(0x80, HELLO:sub(4)),
  "\11" .. frame(0xc1, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00") .. frame(0xc2, "\xf2\x00\x11\x00\x00"),
  "\11" .. frame(0xc1, "\0\5\0\xfa\xffHello\0") .. frame(0xc1, "\0") .. frame(0xc1, ""),
  "\11" .. frame(0xc1, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"),
  "\9" .. frame(0xc1, DYNAMIC), "\11" .. frame(0xc1, DYNAMIC) .. frame(0xc1, DYNAMIC),
  "\29" .. frame(0x02, "") .. frame(0x00, ""), "\29" .. frame(0x02,
  "") .. frame(0x00, ("x"):rep(65)),
  -- Refused.
  "\5" .. frame(0xc1, DYNAMIC), "\5" .. frame(0xc1, "\x4b\x04\x11\x00"), "\1" .. frame(0xc1, HELLO),
  "\8" .. frame(0x01, "\xf0\x9f\x28"), "\8" .. frame(0x01, "\xe2\x28"), "\8" .. frame(0x01,
  "\xf4\x90"),
  "\8" .. frame(0x80, "a"), "\8" .. frame(0x01, "a") .. frame(0x81, "b"), "\8" .. frame(0xc1, "a"),
  "\8" .. frame(0xa1, "a"), "\8" .. frame(0x83, ""), "\8" .. frame(0x8b, ""),
  "\8" .. frame(0x09, ""),
  "\8" .. "\x81\x01a", "\8" .. "\x89\xfe\0\x80\0\0\0\0", "\8" .. "\x81\xfe\0\1\0\0\0\0a",
  "\8" .. "\x81\xff\x80\0\0\0\0\0\0\0\0\0\0\0", "\8" .. frame(0x88, "\3"),
  "\8" .. frame(0x88, "\3\xed"), "\8" .. frame(0x88, "\3\xe8\xff"), "\8" .. frame(0x81, "\xed\xa0"),
  "\4" .. frame(0x81, ("x"):rep(17)),
  "\4" .. frame(0x01, ("x"):rep(9)) .. frame(0x80, ("x"):rep(8)),
  "\9" .. frame(0xc1, "\xff"), "\9" .. frame(0xc1, HELLO:sub(1, 3)), "\5" .. frame(0xc1,
  "\x4b\x04\x12"),
}

seeds.ws_handshake = {
  "E\13permessage-deflate", "E\13permessage-deflate; client_max_window_bits",
  "E\0permessage-deflate; server_max_window_bits=10; client_max_window_bits=12, permessage-deflate",
  "E\4x, permessage-deflate; server_no_context_takeover ;client_no_context_takeover",
  'E\13foo; a="b\\c",, permessage-deflate; server_max_window_bits="9"',
  "E\13permessage-deflate; server_max_window_bits=8, permessage-deflate; unknown",
  "E\13permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
  "E\13permessage-deflate; client_max_window_bits; client_max_window_bits=9",
  "E\13permessage-deflate; server_no_context_takeover; server_no_context_takeover",
  "E\13permessage-deflate; client_no_context_takeover; client_no_context_takeover=1",
  "E\13permessage-deflate;", 'E\13a; b="', "E\13a b", "E\13a; b=c d", "E\13",
  "Pchat, superchat", "Pb, a ,chat", "P,,v2.x", "Pcha, chat2, Chat", "P",
  "KdGhlIHNhbXBsZSBub25jZQ==", "KdGhlIHNhbXBsZSBub25jZQAA", "K",
  "H" .. lines("GET /chat HTTP/1.1", "Host: a", "Upgrade: websocket", "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", ""),
  "H" .. lines("GET /chat HTTP/1.1", "Host: a", "upgrade: h2c, WebSocket", "connection: x, upgrade",
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version: 8",
    "Sec-WebSocket-Protocol: a, b", "Sec-WebSocket-Protocol: chat", ""),
}

-- The kind (raw, line, u8, u16, u32), the limit, the stream.
seeds.framing = {
  "\0\3abcdefg", "\1\100a\nb\r\n\r\n\nc\r\r\nd\re", "\1\4abcd\nabcd\r\nabcde\n", "\1\4abcd\r\r",
  "\1\0\n\r\n\rx", "\2\100\3abc\0\1d\2e", "\3\100\0\3abc\0\0\0\1d\0", "\4\100\0\0\0\3abc\0\0\0\0\0",
  "\2\4\5abcde", "\3\4\0\5", "\4\4\1\0\0\0",
}

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
end

local folder = assert(arg[1], "a folder is missing")
for target, list in pairs(seeds) do
  assert(os.execute(("mkdir -p '%s/%s'"):format(folder, target)))
  for i, text in ipairs(list) do write(("%s/%s/%02d"):format(folder, target, i), text) end
end
