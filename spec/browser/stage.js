// What the scenarios of this folder have in common: Chromium, waiting with a
// deadline, and the run of the scenario that the command line names.
//
//   node spec/browser/chat.js http://127.0.0.1:8888 NAME
//
// A scenario that throws ends the program with 1 and the reason on standard
// error. So does an error on a page, and a page that a console complains about.

"use strict";
const { chromium } = require("playwright-core");

const SECONDS = 20;

/** Calls `fn` until it gives something true. */
async function till(what, fn) {
  const deadline = Date.now() + SECONDS * 1000;

  for (;;) {
    const result = await fn();
    if (result) return result;
    if (Date.now() > deadline) throw new Error(`waited ${SECONDS} s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A browser of its own (no cookies or storage shared) and its page. */
async function open(browser, url, complaints, options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();

  page.setDefaultTimeout(SECONDS * 1000);
  page.on("pageerror", (error) => complaints.push(error.stack));
  page.on("dialog", (dialog) => {
    complaints.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("console", (message) => {
    const text = message.text();
    // The browser tells by itself that a connection was lost.
    if (message.type() === "error" && !text.includes("WebSocket connection to")) complaints.push(text);
  });
  await page.goto(url);
  return page;
}

/** Runs the scenario of the command line: `scenarios[name]({ url, open, till })`. */
async function run(scenarios) {
  const [url, name] = process.argv.slice(2);
  const complaints = [];
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: process.getuid() === 0 ? ["--no-sandbox"] : [],
  });

  try {
    await scenarios[name]({
      url,
      open: (options) => open(browser, url, complaints, options),
      till,
    });
    if (complaints.length) throw new Error(complaints.join("\n"));
  } finally {
    await browser.close();
  }
}

// What a scenario has left open does not keep the program alive.
exports.run = (scenarios) => run(scenarios).then(() => process.exit(0), (error) => {
  console.error(error.stack);
  process.exit(1);
});
