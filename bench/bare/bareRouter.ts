/**
 * What Node and the libraries of the path cost by themselves, at the router's place: an HTTP server
 * that hands each request to the one WebSocket that is connected to it, and what comes back to its
 * client. It checks nothing, chooses nothing, keeps nothing and has no back-pressure: nobody could
 * use it, and nothing that is built of the same parts can be faster.
 *
 * A message is the number of the request (u32), `last` or `more`, and bytes.
 */
import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';
import { framed, read } from './bareMessage.ts';

const clients = new Map<number, ServerResponse>();
let agent: WebSocket | undefined;
let asked = 0;

const server = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    asked += 1;
    clients.set(asked, response);
    agent?.send(framed(asked, { isLast: true, parts }));
  });
});
server.keepAliveTimeout = 60_000;

new WebSocketServer({ server, perMessageDeflate: false }).on('connection', (socket) => {
  agent = socket;
  socket.on('message', (message: Buffer) => {
    const { id, isLast, bytes } = read(message);
    const response = clients.get(id);
    if (response === undefined) return;
    if (!response.headersSent) {
      const isStream = bytes.subarray(0, 5).toString('latin1') === 'data:';
      const type = isStream ? 'text/event-stream' : 'application/json';
      const length = isLast ? { 'content-length': bytes.length } : {};
      response.writeHead(200, { 'content-type': type, ...length });
    }
    if (!isLast) return void response.write(bytes);
    clients.delete(id);
    response.end(bytes);
  });
});

server.listen(0, '127.0.0.1', () => {
  process.send?.({ type: 'listening', port: (server.address() as AddressInfo).port });
});
process.on('disconnect', () => process.exit(0));
