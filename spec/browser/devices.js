// The page of examples/devices in Chromium, with devices of Node's own;
// spec/system/devices_page_spec.lua runs this.

"use strict";
const assert = require("node:assert");
const net = require("node:net");
const stage = require("./stage.js");

/** A device that has said hello; `answers` are its commands, each of them done. */
async function connect(url, id) {
  const { device_port: port } = await (await fetch(`${url}/stats`)).json();
  const socket = net.connect(port, "127.0.0.1");
  const commands = [];
  let last = 0, buffer = Buffer.alloc(0), welcome;
  const isWelcome = new Promise((resolve) => { welcome = resolve; });
  const send = (byte, ...parts) => {
    const body = Buffer.concat([Buffer.from([byte]), ...parts]);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(body.length);
    socket.write(Buffer.concat([length, body]));
  };
  const short = (text) => Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]);

  socket.on("data", (data) => {
    buffer = Buffer.concat([buffer, data]);
    while (buffer.length >= 2 && buffer.length >= 2 + buffer.readUInt16BE()) {
      const body = buffer.subarray(2, 2 + buffer.readUInt16BE());
      buffer = buffer.subarray(2 + body.length);
      if (body[0] === 65) {
        last = body.readUInt32BE(2);
        welcome();
      } else if (body[0] === 67) {
        const text = body.subarray(7).toString();
        const answer = Buffer.from(`${text} is done`);
        const size = Buffer.alloc(2);
        commands.push(text);
        size.writeUInt16BE(answer.length);
        send(3, body.subarray(1, 5), Buffer.from([1]), size, answer);
      }
    }
  });
  send(1, Buffer.from([1]), short(id), short("a secret of the example"));
  await isWelcome;
  return {
    id, commands,
    end: () => socket.destroy(),
    report(quantity, value) {
      const numbers = Buffer.alloc(12), double = Buffer.alloc(8);
      numbers.writeUInt32BE(++last);
      numbers.writeBigInt64BE(BigInt(Date.now()), 4);
      double.writeDoubleBE(value);
      send(2, numbers, short(quantity), double);
    },
  };
}

const row = (id) => `tr[data-device="${id}"]`;

stage.run({
  async readings(s) {
    const page = await s.open();
    await page.getByText("No device has connected yet.").waitFor();
    const device = await connect(s.url, "oven");

    device.report("temperature", 21.25);
    await page.waitForSelector(`${row("oven")}.online`);
    await page.locator(`${row("oven")} .value`, { hasText: "21.3 °C".replace(" ", "") }).waitFor();
    device.report("temperature", 22);
    device.report("weight", 7);
    await page.locator(`${row("oven")} .value`, { hasText: "22.0" }).waitFor();
    await page.locator(`${row("oven")} .value`, { hasText: "7.0" }).waitFor();
    await s.till("both points", async () => (await page.getAttribute(`${row("oven")} polyline`, "points")).split(" ").length === 2);
    const late = await s.open(); // sees what was there before it
    await late.locator(`${row("oven")} .value`, { hasText: "22.0" }).waitFor();
    assert.deepStrictEqual(await late.$$eval("th", (nodes) => nodes.map((node) => node.textContent)),
      await page.$$eval("th", (nodes) => nodes.map((node) => node.textContent)));
    device.end();
    await page.waitForSelector(`${row("oven")}:not(.online)`);
    assert.strictEqual(await page.isDisabled(`${row("oven")} button`), true);
  },

  async alert(s) {
    const page = await s.open();
    const device = await connect(s.url, "oven");

    device.report("temperature", 35.5);
    await page.locator("#alerts li", { hasText: "temperature 35.5 °C, too high" }).waitFor();
    await page.waitForSelector(`${row("oven")} .alert`);
    assert.strictEqual(await page.textContent("#open-alerts b"), "1");
    device.report("temperature", 29.8); // within the margin
    device.report("temperature", 20);
    await page.locator("#alerts li", { hasText: "temperature 20.0 °C, back to normal" }).waitFor();
    await page.waitForSelector(`${row("oven")} td:not(.alert) .value`);
    assert.strictEqual(await page.textContent("#open-alerts b"), "0");
    assert.strictEqual(await page.locator("#alerts li").count(), 2);
    device.end();
  },

  async commands(s) {
    const page = await s.open();
    const workers = new Map();

    await s.till("a device on each worker", async () => {
      const id = `d${workers.size}-${Date.now()}`;
      const device = await connect(s.url, id);
      const place = await page.textContent(`${row(id)}.online small`);
      if (workers.has(place)) device.end();
      else workers.set(place, device);
      return workers.size === 4;
    });
    for (const device of workers.values()) {
      await page.click(`${row(device.id)} button`);
      await page.waitForSelector(`${row(device.id)} button[data-result=done]`);
      assert.strictEqual(await page.getAttribute(`${row(device.id)} button`, "title"), "identify is done");
      assert.deepStrictEqual(device.commands, ["identify"]);
    }
    for (const device of workers.values()) device.end();
  },

  async worker(s) {
    const page = await s.open();
    const device = await connect(s.url, "oven");
    const words = page.evaluate(() => new Promise((resolve) => {
      const seen = [];
      new MutationObserver(() => {
        const text = document.querySelector("#status").textContent;
        seen.push(text);
        if (text === "Live" && seen.length > 1) resolve(seen);
      }).observe(document.querySelector("#status"), { childList: true });
    }));

    await page.waitForSelector(`${row("oven")}.online`);
    for (const worker of [1, 2, 3, 4]) await fetch(`${s.url}/stop/${worker}`);
    assert.match((await words).join(), /Connection lost.*Live$/);
    await page.waitForSelector(`${row("oven")}:not(.online)`);
    const again = await connect(s.url, "oven");
    again.report("temperature", 25);
    await page.locator(`${row("oven")}.online .value`, { hasText: "25.0" }).waitFor();
    again.end();
    device.end();
  },
});
