/** `xim regions`: the operator's map of regions that are near one another. */
import type { RegionMapAnswer } from '../../api/control/regions.ts';
import type { Command } from '../command.ts';
import { ago, fieldTable } from '../textTable.ts';
import { textRow } from './optionRows.ts';
import { changing, showing, type Field } from './resourceCommand.ts';

const path = '/regions';

function show({ groups, updated_at, version }: RegionMapAnswer, nowMs: number): Field[] {
  const lines = groups.map((group, at): Field => [at === 0 ? 'near' : '', group.join(' ')]);
  return [
    ...(lines.length === 0 ? [['near', 'none to another'] as const] : lines),
    ['changed', ago(updated_at, nowMs)],
    ['version', String(version)],
  ];
}

/** Names of regions have no space in them; those with a comma can only be given as JSON. */
function groupsOf(text: string): string[][] | undefined {
  if (!text.trimStart().startsWith('[[')) {
    const groups = text.split(',').map((group) => group.split(' ').filter((name) => name !== ''));
    return groups.filter((group) => group.length > 0);
  }
  try {
    const groups = JSON.parse(text) as unknown;
    const isGroup = (group: unknown): boolean =>
      Array.isArray(group) && group.every((name) => typeof name === 'string');
    return Array.isArray(groups) && groups.every(isGroup) ? (groups as string[][]) : undefined;
  } catch {
    return undefined;
  }
}

export const regionCommands: readonly Command[] = [
  showing<RegionMapAnswer>({
    words: ['regions', 'show'],
    summary: 'Show which regions are near one another, a group a line; for operators',
    scope: 'platform',
    path,
    show,
  }),
  changing<RegionMapAnswer>({
    words: ['regions', 'set'],
    summary: 'Say which regions are near one another, in place of what was said; for operators',
    details: 'Requests prefer agents of their own region, then of near ones.',
    scope: 'platform',
    method: 'PUT',
    versioned: true,
    path,
    fields: {
      near: {
        row: {
          ...textRow({
            flag: 'near',
            placeholder: 'GROUP,…',
            help:
              'Groups, each of regions divided by spaces, e.g. "eu-1 eu-2,eu-2 lab"; as JSON ' +
              'where a name has a comma: [["eu-1","a,b"]].',
          }),
          check: (text: string) =>
            groupsOf(text) === undefined ? 'give a list of lists of names as JSON' : undefined,
        },
        member: 'groups',
        to: (text: string) => groupsOf(text),
        required: true,
      },
    },
    say: (map, { nowMs }) => fieldTable(show(map, nowMs)),
  }),
  changing<RegionMapAnswer>({
    words: ['regions', 'clear'],
    summary: 'Let no region be near to another; for operators',
    scope: 'platform',
    method: 'PUT',
    versioned: true,
    path,
    complete: () => Promise.resolve({ body: { groups: [] } }),
    say: () => 'No region is near to another now.\n',
  }),
];
