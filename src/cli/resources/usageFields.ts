/** Of which requests usage is asked. */
import type { Asked, BodyFields } from './bodyFields.ts';
import { agentRef } from './agentRef.ts';
import { keyRef } from './keyCommands.ts';
import { modelRef } from './modelCommands.ts';
import { textRow } from './optionRows.ts';
import { idOf } from './reference.ts';
import { timeField } from './timeField.ts';

/** What all shared agents are called together. */
const shared = 'shared';

export const usageFields: BodyFields = {
  from: timeField('from', 'Not before it: a day, a time, or how long ago (24h).'),
  to: timeField('to', 'Before it.'),
  endpoint: {
    row: textRow({ flag: 'endpoint', placeholder: 'SLUG', help: 'Only of this endpoint.' }),
    member: 'endpoint',
  },
  model: {
    row: textRow({ flag: 'model', placeholder: 'MODEL', help: 'Only of this model.' }),
    member: 'model',
    to: (name: string, asked: Asked) => idOf(modelRef, name, asked),
  },
  key: {
    row: textRow({ flag: 'key', placeholder: 'KEY', help: 'Only with this API key.' }),
    member: 'api_key',
    to: (name: string, asked: Asked) => idOf(keyRef, name, asked),
  },
  agent: {
    row: textRow({
      flag: 'agent',
      placeholder: 'AGENT',
      help: `Only what this agent served, or "${shared}" for all shared ones.`,
    }),
    member: 'agent',
    to: (name: string, asked: Asked) => (name === shared ? name : idOf(agentRef, name, asked)),
  },
  tier: {
    row: textRow({ flag: 'tier', placeholder: 'TIER', help: 'Only what this tier served.' }),
    member: 'tier',
  },
};
