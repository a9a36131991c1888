import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hubAddress } from './hubAddress.ts';
import { StartupError } from './startupError.ts';

test('a mirror’s address that is none is found out by the agent, again and again', () => {
  for (const text of ['foo', 'hub.example.com', 'ftp://hub', 'https://', 'https://hub/?x=1']) {
    assert.throws(
      () => hubAddress({ HF_ENDPOINT: text }),
      (error) =>
        error instanceof StartupError && error.kind === 'usage' && error.message.includes(text),
      text,
    );
  }
  assert.equal(hubAddress({ HF_ENDPOINT: 'http://10.0.0.1:8080/hf//' }), 'http://10.0.0.1:8080/hf');
  assert.equal(hubAddress({ HF_ENDPOINT: '' }), 'https://huggingface.co');
  assert.equal(hubAddress({}), 'https://huggingface.co');
});
