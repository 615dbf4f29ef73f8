// Connections that stay, in Node: an echo over TCP or WebSocket, or a room.
//
// The TCP echo gives back what it reads: the client's frames with it.
// `room`: what one sends, all get.
//
// Run: NODE_PATH=build/bench/node_modules node spec/bench/subjects/stay.js tcp|ws|room PORT

'use strict';

const kind = process.argv[2];
const options = { host: '127.0.0.1', port: Number(process.argv[3]), backlog: 4096 };

function serveTcp() {
  require('node:net').createServer({ noDelay: true }, (socket) => {
    socket.on('data', (data) => socket.write(data));
    socket.on('error', () => {});
  }).listen(options);
}

function serveWebSocket(onMessage) {
  const { WebSocketServer } = require('ws');
  const server = new WebSocketServer({ ...options, perMessageDeflate: false });
  server.on('connection', (ws) => {
    ws.on('message', (data, isBinary) => onMessage(server, ws, data, isBinary));
    ws.on('error', () => {});
  });
}

function echo(server, ws, data, binary) {
  ws.send(data, { binary });
}

function publish(server, ws, data, binary) {
  for (const client of server.clients) client.send(data, { binary });
}

if (kind === 'tcp') serveTcp();
else serveWebSocket(kind === 'room' ? publish : echo);
