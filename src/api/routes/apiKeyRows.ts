/** API keys of a project. */
import { owner } from './access.ts';
import { project } from './prefixes.ts';
import type { RouteRow, Summaries } from './routeRow.ts';

const keys = `${project}/api-keys` as const;

export const apiKeyRows = [
  ['GET', keys, 'control', owner, 'apiKeys'],
  ['POST', keys, 'control', owner, 'createApiKey'],
  ['GET', `${keys}/{key}`, 'control', owner, 'apiKey'],
  ['PATCH', `${keys}/{key}`, 'control', owner, 'updateApiKey'],
  ['POST', `${keys}/{key}/rotate`, 'control', owner, 'rotateApiKey'],
  ['DELETE', `${keys}/{key}`, 'control', owner, 'revokeApiKey'],
] as const satisfies readonly RouteRow[];

export const apiKeySummaries: Summaries<typeof apiKeyRows> = {
  apiKeys: 'API keys of a project, revoked ones included, oldest first',
  createApiKey: 'Create an API key; its value is shown once',
  apiKey: 'One API key',
  updateApiKey: 'Change an API key: everything but its scopes',
  rotateApiKey: 'Give an API key a new value, shown once; the present one stays good for a day',
  revokeApiKey: 'Revoke an API key for good; what runs with it ends',
};
