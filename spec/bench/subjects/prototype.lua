--- The handlers of prototype.c; it calls one of them a request: (request, parameter).
--
-- luacheck: globals route

route("/plain", function() return "Hello, World!" end)
route("/json", function() return { message = "Hello, World!" } end)
route("/users/:id", function(_, id) return "user " .. id end)
