// Node's http module and pg: node database.js PORT POOL URL
'use strict';

const http = require('node:http');
const { Pool } = require('pg');
const Cursor = require('pg-cursor');

const [port, max, connectionString] = process.argv.slice(2);
const QUERIES = 20, BATCH = 1000;
const ESCAPES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

// pg reads no `?host=` of a URL without a host: the parts are given one by one.
function connection(text) {
  const url = new URL(text.replace('@/', '@localhost/'));
  return {
    host: url.searchParams.get('host') || url.hostname,
    port: Number(url.searchParams.get('port') || url.port),
    user: url.username,
    database: url.pathname.slice(1),
  };
}

const pool = new Pool({ ...connection(connectionString), max: Number(max), idleTimeoutMillis: 0 });
const random = () => 1 + Math.floor(Math.random() * 10000);
const escape = (text) => text.replace(/[&<>"']/g, (c) => ESCAPES[c]);

async function world() {
  const result = await pool.query({
    name: 'world',
    text: 'select id, randomnumber from world where id = $1',
    values: [random()],
  });
  const row = result.rows[0];
  return { id: row.id, randomNumber: row.randomnumber };
}

const worlds = () => Promise.all(Array.from({ length: QUERIES }, world));

async function update() {
  const rows = (await worlds()).sort((a, b) => a.id - b.id);
  const client = await pool.connect();
  try {
    await client.query('begin');
    for (const row of rows) {
      row.randomNumber = random();
      await client.query({
        name: 'update',
        text: 'update world set randomnumber = $1 where id = $2',
        values: [row.randomNumber, row.id],
      });
    }
    await client.query('commit');
  } finally {
    client.release();
  }
  return rows;
}

async function fortunes() {
  const result = await pool.query({ name: 'fortunes', text: 'select id, message from fortune' });
  const rows = result.rows;
  rows.push({ id: 0, message: 'Additional fortune added at request time.' });
  rows.sort((a, b) => (a.message < b.message ? -1 : 1));
  return '<!DOCTYPE html><html><head><title>Fortunes</title></head><body>'
    + '<table><tr><th>id</th><th>message</th></tr>'
    + rows.map((row) => `<tr><td>${row.id}</td><td>${escape(row.message)}</td></tr>`).join('')
    + '</table></body></html>';
}

async function long(count) {
  const client = await pool.connect();
  const cursor = client.query(new Cursor('select id, number, message, at from long limit $1',
    [count]));
  let rows = 0, sum = 0, batch;
  do {
    batch = await cursor.read(BATCH);
    for (const row of batch) {
      rows++;
      sum += row.id;
    }
  } while (batch.length > 0);
  await cursor.close();
  client.release();
  return { rows, sum };
}

function send(res, type, body) {
  res.writeHead(200, {
    'Server': 'node',
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(body),
  });
  res.end(body);
}

const paths = { '/one': world, '/queries': worlds, '/updates': update };

async function answer(req, res) {
  const path = req.url;
  if (path === '/fortunes') send(res, 'text/html; charset=utf-8', await fortunes());
  else if (path.startsWith('/long/'))
    send(res, 'application/json', JSON.stringify(await long(Number(path.slice(6)))));
  else if (paths[path]) send(res, 'application/json', JSON.stringify(await paths[path]()));
  else res.writeHead(404).end();
}

const server = http.createServer((req, res) => {
  answer(req, res).catch((err) => {
    console.error(err);
    res.writeHead(500).end();
  });
});
server.keepAliveTimeout = 600_000;
server.listen({ host: '127.0.0.1', port: Number(port), backlog: 4096 });
