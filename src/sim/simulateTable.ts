/** The flags of `npm run sim` and `xim simulate`. */
import { defineConfig, type ConfigOf } from '../lib/config.ts';
import { maxRequests } from './limits.ts';
import { orderNames } from './orders/orderNames.ts';
import { policyNames } from './policies/policyNames.ts';

const positive = (value: number): string | undefined =>
  value > 0 ? undefined : 'give more than 0';

const whatGroup = 'What is run';
const whoGroup = 'Who decides';

export const simulateTable = defineConfig({
  trace: {
    type: 'text',
    flag: 'trace',
    placeholder: 'FILE',
    default: undefined,
    help:
      'Requests: a Mooncake trace (JSON lines), an Azure trace (csv), a folder of ServeGen ' +
      'clients, or the receipts of a platform (xim receipts export).',
    group: whatGroup,
  },
  fleet: {
    type: 'text',
    flag: 'fleet',
    placeholder: 'SPEC',
    default: '8xA100',
    help: 'Machines. 4xA100+4xA100@3 is four, and four that are three times slower.',
    group: whatGroup,
  },
  speed: {
    type: 'number',
    flag: 'speed',
    placeholder: 'N',
    default: 1,
    check: positive,
    help: 'How many times faster than in the trace requests arrive.',
    group: whatGroup,
  },
  seed: {
    type: 'integer',
    flag: 'seed',
    placeholder: 'N',
    default: 1,
    min: 0,
    max: 2 ** 32 - 1,
    help: 'A seed repeats a run.',
    group: whatGroup,
  },
  tenants: {
    type: 'text',
    flag: 'tenants',
    placeholder: 'SPEC',
    default: undefined,
    help:
      'Draw lengths from the trace, and arrivals from this: 5@2,1@120:300-900 is five tenants ' +
      'at 2/s and one at 120/s from 300 to 900 s.',
    group: whatGroup,
  },
  faults: {
    type: 'text',
    flag: 'faults',
    placeholder: 'SPEC',
    default: undefined,
    help:
      'What goes wrong: 2@600-660 takes machine 2 away from 600 to 660 s, 3@100-200:4 makes ' +
      'machine 3 four times slower.',
    group: whatGroup,
  },
  from: {
    type: 'number',
    flag: 'from',
    placeholder: 'S',
    default: 0,
    min: 0,
    help: 'Where in the trace the run begins, in s.',
    group: whatGroup,
  },
  requests: {
    type: 'integer',
    flag: 'requests',
    placeholder: 'N',
    default: undefined,
    min: 1,
    max: maxRequests,
    help: 'At most so many of the trace. All by default; of a ServeGen folder the first 12000.',
    group: whatGroup,
  },
  policy: {
    type: 'choice',
    flag: 'policy',
    placeholder: 'NAME',
    choices: policyNames,
    default: undefined,
    help: `Which machine: ${policyNames.join(', ')}.`,
    group: whoGroup,
  },
  order: {
    type: 'choice',
    flag: 'order',
    placeholder: 'NAME',
    choices: orderNames,
    default: undefined,
    help: `Who is next: ${orderNames.join(', ')}. Without it requests are bound when they arrive.`,
    group: whoGroup,
  },
  inflightCap: {
    type: 'integer',
    flag: 'inflight-cap',
    placeholder: 'N',
    default: undefined,
    min: 1,
    help: 'Requests that a machine has at once; others wait in the router. 256 with an order.',
    group: whoGroup,
  },
  queueTimeout: {
    type: 'number',
    flag: 'queue-timeout',
    placeholder: 'S',
    default: undefined,
    check: positive,
    help: 'A request without a first token so many seconds after its arrival has failed.',
    group: whoGroup,
  },
  json: {
    type: 'switch',
    flag: 'json',
    default: false,
    help: 'Print one object as the last line.',
    group: 'The result',
  },
});

export type SimulateOptions = ConfigOf<typeof simulateTable>;
