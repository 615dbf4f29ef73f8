// How many 100-byte strings a second one thread of Node posts to another.
//
// Run: BENCH_MESSAGES=1000000 node spec/bench/subjects/messages.js

'use strict';

const { Worker, isMainThread, parentPort } = require('node:worker_threads');

const GRANT = 8192, AHEAD = 32768;

function send(worker, count) {
  const text = 'x'.repeat(100), start = process.hrtime.bigint();
  let granted = AHEAD, sent = 0;

  function more() {
    for (; sent < count && sent < granted; sent++) worker.postMessage(text);
  }

  worker.on('message', (got) => {
    granted = got + AHEAD;
    if (got < count) return more();
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    console.log(`stream ${Math.round(count / seconds)}\ndone`);
    worker.terminate();
  });
  more();
}

if (isMainThread) {
  const count = Math.floor((Number(process.env.BENCH_MESSAGES) || 1e6) / GRANT) * GRANT;
  const worker = new Worker(__filename);
  worker.once('message', () => send(worker, count));
} else {
  let got = 0;
  parentPort.on('message', () => {
    got += 1;
    if (got % GRANT === 0) parentPort.postMessage(got);
  });
  parentPort.postMessage('ready');
}
