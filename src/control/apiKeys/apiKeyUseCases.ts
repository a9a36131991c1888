/** API keys of a project. */
import {
  apiKeyOf,
  createApiKey,
  listApiKeys,
  revokeApiKey,
  rotateApiKey,
  updateApiKey,
} from './apiKeys.ts';

export const apiKeyUseCases = {
  apiKeys: listApiKeys,
  apiKey: apiKeyOf,
  createApiKey,
  updateApiKey,
  rotateApiKey,
  revokeApiKey,
};
