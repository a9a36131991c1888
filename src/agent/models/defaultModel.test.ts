import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseModelSource } from '../../lib/modelSource.ts';
import { defaultModel } from './defaultModel.ts';

test('the default model’s source does not name its repository and file', () => {
  const { repo, file, source } = defaultModel;
  assert.deepEqual(parseModelSource(source), { kind: 'hub', repo, file });
});
