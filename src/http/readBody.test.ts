import assert from 'node:assert/strict';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { systemClock } from '../lib/clock.ts';
import { Exchange } from './exchange.ts';
import { readBody, ReadingBudget, type BodyOutcome } from './readBody.ts';

const budget = new ReadingBudget(1000);
const outcomes: BodyOutcome[] = [];
let told: (() => void) | undefined;
const server = http.createServer((request, response) => {
  const about = { requestId: 'req_1', address: '127.0.0.1', asks: false };
  const exchange = new Exchange({ request, response, clock: systemClock, ...about });
  void readBody(exchange, { maxBytes: 800, budget }).then((outcome) => {
    outcomes.push(outcome);
    told?.();
    response.end();
  });
});
before(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)));
after(() => {
  server.closeAllConnections();
  server.close();
});

function send(length: number, body: string): net.Socket {
  const { port } = server.address() as AddressInfo;
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write(`POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${length}\r\n\r\n${body}`);
  return socket;
}

const next = (): Promise<BodyOutcome | undefined> =>
  new Promise((resolve) => (told = () => resolve(outcomes.at(-1))));

test('an upload that breaks off and keeps its place in memory for ever', async () => {
  const outcome = next();
  const socket = send(500, 'x'.repeat(200));
  while (budget.held < 200) await new Promise(setImmediate);
  socket.destroy();
  assert.deepEqual(await outcome, { kind: 'aborted' });
  assert.equal(budget.held, 0);
});

test('uploads that together are more than the server may hold', async () => {
  const first = send(700, 'x'.repeat(600));
  while (budget.held < 600) await new Promise(setImmediate);
  const outcome = next();
  const second = send(500, 'y'.repeat(500));
  assert.deepEqual(await outcome, { kind: 'busy' });
  second.destroy();
  const whole = next();
  first.write('x'.repeat(100));
  const read = await whole;
  assert.equal(read?.kind === 'read' && read.body.toString(), 'x'.repeat(700));
  first.destroy();
  assert.equal(budget.held, 0);
});

test('a declared length over the bound, of which a byte is read', async () => {
  const outcome = next();
  const socket = send(801, '');
  assert.deepEqual(await outcome, { kind: 'too_large' });
  socket.destroy();
});
