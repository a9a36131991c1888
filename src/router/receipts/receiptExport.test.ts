import assert from 'node:assert/strict';
import test from 'node:test';
import { endedRequest } from '../../testing/router/endedRequest.ts';
import type { Receipt } from './receipt.ts';
import { ReceiptExport } from './receiptExport.ts';
import { receiptNow } from './receiptSegment.ts';

const around = { agent: () => undefined, outsiders: () => null };

function receipt(over: Partial<Receipt> = {}): Receipt {
  const ended = endedRequest({ requestId: 'req_1', blocks: 6 });
  return { ...receiptNow(ended, around), ...over };
}

test('blocks of one project tell of those of another, or of what their hashes are', () => {
  const trace = new ReceiptExport();
  const blocks = [111_111, 222_222];
  const [one, same, other] = [
    trace.line(receipt({ blocks })),
    trace.line(receipt({ blocks: [111_111, 333_333] })),
    trace.line(receipt({ blocks, projectId: 'proj_b' })),
  ];
  assert.ok(one && same && other);
  assert.equal(one.hash_ids[0], same.hash_ids[0]);
  assert.notEqual(one.hash_ids[1], same.hash_ids[1]);
  assert.equal(other.hash_ids.filter((id) => one.hash_ids.includes(id)).length, 0);
  assert.ok(!JSON.stringify(one).includes('111111'));
  assert.deepEqual([one.project, other.project], ['p1', 'p2']);
});

test('what a limit refused is offered to the fleet, or what waited in vain is not', () => {
  const trace = new ReceiptExport();
  assert.equal(trace.line(receipt({ outcome: 'rate_limit_exceeded' })), undefined);
  assert.equal(trace.line(receipt({ outcome: 'queue_timeout' }))?.outcome, 'queue_timeout');
});
