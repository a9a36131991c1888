/** `xim requests` and `xim explain`: what was asked, and what became of it. */
import type { ActiveRequestAnswer, RequestAnswer } from '../../api/control/requests.ts';
import type { Command } from '../command.ts';
import { ago, costText, milliseconds } from '../textTable.ts';
import { explain } from './explain.ts';
import { textRow } from './optionRows.ts';
import { listing } from './resourceCommand.ts';
import { usageFields } from './usageFields.ts';

export const requestCommands: readonly Command[] = [
  listing<RequestAnswer>({
    words: ['requests', 'list'],
    summary: 'List the last requests, newest first',
    scope: 'project',
    path: '/requests',
    csv: '/usage/records.csv',
    fields: {
      ...usageFields,
      outcome: {
        row: textRow({
          flag: 'outcome',
          placeholder: 'OUTCOME',
          help: 'Only those that ended so, e.g. queue_timeout.',
        }),
        member: 'outcome',
      },
    },
    usualLimit: 20,
    head: [
      'ID',
      'WHEN',
      'ENDPOINT',
      'AGENT',
      'OUTCOME',
      'STATUS',
      'QUEUED',
      'TTFT',
      'TOTAL',
      'TOKENS',
      'COST',
    ],
    row: (request, nowMs) => [
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
      costText(request.cost),
    ],
    empty: 'No requests yet.',
  }),
  listing<ActiveRequestAnswer>({
    words: ['requests', 'active'],
    summary: 'List requests that wait or run now, with their places in line',
    scope: 'project',
    path: '/requests/active',
    whole: true,
    head: ['ID', 'ENDPOINT', 'STATE', 'POSITION', 'TO GO', 'AGENT', 'AGE'],
    row: (request) => [
      request.id,
      request.endpoint,
      request.state,
      request.position === null ? null : String(request.position),
      milliseconds(request.eta_ms),
      request.agent,
      milliseconds(request.age_ms),
    ],
    empty: 'Nothing waits or runs.',
  }),
  explain,
];
