// Fastify, as its documentation recommends for speed (a schema for what is
// JSON, no logger): NODE_PATH=build/bench/node_modules node fastify.js PORT
'use strict';

const app = require('fastify')({ logger: false, keepAliveTimeout: 600_000 });

const schema = {
  response: {
    200: { type: 'object', properties: { message: { type: 'string' } } },
  },
};

function send(reply, answer) {
  reply.header('server', 'fastify').send(answer);
}

app.get('/plain', (req, reply) => { send(reply, 'Hello, World!'); });
app.get('/json', { schema }, (req, reply) => { send(reply, { message: 'Hello, World!' }); });
app.get('/users/:id(^\\d+$)', (req, reply) => { send(reply, 'user ' + req.params.id); });

app.listen({ host: '127.0.0.1', port: Number(process.argv[2]), backlog: 4096 });
