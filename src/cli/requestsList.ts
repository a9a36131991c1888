/** `xim requests list`: the last requests, newest first. */
import type { ListAnswer } from '../api/control/lists.ts';
import type { RequestAnswer } from '../api/control/requests.ts';
import { defineConfig } from '../lib/config.ts';
import { defineCommand } from './command.ts';
import { projectOptions } from './serverContext.ts';
import { ago, milliseconds, textTable } from './textTable.ts';
import { print, withServer } from './connection/withServer.ts';

const options = defineConfig({
  limit: {
    type: 'integer',
    flag: 'limit',
    default: 20,
    min: 1,
    max: 100,
    placeholder: 'N',
    help: 'How many.',
  },
  ...projectOptions,
});

export const requestsList = defineCommand({
  words: ['requests', 'list'],
  summary: 'List the last requests, newest first',
  options,
  run: (context, { options: given }) =>
    withServer({ name: 'requests list', context, options: given }, async (session) => {
      const path = `${session.scopePath(false)}/requests?limit=${given.limit}`;
      const requests = await session.call<ListAnswer<RequestAnswer>>({ method: 'GET', path });
      print({ context, options: given }, requests, ({ data }) =>
        data.length === 0 ? 'No requests yet.\n' : requestsTable(data, context.clock.now()),
      );
    }),
});

function requestsTable(requests: readonly RequestAnswer[], nowMs: number): string {
  return textTable(
    ['ID', 'WHEN', 'ENDPOINT', 'AGENT', 'OUTCOME', 'STATUS', 'QUEUED', 'TTFT', 'TOTAL', 'TOKENS'],
    requests.map((request) => [
      request.id,
      ago(request.started_at, nowMs),
      request.endpoint,
      request.agent,
      request.outcome,
      String(request.status),
      milliseconds(request.queue_ms),
      milliseconds(request.ttft_ms),
      milliseconds(request.latency_ms),
      `${request.input_tokens ?? '–'} → ${request.output_tokens ?? '–'}`,
    ]),
  );
}
