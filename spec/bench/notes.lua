--- What stands in the way of a target that is missed, by the target's id (see targets.lua).

local SPLIT = "the whole CPU of a request is that of the prototype (1.00 to 1.01 ×); how it is "
  .. "split is what the kernel's ticks caught, and they caught too much as user time: with 16 "
  .. "pipelined requests 0.11 µs in the kernel, where the raw loop's same calls take 0.30"

local POSTGRESQL = "the bare loop over libpq is at 3.4 to 4.0 × Node: with 20 queries in one batch "
  .. "PostgreSQL fills the CPU that it shares with wrk, whoever asks; pools of 1 to 8 connections "
  .. "lie within a tenth of each other"

return {
  ["db-queries-node"] = POSTGRESQL,
  ["plain-user-nginx"] = SPLIT,
  ["plain-user-prototype"] = SPLIT,
  ["json-user-nginx"] = SPLIT,
  ["json-user-prototype"] = SPLIT,
  ["route-user-nginx"] = SPLIT,
  ["route-user-prototype"] = SPLIT,
}
