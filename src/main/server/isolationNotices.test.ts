import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isolationNotices } from './server.ts';

const codes = (sharing: number, config: { agent: boolean; allowUnsandboxed: boolean }): string[] =>
  isolationNotices(config, { directory: { sharingProjects: () => sharing } }).map(
    ({ code }) => code,
  );

test('projects that share agents from before, and nobody is told', () => {
  const forbidden = { agent: true, allowUnsandboxed: false };
  assert.deepEqual(codes(1, forbidden), ['SharedUnsandboxed']);
  assert.deepEqual(codes(2, forbidden), ['SharedUnsandboxed', 'SharedWithoutConsent']);
  assert.deepEqual(codes(2, { ...forbidden, agent: false }), ['SharedWithoutConsent']);
  assert.deepEqual(codes(2, { ...forbidden, allowUnsandboxed: true }), ['SharedUnsandboxed']);
});
