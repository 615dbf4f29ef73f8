// The page of examples/chat in Chromium; spec/system/chat_spec.lua runs this.

"use strict";
const assert = require("node:assert");
const stage = require("./stage.js");

const workerOf = async (page) => Number((await page.textContent("#status")).match(/^worker (\d+)$/)?.[1]);
const texts = (page) => page.$$eval(".message .text", (nodes) => nodes.map((node) => node.textContent));
const names = (page) => page.$$eval("#people li span:last-child", (nodes) => nodes.map((n) => n.textContent));

async function enter(page, name, room) {
  await page.fill("[name=name]", name);
  await page.fill("[name=room]", room);
  await page.click("#door button");
}

async function arrive(page) {
  await page.waitForSelector("#status[data-state=open]");
  return workerOf(page);
}

async function say(page, text) {
  await page.fill("#text", text);
  await page.press("#text", "Enter");
}

const hears = (page, text) => page.waitForFunction(
  (expected) => [...document.querySelectorAll(".message .text")].some((node) => node.textContent === expected), text);

/** Ann and Bob in browsers of their own, on two workers, in a room of their own. */
async function couple({ open, till }) {
  const [ann, bob] = [await open(), await open()];
  let attempts = 0;

  await till("two workers", async () => {
    const workers = [];
    attempts += 1;
    for (const [page, name] of [[ann, "Ann"], [bob, "Bob"]]) {
      await enter(page, name, `room${attempts}`);
      workers.push(await arrive(page));
    }
    if (workers[0] !== workers[1]) return true;
    for (const page of [ann, bob]) await page.click("#leave");
  });
  assert.notStrictEqual(await workerOf(ann), await workerOf(bob));
  return [ann, bob, `room${attempts}`];
}

