/** The OpenAI-compatible surface. */
import { inference } from './access.ts';
import type { RouteRow, Summaries } from './routeRow.ts';

export const dataRows = [
  ['POST', '/v1/chat/completions', 'data', inference, 'chat'],
  ['POST', '/{project}/{endpoint}/v1/chat/completions', 'data', inference, 'chat'],
  ['GET', '/v1/models', 'data', inference, 'models'],
  ['GET', '/{project}/v1/models', 'data', inference, 'models'],
  ['GET', '/{project}/{endpoint}/v1/models', 'data', inference, 'models'],
  ['GET', '/v1/models/{model}', 'data', inference, 'model'],
  ['GET', '/{project}/v1/models/{model}', 'data', inference, 'model'],
  ['GET', '/{project}/{endpoint}/v1/models/{model}', 'data', inference, 'model'],
] as const satisfies readonly RouteRow[];

export const dataSummaries: Summaries<typeof dataRows> = {
  chat: 'Answer a conversation, streamed or whole',
  models: 'List the endpoints that the key may call, as models',
  model: 'Describe one of them',
};
