import assert from 'node:assert/strict';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import { Exchange } from '../exchanges/exchange.ts';
import { HttpMeter } from '../httpMeter.ts';
import { BodyPieces, readBody, ReadingBudget, type BodyOutcome } from './readBody.ts';

const budget = new ReadingBudget({ maxBytes: 1000, callerBytes: 900 });
const outcomes: BodyOutcome[] = [];
let told: (() => void) | undefined;
const server = http.createServer((request, response) => {
  const about = { requestId: 'req_1', address: '127.0.0.1', asks: false, meter: new HttpMeter() };
  const exchange = new Exchange({ request, response, clock: systemClock, ...about });
  const caller = String(request.headers['x-caller'] ?? 'a');
  void readBody(exchange, { maxBytes: 800, budget, caller }).then((outcome) => {
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

function send(length: number, body: string, caller = 'a'): net.Socket {
  const { port } = server.address() as AddressInfo;
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => {});
  const head = `POST / HTTP/1.1\r\nhost: x\r\nx-caller: ${caller}\r\n`;
  socket.write(`${head}content-length: ${length}\r\n\r\n${body}`);
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
  const second = send(500, 'y'.repeat(500), 'b');
  const full = { of: 'server', limitBytes: 1000 };
  assert.deepEqual(await outcome, { kind: 'busy', full });
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

test('one caller that never finishes and keeps all the others out', async () => {
  const held = [send(800, 'x'.repeat(450)), send(800, 'x'.repeat(450))];
  while (budget.held < 900) await new Promise(setImmediate);
  const outcome = next();
  const more = send(100, 'x'.repeat(100));
  assert.deepEqual(await outcome, { kind: 'busy', full: { of: 'caller', limitBytes: 900 } });
  const other = next();
  const theirs = send(100, 'y'.repeat(100), 'b');
  assert.equal((await other)?.kind, 'read');
  for (const socket of [...held, more, theirs]) socket.destroy();
  while (budget.held > 0) await new Promise(setImmediate);
  assert.equal(budget.callers, 0, 'a caller is remembered for ever');
});

test('a body in pieces of every size, joined in another order', async () => {
  const sizes = [1, 1, 5000, 3, 4096, 1, 70_000, 2, 2, 9000, 1];
  const sent = sizes.map((size, at) => Buffer.alloc(size, 97 + at));
  const gathered = new BodyPieces();
  for (const piece of sent) gathered.push(Buffer.from(piece));
  assert.equal(
    gathered.length,
    sizes.reduce((sum, size) => sum + size, 0),
  );
  assert.ok(gathered.whole().equals(Buffer.concat(sent)));
  const single = new BodyPieces();
  const only = Buffer.from('{}');
  single.push(only);
  assert.equal(single.whole(), only, 'a usual body is copied');
});

test('a body that comes byte by byte and costs a hundred times its size', () => {
  const before = process.memoryUsage();
  const gathered = new BodyPieces();
  for (let sent = 0; sent < 1_000_000; sent += 1) gathered.push(Buffer.of(sent & 0xff));
  const after = process.memoryUsage();
  const body = gathered.whole();
  assert.equal(body.length, 1_000_000);
  assert.equal(body[999_999], 999_999 & 0xff);
  assert.ok(gathered.pieceCount < 100, `${gathered.pieceCount} pieces`);
  assert.ok(after.rss - before.rss < 100_000_000, `${after.rss - before.rss} bytes`);
});
