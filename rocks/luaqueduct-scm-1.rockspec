-- Builds and installs the tree that this file stands in:
--
--   luarocks --lua-version 5.4 make rocks/luaqueduct-scm-1.rockspec --tree T
--
-- leaves T/bin/luaqueduct and luaqueduct.core for plain Lua. The libraries that
-- the Makefile names (BUILD_DEPS) must be there: `make deps` installs them.
rockspec_format = "3.0"
package = "luaqueduct"
version = "scm-1"
source = {
  -- The tree itself; `luarocks make` fetches nothing.
  url = "git+file://.",
}
description = {
  summary = "An HTTP server runtime for Lua 5.4",
  detailed = [[
    One process, one event loop and one Lua state per worker thread, handlers
    that look like plain sequential code. The rock has the program, its Lua
    files, and luaqueduct.core, a module for plain Lua with router, JSON and
    packing.]],
  license = "MIT",
  labels = { "http", "server", "libuv" },
}
supported_platforms = { "linux" }
dependencies = { "lua ~> 5.4" }
external_dependencies = {
  LIBUV = { header = "uv.h" },
  YAJL = { header = "yajl/yajl_parse.h" },
  CRYPTO = { header = "openssl/evp.h" },
  ZLIB = { header = "zlib.h" },
  LIBPQ = { library = "pq" }, -- Debian keeps its header in a folder of its own
}
build = {
  type = "make",
  variables = { ROCK_CFLAGS = "$(CFLAGS)" },
  install_variables = {
    BINDIR = "$(BINDIR)",
    LIBDIR = "$(LIBDIR)",
    LUADIR = "$(LUADIR)",
  },
}
