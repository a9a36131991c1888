/**
 * `docs/internals/link.md` is the protocol: its vectors and tables are checked against the code.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { publicKeyFromText, verifyText } from '../lib/crypto/ed25519.ts';
import { helloMessage } from './signing.ts';
import { closeCodes } from './wire/closeCode.ts';
import { agentControlReader, encodeControl, encodeStreamMessage } from './wire/controlCodec.ts';
import { frameName, routerControlReader } from './wire/controlCodec.ts';
import { decodeFrames, encodeCredit, encodeFrame, encodePing, frameType } from './wire/frame.ts';
import { readCredit, type Frame, type FrameName } from './wire/frame.ts';
import { encodeReset, readReset, resetCodes } from './wire/resetCode.ts';
import type { AgentControl, HelloMessage } from './messages/agentControl.ts';
import type { RouterControl } from './messages/routerControl.ts';
import type { ResetCode } from './link.ts';

const file = path.join(import.meta.dirname, '..', '..', 'docs', 'internals', 'link.md');
const page = readFileSync(file, 'utf8');

interface Vector {
  name: FrameName;
  stream: number;
  flags: number;
  /** What the payload says: JSON, or text for DATA. */
  meaning: unknown;
  bytes: Buffer;
}

const vectors: Vector[] = [...page.matchAll(/```vector\n([\s\S]*?)```/g)].map(([, block = '']) => {
  const [first = '', ...hex] = block.split('\n');
  const [, name, stream, flags, json] = /^(\w+) stream=(\d+) flags=(\d+) (.*)$/.exec(first) ?? [];
  return {
    name: (name ?? '').toLowerCase() as FrameName,
    stream: Number(stream),
    flags: Number(flags),
    meaning: JSON.parse(json ?? '') as unknown,
    bytes: Buffer.from(hex.join('').replaceAll(/\s/g, ''), 'hex'),
  };
});

const agentSays = new Set(['hello', 'grant', 'heartbeat', 'token', 'log', 'trailers']);

function meaningOf(frame: Frame, name: FrameName): unknown {
  const { payload } = frame;
  if (name === 'data') return payload.toString('utf8');
  if (name === 'credit') return { bytes: readCredit(payload) };
  if (name === 'reset') return readReset(payload);
  if (name === 'ping' || name === 'pong') return { counter: payload.readUInt32BE(0) };
  return JSON.parse(payload.toString('utf8')) as unknown;
}

function encoded({ name, stream, flags, meaning }: Vector): Buffer {
  switch (name) {
    case 'data':
      return encodeFrame({ type: 6, flags, stream, payload: Buffer.from(meaning as string) });
    case 'credit':
      return encodeCredit({ stream, ...(meaning as { bytes: number }) });
    case 'reset':
      return encodeReset({ stream, ...(meaning as { code: ResetCode; detail: string }) });
    case 'ping':
    case 'pong':
      return encodePing({ type: name, ...(meaning as { counter: number }) });
    case 'open':
    case 'head':
    case 'end':
      return encodeStreamMessage({ type: name, stream, message: meaning as object });
    default: {
      const message = { type: name, ...(meaning as object) } as AgentControl | RouterControl;
      return Buffer.concat(encodeControl(message));
    }
  }
}

void test('the page has a vector for every frame type, and the code writes and reads it', () => {
  const named = new Set(vectors.map((vector) => vector.name));
  assert.deepEqual([...named].toSorted(), Object.keys(frameType).toSorted());
  for (const vector of vectors) {
    const read = decodeFrames(vector.bytes);
    assert.ok(Array.isArray(read) && read.length === 1, vector.name);
    const frame = read[0] as Frame;
    assert.equal(frameName(frame.type), vector.name);
    assert.deepEqual([frame.stream, frame.flags], [vector.stream, vector.flags]);
    assert.deepEqual(meaningOf(frame, vector.name), vector.meaning);
    assert.equal(encoded(vector).toString('hex'), vector.bytes.toString('hex'), vector.name);
  }
});

void test('the control messages of the page pass their schemas', () => {
  for (const { name, stream, bytes } of vectors) {
    if (stream !== 0 || name === 'ping' || name === 'pong') continue;
    const payload = bytes.subarray(9);
    const read = agentSays.has(name) ? agentControlReader : routerControlReader;
    const outcome = read(2 ** 20).read({ name, more: false, payload });
    assert.equal(outcome.kind, 'message', `${name} ${JSON.stringify(outcome)}`);
  }
});

void test('the signature of the page is over the bytes that the page describes', () => {
  const meaningOfFirst = (name: FrameName): unknown =>
    vectors.find((vector) => vector.name === name)?.meaning;
  const { nonce } = meaningOfFirst('challenge') as { nonce: string };
  const hello = meaningOfFirst('hello') as HelloMessage;
  const [, keyText = ''] = /public key\s+`([\w-]{43})`/.exec(page) ?? [];
  const publicKey = publicKeyFromText(keyText) ?? assert.fail('no public key on the page');
  const { signature } = hello;
  assert.ok(verifyText({ message: helloMessage({ nonce, ...hello }), signature, publicKey }));
});

void test('the tables of the page are those of the code', () => {
  const numbersOf = (pattern: RegExp): Record<string, number> =>
    Object.fromEntries(
      [...page.matchAll(pattern)].map(([, name, number]) => [name, Number(number)]),
    );
  const upper = Object.entries(frameType).map(([name, number]) => [name.toUpperCase(), number]);
  assert.deepEqual(numbersOf(/^\| ([A-Z]+) +\| (\d+) +\|/gm), Object.fromEntries(upper));
  const codes = numbersOf(/^\| ([a-z_]+) +\| (\d+) +\|/gm);
  assert.deepEqual(codes, { ...resetCodes, ...closeCodes, too_slow: codes['too_slow'] });
  // The one name that is in both tables: each number must stand on the page.
  for (const number of [resetCodes.too_slow, closeCodes.too_slow]) {
    assert.match(page, new RegExp(`^\\| too_slow +\\| ${number} +\\|`, 'm'));
  }
});
