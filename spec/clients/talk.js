// Talks to the app of websocket_clients_spec.lua with npm's ws.
//
// node talk.js PORT MODULES prints a line for each thing that has gone as it must; ws is in the
// folder MODULES.
"use strict";

const assert = require("assert");
const path = require("path");
const WebSocket = require(path.resolve(process.argv[3], "ws"));

const BASE = "ws://127.0.0.1:" + process.argv[2];
const OFFERS = {
  plain: { perMessageDeflate: false },
  deflate: { perMessageDeflate: { threshold: 0 } },
  "no contexts": { perMessageDeflate: { threshold: 0, serverNoContextTakeover: true,
    clientNoContextTakeover: true } },
  "small windows": { perMessageDeflate: { threshold: 0, serverMaxWindowBits: 9,
    clientMaxWindowBits: 10 } },
};
const MESSAGES = ["", "x", "κόσμε", "x".repeat(125), "y".repeat(126),
  "line after line; ".repeat(5000), Buffer.alloc(0), Buffer.alloc(140000, "\x00\xff", "latin1"),
  "z".repeat(1000000)];

function open(where, options = {}, protocols = []) {
  const ws = new WebSocket(BASE + where, protocols, options);
  const queue = [], waiting = [];
  ws.on("message", (data, isBinary) => {
    const message = isBinary ? data : data.toString();
    if (waiting.length) waiting.shift()(message); else queue.push(message);
  });
  ws.next = () => new Promise((resolve) => {
    if (queue.length) resolve(queue.shift()); else waiting.push(resolve);
  });
  ws.ended = new Promise((resolve) => {
    ws.on("close", (code, reason) => resolve(code + " " + reason));
  });
  return new Promise((resolve, reject) => {
    ws.on("open", () => resolve(ws));
    ws.on("unexpected-response", (req, res) => {
      req.destroy(); // it would keep its connection
      reject(new Error("status " + res.statusCode));
    });
    ws.on("error", reject);
  });
}

async function echo(name, where) {
  const ws = await open(where, OFFERS[name]);
  for (const message of MESSAGES) {
    ws.send(message);
    assert.deepStrictEqual(await ws.next(), message);
  }
  ws.send("in ", { fin: false });
  ws.ping("between");
  ws.send("fragments", { fin: true });
  assert.strictEqual(await ws.next(), "in fragments");
  for (const message of MESSAGES) ws.send(message);
  for (const message of MESSAGES) assert.deepStrictEqual(await ws.next(), message);
  const pong = new Promise((resolve) => ws.once("pong", resolve));
  ws.ping("there?");
  assert.strictEqual((await pong).toString(), "there?");
  ws.close(1000);
  assert.strictEqual(await ws.ended, "1000 ");
  console.log("echo", where, name);
}

async function closes() {
  for (const [where, end] of [["/bye", "4001 that is all"], ["/error", "1011 "]]) {
    const ws = await open(where);
    ws.send("x");
    assert.strictEqual(await ws.ended, end);
  }
  console.log("closes");
}

async function refusals() {
  await assert.rejects(open("/nowhere"), /status 404/);
  await assert.rejects(open("/origin", { origin: "https://evil.example" }), /status 403/);
  console.log("refusals");
}

async function protocols() {
  const ws = await open("/protocols", {}, ["x", "b", "a"]);
  assert.strictEqual(ws.protocol, "b");
  ws.close();
  assert.strictEqual(await ws.ended, "1005 ");
  console.log("protocols");
}

async function pings() {
  const ws = await open("/pings");
  let count = 0;
  ws.on("ping", () => count++);
  await new Promise((resolve) => setTimeout(resolve, 3000));
  ws.send("still there");
  assert.strictEqual(await ws.next(), "still there");
  assert(count >= 1, count + " pings"); // it is looked at once a second
  ws.close();
  await ws.ended;
  console.log("pings");
}

async function topics() {
  const all = [];
  for (let i = 0; i < 4; i++) {
    for (const name in OFFERS) all.push(await open("/topic", OFFERS[name]));
  }
  for (const ws of all) assert.strictEqual(await ws.next(), "subscribed");
  for (let i = 0; i < all.length; i++) {
    const text = `message ${i} `.repeat(30);
    all[i].send(text);
    for (const other of all) assert.strictEqual(await other.next(), text);
  }
  for (const ws of all) ws.close(4007, "enough");
  for (const ws of all) assert.strictEqual(await ws.ended, "4007 ");
  console.log("topics");
}

async function main() {
  for (const name in OFFERS) {
    await echo(name, "/echo");
    await echo(name, "/takeover");
  }
  await closes();
  await refusals();
  await protocols();
  await pings();
  await topics();
}

main().catch((err) => {
  console.error(err);
  process.exit(1);
});