stage.run({
  async talk(s) {
    const [ann, bob] = await couple(s);

    await say(ann, "Is anybody here?");
    await hears(bob, "Is anybody here?");
    await say(bob, "I am.");
    await hears(ann, "I am.");
    for (const page of [ann, bob]) {
      assert.deepStrictEqual(await texts(page), ["Is anybody here?", "I am."]);
    }
    assert.deepStrictEqual(await names(ann), ["Ann (you)", "Bob"]);
    assert.deepStrictEqual(await names(bob), ["Ann", "Bob (you)"]);
    await bob.click("#leave");
    await ann.getByText("Bob has left").waitFor();
    assert.deepStrictEqual(await names(ann), ["Ann (you)"]);
  },

  async markup(s) {
    const [ann, bob, room] = await couple(s);
    const text = "<script>alert(1)</script><img src=x onerror=alert(2)>&amp;";

    await say(ann, text);
    await hears(bob, text);
    assert.deepStrictEqual(await bob.$$("#messages script, #messages img"), []);
    await bob.click("#leave");
    await enter(bob, "<b>Bob</b>", room);
    await ann.getByText("<b>Bob</b> has joined").waitFor();
    assert.deepStrictEqual(await ann.$$("#room b"), []);
    assert.deepStrictEqual(await names(ann), ["<b>Bob</b>", "Ann (you)"]);
  },

  async reload(s) {
    const [ann, bob] = await couple(s);

    await say(ann, "before");
    await hears(bob, "before");
    await bob.reload();
    await arrive(bob);
    await hears(bob, "before");
    await say(ann, "after");
    await hears(bob, "after");
    assert.deepStrictEqual(await texts(bob), ["before", "after"]);
    // Who comes back at once has never left.
    await s.till("the time to come back to pass", async () => Date.now() - (s.began ??= Date.now()) > 2500);
    assert.deepStrictEqual(await names(ann), ["Ann (you)", "Bob"]);
    assert.strictEqual(await ann.getByText("Bob has left").count(), 0);
  },

  async rooms(s) {
    const [ann, bob] = await couple(s);

    await bob.click("#leave");
    await enter(bob, "Bob", "attic");
    await arrive(bob);
    await say(bob, "up here");
    await hears(bob, "up here");
    await say(ann, "down here");
    await hears(ann, "down here");
    assert.deepStrictEqual(await texts(bob), ["up here"]);
    assert.deepStrictEqual(await texts(ann), ["down here"]);
    assert.deepStrictEqual(await names(bob), ["Bob (you)"]);
  },

  async refusals(s) {
    const [ann, , room] = await couple(s);
    const late = await s.open();

    await enter(late, "Ann", room);
    await late.getByText("Somebody named Ann is in this room already.").waitFor();
    // What the page would not do, by hand.
    const talk = (query, message) => ann.evaluate(([queryText, sent]) => new Promise((resolve) => {
      const socket = new WebSocket(`ws://${location.host}/socket?${queryText}`);
      const events = [];
      socket.onmessage = ({ data }) => {
        const event = JSON.parse(data);
        if (event.type === "welcome") socket.send(sent);
        if (event.type !== "error") return;
        events.push(event.text);
        if (sent) socket.close();
      };
      socket.onclose = ({ code }) => resolve([...events, code]);
    }), [query, message]);
    const token = "token=0123456789abcdef";

    for (const [query, why] of [
      [`room=lobby&${token}`, "The name is missing."],
      [`name=%20&room=lobby&${token}`, "The name is empty."],
      [`name=${"x".repeat(25)}&room=lobby&${token}`, "The name has more than 24 characters."],
      [`name=%ff&room=lobby&${token}`, "The name is no text."],
      [`name=a%0Ab&room=lobby&${token}`, "The name is no text."],
      [`name=Eve&room=a/b&${token}`, "The name of a room has letters, digits, - and _."],
      [`name=Eve&${token}`, "The name of a room has letters, digits, - and _."],
      ["name=Eve&room=lobby", "The token is missing."],
    ]) assert.deepStrictEqual(await talk(query, ""), [why, 4000]);
    for (const [message, why] of [
      ["no JSON", "The key is missing."],
      ["[]", "The key is missing."],
      ['{"text":"a"}', "The key is missing."],
      ['{"key":"k"}', "The message is missing."],
      ['{"key":"k","text":7}', "The message is missing."],
      ['{"key":"k","text":" \\n "}', "The message is empty."],
      ['{"key":"k","text":"\\u0000"}', "The message is no text."],
      [JSON.stringify({ key: "k", text: "x".repeat(501) }), "The message has more than 500 characters."],
    ]) assert.deepStrictEqual((await talk(`name=Eve&room=lobby&${token}`, message)).slice(0, 1), [why]);
    assert.deepStrictEqual(await talk(`name=Eve&room=lobby&${token}`, "x".repeat(5000)), [1009]);
    await say(ann, "still here");
    await hears(ann, "still here");
    assert.deepStrictEqual(await texts(ann), ["still here"]);
  },

  async worker(s) {
    const [ann, bob] = await couple(s);

    await say(ann, "one");
    await hears(bob, "one");
    for (const way of ["stop", "panic"]) {
      const states = ann.evaluate(() => new Promise((resolve) => {
        const seen = [];
        new MutationObserver(() => {
          const text = document.querySelector("#status").textContent;
          seen.push(text);
          if (text.startsWith("worker")) resolve(seen);
        }).observe(document.querySelector("#status"), { childList: true });
      }));
      await fetch(`${s.url}/${way}/${await workerOf(ann)}`);
      assert.match((await states).join(), /^Connection lost.*Connecting,worker \d+$/);
      await arrive(bob); // who may have been on the same worker
      await say(bob, `after ${way}`);
      await hears(ann, `after ${way}`);
    }
    await bob.waitForSelector("#status[data-state=open]");
    assert.deepStrictEqual(await texts(ann), ["one", "after stop", "after panic"]);
    assert.deepStrictEqual(await names(ann), ["Ann (you)", "Bob"]);
  },

  async lost(s) {
    const [ann, bob] = await couple(s);

    // The connection ends under a message, before or after it has arrived.
    for (const arrives of [false, true]) {
      await ann.evaluate((isSent) => {
        const send = WebSocket.prototype.send;
        WebSocket.prototype.send = function (data) {
          WebSocket.prototype.send = send;
          if (isSent) send.call(this, data);
          this.onmessage = null;
          this.close();
        };
      }, arrives);
      await say(ann, `arrives: ${arrives}`);
      for (const page of [bob, ann]) await hears(page, `arrives: ${arrives}`);
      await ann.waitForFunction(() => unheard.size === 0);
    }
    await say(bob, "that was all");
    for (const page of [bob, ann]) {
      await hears(page, "that was all");
      assert.deepStrictEqual(await texts(page), ["arrives: false", "arrives: true", "that was all"]);
    }
  },

  async service(s) {
    const [ann, bob] = await couple(s);

    await say(ann, "one");
    await hears(bob, "one");
    await fetch(`${s.url}/die/rooms`);
    await say(ann, "two");
    for (const page of [ann, bob]) {
      await hears(page, "two");
      await arrive(page);
      assert.deepStrictEqual(await texts(page), ["one", "two"]);
      assert.strictEqual((await names(page)).length, 2);
    }
  },
});
