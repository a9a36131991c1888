/** `xim keys`: API keys of a project. */
import type { ApiKeyAnswer, ShownApiKeyAnswer } from '../../api/control/apiKeys.ts';
import type { Command } from '../command.ts';
import { ago, fieldTable, joined, until } from '../textTable.ts';
import type { Asked, BodyFields } from './bodyFields.ts';
import type { Reference } from './reference.ts';
import { changing, listing, showing, type Field, type Operand } from './resourceCommand.ts';

export const keyRef: Reference<ApiKeyAnswer> = {
  what: 'key',
  list: '/api-keys',
  topic: 'keys',
  paged: true,
  idOf: (key) => key.id,
  nameOf: (key) => key.name,
  isAlive: (key) => key.state !== 'revoked',
};
const operand: Operand = { name: 'KEY', reference: keyRef as Reference<never> };
const path = '/api-keys/{}';

const quota = (flag: string, help: string) =>
  ({
    row: {
      type: 'integer',
      flag,
      default: undefined,
      min: 1,
      placeholder: 'N',
      help,
      group: 'Quota',
    },
    member: `quota.${flag.replaceAll('-', '_')}`,
    unset: null,
  }) as const;

const limits: BodyFields = {
  endpoint: {
    row: {
      type: 'text',
      flag: 'endpoint',
      default: undefined,
      placeholder: 'SLUG',
      help: 'The only endpoint that it opens.',
    },
    member: 'endpoint',
    unset: null,
  },
  expiresIn: {
    row: {
      type: 'duration',
      flag: 'expires-in',
      default: undefined,
      min: 60_000,
      placeholder: 'TIME',
      help: 'When it ends, from now, e.g. 90d.',
    },
    member: 'expires_at',
    to: (ms: number, { nowMs }: Asked) => new Date(nowMs + ms).toISOString(),
    unset: null,
  },
  allowIp: {
    row: {
      type: 'list',
      flag: 'allow-ip',
      default: undefined,
      placeholder: 'ADDRESS,…',
      help: 'The only addresses and ranges that it is taken from, e.g. 10.0.0.0/8.',
    },
    member: 'ip_allow_list',
    unset: [],
  },
  requestsPerMinute: quota('requests-per-minute', 'Requests a minute at most.'),
  tokensPerMinute: quota('tokens-per-minute', 'Tokens a minute at most, in and out.'),
  tokensPerDay: quota('tokens-per-day', 'Tokens a day at most, in and out.'),
};

function show(key: ApiKeyAnswer, nowMs: number): Field[] {
  const { quota: limit } = key;
  return [
    ['name', key.name],
    ['id', key.id],
    ['key', key.masked],
    ['scopes', joined(key.scopes)],
    ['state', key.state],
    ['endpoint', key.endpoint_id ?? 'all'],
    ['ends', key.expires_at === null ? 'never' : until(key.expires_at, nowMs)],
    ['from', joined(key.ip_allow_list) ?? 'anywhere'],
    ['requests/min', countOf(limit?.requests_per_minute)],
    ['tokens/min', countOf(limit?.tokens_per_minute)],
    ['tokens/day', countOf(limit?.tokens_per_day)],
    ['last used', ago(key.last_used_at, nowMs)],
    ['created', `${ago(key.created_at, nowMs)} by ${key.created_by ?? 'somebody'}`],
    ['rotated', ago(key.rotated_at, nowMs)],
    ['old value ends', key.previous_valid_until && until(key.previous_valid_until, nowMs)],
    ['version', String(key.version)],
  ];
}

const countOf = (limit: number | null | undefined): string =>
  limit === null || limit === undefined ? 'not limited' : String(limit);

const sayValue = ({ key }: ShownApiKeyAnswer): string => `${key}\n`;

