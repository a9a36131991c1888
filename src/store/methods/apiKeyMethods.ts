import type { ApiKeyStore } from '../contract/apiKeyStore.ts';
import {
  apiKeyByHash,
  apiKeyById,
  apiKeysOf,
  insertApiKey,
  markApiKeysUsed,
  revokeApiKey,
  rotateApiKey,
  updateApiKey,
} from '../projects/apiKeys.ts';
import type { MethodsOf } from './method.ts';

export const apiKeyMethods: MethodsOf<ApiKeyStore> = {
  apiKeysOf: { access: 'read', run: apiKeysOf },
  apiKeyById: { access: 'read', run: apiKeyById },
  apiKeyByHash: { access: 'read', run: apiKeyByHash },
  insertApiKey: { access: 'change', run: insertApiKey },
  updateApiKey: { access: 'change', run: updateApiKey },
  rotateApiKey: { access: 'change', run: rotateApiKey },
  revokeApiKey: { access: 'change', run: revokeApiKey },
  markApiKeysUsed: { access: 'upkeep', run: markApiKeysUsed },
};
