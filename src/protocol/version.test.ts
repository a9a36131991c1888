import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { z } from 'zod';
import { linkLimits } from './limits.ts';
import { agentControlSchema } from './messages/agentControl.ts';
import { endSchema } from './messages/end.ts';
import { headSchema } from './messages/head.ts';
import { openSchema } from './messages/open.ts';
import { routerControlSchema } from './messages/routerControl.ts';
import { commonVersion, linkHistory, linkVersions } from './version.ts';
import { linkSubprotocol } from './wsTransport.ts';
import { closeCodes } from './wire/closeCode.ts';
import { frameFlag, frameHeaderBytes, frameType } from './wire/frame.ts';
import { resetCodes } from './wire/resetCode.ts';

/** Everything that two ends must agree on, as one digest. */
function linkFingerprint(): string {
  const messages = {
    agentControl: agentControlSchema,
    routerControl: routerControlSchema,
    open: openSchema,
    head: headSchema,
    end: endSchema,
  };
  const agreed = {
    frame: { frameHeaderBytes, frameType, frameFlag, resetCodes, closeCodes },
    bounds: [
      linkLimits.maxFramePayloadBytes,
      linkLimits.maxMessageBytes,
      linkLimits.maxControlBytes,
      linkLimits.creditTowardsRouterBytes,
      linkLimits.creditTowardsAgentBytes,
      linkLimits.maxDetailBytes,
    ],
    schemas: Object.entries(messages).map(([name, schema]) => [name, z.toJSONSchema(schema)]),
  };
  return createHash('sha256').update(JSON.stringify(agreed)).digest('hex').slice(0, 16);
}

void test('the wire changed and nobody wrote down what it means for the version', () => {
  const [current] = linkHistory;
  assert.equal(
    linkFingerprint(),
    current?.fingerprint,
    'frames or schemas differ from the version: read version.ts, then write the new fingerprint',
  );
});

void test('the history is in order and ends with what is spoken', () => {
  assert.equal(linkHistory[0]?.version, linkVersions[0]);
  for (const [n, entry] of linkHistory.entries()) {
    assert.match(entry.date, /^\d{4}-\d\d-\d\d$/);
    const older = linkHistory[n + 1];
    if (older === undefined) continue;
    assert.ok(entry.version >= older.version && entry.date >= older.date);
  }
  assert.equal(linkSubprotocol, 'xim.link.1');
});

void test('ends of different age take the newest version that both speak', () => {
  assert.equal(commonVersion([2, 1]), 1);
  assert.equal(commonVersion([1]), 1);
  assert.equal(commonVersion([3, 2]), undefined);
  assert.equal(commonVersion([]), undefined);
});
