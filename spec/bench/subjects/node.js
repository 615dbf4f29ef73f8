// Node's own http module: node node.js PORT
'use strict';

const http = require('node:http');

const USERS = '/users/';

function send(res, type, body) {
  res.writeHead(200, {
    'Server': 'node',
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(body),
  });
  res.end(body);
}

function answer(req, res) {
  if (req.url === '/plain') {
    send(res, 'text/plain; charset=utf-8', 'Hello, World!');
  } else if (req.url === '/json') {
    send(res, 'application/json', JSON.stringify({ message: 'Hello, World!' }));
  } else if (req.url.startsWith(USERS)) {
    send(res, 'text/plain; charset=utf-8', 'user ' + req.url.slice(USERS.length));
  } else {
    res.writeHead(404).end();
  }
}

const server = http.createServer(answer);
server.keepAliveTimeout = 600_000; // idle connections are counted, not closed
server.listen({ host: '127.0.0.1', port: Number(process.argv[2]), backlog: 4096 });
