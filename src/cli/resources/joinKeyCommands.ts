/** `xim join-keys list`, `revoke`; making one has a file of its own. */
import type { JoinKeyAnswer } from '../../api/control/joinKeys.ts';
import type { Command } from '../command.ts';
import { ago, joined, sizeText, until } from '../textTable.ts';
import type { Reference } from './reference.ts';
import { changing, listing, showing, type Operand } from './resourceCommand.ts';

const joinKeyRef: Reference<JoinKeyAnswer> = {
  what: 'join key',
  list: '/join-keys',
  topic: 'join-keys',
  paged: true,
  idOf: (key) => key.id,
  nameOf: (key) => key.name,
  isAlive: (key) => key.state === 'open',
};

const operand: Operand = { name: 'ID', reference: joinKeyRef as Reference<never> };

export const joinKeyCommands: readonly Command[] = [
  listing<JoinKeyAnswer>({
    words: ['join-keys', 'list'],
    summary: 'List join keys and what is left of them',
    scope: 'either',
    path: '/join-keys',
    head: ['ID', 'NAME', 'STATE', 'USES', 'ENDS', 'REGION', 'TIERS'],
    row: (key, nowMs) => [
      key.id,
      key.name || null,
      key.state,
      `${key.uses}/${key.max_uses}`,
      until(key.expires_at, nowMs),
      key.region,
      key.supported_tiers?.join(',') ?? 'by accelerator',
    ],
    empty: 'No join keys. Make one with: xim join-keys create',
  }),
  showing<JoinKeyAnswer>({
    words: ['join-keys', 'show'],
    summary: 'Show a join key; its value was shown once',
    scope: 'either',
    path: '/join-keys/{}',
    operands: [operand],
    show: (key, nowMs) => [
      ['name', key.name || null],
      ['id', key.id],
      ['state', key.state],
      ['uses', `${key.uses} of ${key.max_uses}`],
      ['ends', until(key.expires_at, nowMs)],
      ['region', key.region],
      ['tiers', joined(key.supported_tiers ?? []) ?? 'by accelerator'],
      ['storage limit', key.storage_limit_enabled ? sizeText(key.storage_limit_bytes) : 'the disk'],
      ['created', ago(key.created_at, nowMs)],
    ],
  }),
  changing<{ id: string }>({
    words: ['join-keys', 'revoke'],
    summary: 'Revoke a join key; agents that joined with it stay',
    scope: 'either',
    method: 'DELETE',
    path: '/join-keys/{}',
    operands: [operand],
    say: (_, { operands: [id] }) => `${id} is revoked. Agents that joined with it stay.\n`,
  }),
];
