import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AgentProcessEvent } from '../agent/agentEvents.ts';
import { parseAgentEvent } from '../agent/agentEvents.ts';
import { createProgressPrinter } from './progressPrinter.ts';

const fetching = (receivedBytes: number): AgentProcessEvent => ({
  kind: 'fetching',
  model: 'tiny',
  receivedBytes,
  totalBytes: 100_000_000,
  bytesPerSecond: 5_000_000,
});

function printed(terminal: boolean, events: readonly AgentProcessEvent[]): string {
  let text = '';
  const write = (part: string) => void (text += part);
  const printer = createProgressPrinter({ write, terminal, columns: 60 });
  for (const event of events) printer.event(event);
  return text;
}

test('a log that a download fills with a line per chunk', () => {
  const steps = Array.from({ length: 1001 }, (_, at) => fetching(at * 100_000));
  const lines = printed(false, [...steps, { kind: 'ready', model: 'tiny' }]).split('\n');
  assert.equal(lines.length, 13);
  assert.equal(lines[0], 'fetching tiny: 0.0 MB of 100.0 MB (0 %), 5.0 MB/s, 20 s left');
  assert.equal(lines[10], 'fetching tiny: 100.0 MB of 100.0 MB (100 %), 5.0 MB/s');
  assert.equal(lines[11], 'tiny is ready');
});

test('a terminal on which progress scrolls, or stays behind the next sentence', () => {
  const text = printed(true, [fetching(0), fetching(1), { kind: 'ready', model: 'tiny' }]);
  assert.equal(text.split('\n').length, 2);
  assert.ok(text.endsWith('\r\u001b[Ktiny is ready\n'));
  assert.ok(text.split('\r\u001b[K').every((part) => part.length < 60 || part.endsWith('\n')));
});

test('a server or an engine that writes into the terminal of the agent’s owner', () => {
  const message = 'no:\n  a\u001b]52;c;Y3VybA==\u0007\rb';
  assert.equal(
    printed(true, [{ kind: 'refused', message }]),
    'no:\n  a\uFFFD]52;c;Y3VybA==\uFFFD\uFFFDb\n',
  );
});

test('a failure without what was tried, or told again at every attempt', () => {
  const tried = ['hf:x: no route', 'pip: 404'];
  const failed: AgentProcessEvent = { kind: 'failed', model: 'tiny', message: 'No source.', tried };
  const text = printed(false, [failed, failed]);
  assert.equal(text, 'tiny cannot be served: No source.\n  hf:x: no route\n  pip: 404\n');
});

test('a line of an agent that is no event, taken for one', () => {
  const event: AgentProcessEvent = { kind: 'linked' };
  assert.deepEqual(parseAgentEvent(JSON.stringify(event)), event);
  for (const line of ['', 'hello', 'null', '{"kind":"other"}', '[]', '"linked"']) {
    assert.equal(parseAgentEvent(line), undefined, line);
  }
});