export const keyCommands: readonly Command[] = [
  listing<ApiKeyAnswer>({
    words: ['keys', 'list'],
    summary: 'List API keys, oldest first',
    scope: 'project',
    path: '/api-keys',
    head: ['NAME', 'KEY', 'SCOPES', 'STATE', 'ENDS', 'LAST USED', 'ID'],
    row: (key, nowMs) => [
      key.name,
      key.masked,
      key.scopes.join(','),
      key.state,
      key.expires_at === null ? 'never' : until(key.expires_at, nowMs),
      ago(key.last_used_at, nowMs),
      key.id,
    ],
    empty: 'No keys. Make one with: xim keys create NAME',
  }),
  showing<ApiKeyAnswer>({
    words: ['keys', 'show'],
    summary: 'Show an API key; its value was shown once',
    scope: 'project',
    path,
    operands: [operand],
    show,
  }),
  changing<ShownApiKeyAnswer>({
    words: ['keys', 'create'],
    summary: 'Make an API key and print it',
    details: 'The key goes to standard output, everything else to standard error.',
    scope: 'project',
    method: 'POST',
    creates: true,
    path: '/api-keys',
    operands: [{ name: 'NAME', member: 'name' }],
    fields: {
      scopes: {
        row: {
          type: 'list',
          flag: 'scopes',
          default: ['inference'],
          placeholder: 'SCOPE,…',
          help: 'inference calls endpoints; management may what an owner may, people apart.',
          check: (scopes: readonly string[]) =>
            scopes.every((scope) => scope === 'inference' || scope === 'management')
              ? undefined
              : 'give inference, management or both',
        },
        member: 'scopes',
      },
      ...limits,
    },
    say: sayValue,
    note: ({ id, scopes }) => `Key ${id} (${scopes.join(', ')}). It is shown only now.\n`,
  }),
  changing<ApiKeyAnswer>({
    words: ['keys', 'set'],
    summary: 'Change an API key: everything but its scopes',
    scope: 'project',
    method: 'PATCH',
    versioned: true,
    path,
    operands: [operand],
    fields: {
      name: {
        row: {
          type: 'text',
          flag: 'name',
          default: undefined,
          placeholder: 'NAME',
          help: 'By which you know it again.',
        },
        member: 'name',
      },
      ...limits,
    },
    // The server takes a quota as a whole; who sets one limit means to keep the others.
    async complete(body, { session, path: at }) {
      const now = await session.call<ApiKeyAnswer>({ method: 'GET', path: at });
      const asked = body['quota'] as object | undefined;
      if (asked === undefined) return { body, version: now.version };
      return { body: { ...body, quota: { ...now.quota, ...asked } }, version: now.version };
    },
    say: (key, { nowMs }) => fieldTable(show(key, nowMs)),
  }),
  changing<ShownApiKeyAnswer>({
    words: ['keys', 'rotate'],
    summary: 'Give an API key a new value and print it',
    scope: 'project',
    method: 'POST',
    creates: true,
    versioned: true,
    path: `${path}/rotate`,
    operands: [operand],
    fields: {
      grace: {
        row: {
          type: 'duration',
          flag: 'grace',
          default: 86_400_000,
          min: 0,
          max: 86_400_000,
          placeholder: 'TIME',
          help: 'How long the present value stays good; 0s for one that got out.',
        },
        member: 'grace_seconds',
        to: (ms: number) => Math.round(ms / 1000),
      },
    },
    say: sayValue,
    note: ({ id, previous_valid_until: ends }, nowMs) =>
      `Key ${id} has this value now, which is shown only now. The old one ends ` +
      `${ends === null ? 'at once' : until(ends, nowMs)}.\n`,
  }),
  changing<{ id: string }>({
    words: ['keys', 'revoke'],
    summary: 'Revoke an API key for good; what runs with it ends',
    scope: 'project',
    method: 'DELETE',
    path,
    operands: [operand],
    confirm: ([key]) => `Revoke the key ${key}, and end what runs with it?`,
    say: (_, { operands: [key] }) => `${key} is revoked.\n`,
  }),
];
