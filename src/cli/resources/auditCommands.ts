/** `xim audit`: who changed what. */
import type { AuditNoteAnswer } from '../../api/control/audit.ts';
import type { Command } from '../command.ts';
import { ago, joined } from '../textTable.ts';
import { actorText } from './actorText.ts';
import type { BodyFields } from './bodyFields.ts';
import { textRow } from './optionRows.ts';
import { listing } from './resourceCommand.ts';
import { timeField } from './timeField.ts';

const word = (flag: string, member: string, placeholder: string, help: string) =>
  ({ row: textRow({ flag, placeholder, help }), member }) as const;

const filters: BodyFields = {
  action: word('action', 'action', 'ACTION', 'Only this one, e.g. join_key.create.'),
  actor: word(
    'actor',
    'actor',
    'ACTOR',
    'Only of this one: user:ID or key:ID, as -o json shows it.',
  ),
  targetKind: word(
    'target-kind',
    'target_kind',
    'KIND',
    'Only of things of this kind, e.g. agent.',
  ),
  targetId: word('target', 'target_id', 'ID', 'Only of this thing.'),
  from: timeField('from', 'Not before it: a day, a time, or how long ago (24h).'),
  to: timeField('to', 'Before it.'),
};

export const auditCommands: readonly Command[] = [
  listing<AuditNoteAnswer>({
    words: ['audit', 'list'],
    summary: 'List changes, newest first',
    scope: 'either',
    path: '/audit',
    fields: filters,
    head: ['WHEN', 'ACTION', 'TARGET', 'ACTOR', 'FROM', 'CHANGES'],
    row: (note, nowMs) => [
      ago(note.at, nowMs),
      note.action,
      note.target_id,
      actorText(note),
      note.address,
      joined(Object.entries(note.changes).map(changeText)),
    ],
    empty: 'No changes.',
  }),
];

function changeText([name, { from, to }]: [string, { from?: unknown; to?: unknown }]): string {
  return `${name}: ${valueText(from)} → ${valueText(to)}`;
}

const valueText = (value: unknown): string =>
  value === null || value === undefined ? '–' : JSON.stringify(value);
