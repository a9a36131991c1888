/** `xim budgets`: what a month may cost, of the project in all or of one of its keys. */
import type { BudgetAnswer, SetBudgetRequest } from '../../api/control/budgets.ts';
import type { Command } from '../command.ts';
import { endCommand, type ServerSession } from '../connection/withServer.ts';
import { exitCodes } from '../exitCodes.ts';
import { ago, costText, fieldTable, until } from '../textTable.ts';
import type { BodyFields } from './bodyFields.ts';
import { keyRef } from './keyCommands.ts';
import { switchRow, textRow } from './optionRows.ts';
import type { Reference } from './reference.ts';
import { changing, listing, showing, type Field, type Operand } from './resourceCommand.ts';

const operand: Operand = {
  name: '[KEY]',
  reference: keyRef as Reference<never>,
  otherwise: () => 'project',
};
const path = '/budgets/{}';

/** A key that is gone has no name any more, but its id. */
const whose = ({ scope, id, api_key: name }: BudgetAnswer): string =>
  scope === 'project' ? 'the project' : `key ${name === null ? id : `"${name}"`}`;

const usedText = ({ used }: BudgetAnswer): string | null =>
  used === null ? null : `${(100 * used).toFixed(1)} %`;

const atEndText = ({ hard_stop: stops }: BudgetAnswer): string => (stops ? 'refuse' : 'warn');

const stateTexts: Readonly<Record<BudgetAnswer['state'], string>> = {
  ok: 'ok',
  warning: 'near its end',
  used_up: 'used up',
  stopped: 'used up: what would cost more is refused',
};

function show(budget: BudgetAnswer, nowMs: number): Field[] {
  return [
    ['of', whose(budget)],
    ['id', budget.id],
    ['amount', `${costText(budget.amount)} a month`],
    ['spent', [costText(budget.spent), ...usedPart(budget)].join(' ')],
    ['state', stateTexts[budget.state]],
    ['at its end', atEndText(budget)],
    ['80 % spent', ago(budget.warned_at, nowMs)],
    ['all spent', ago(budget.used_up_at, nowMs)],
    ['next month', until(budget.resets_at, nowMs)],
    ['version', String(budget.version)],
  ];
}

function usedPart(budget: BudgetAnswer): string[] {
  const text = usedText(budget);
  return text === null ? [] : [`(${text})`];
}

const settings: BodyFields = {
  amount: {
    row: {
      ...textRow({
        flag: 'amount',
        placeholder: 'N',
        help: 'For a calendar month in UTC, in the unit that prices are in, e.g. 25 or 0.50.',
      }),
      check: (text: string) =>
        /^\d{1,9}(\.\d{1,6})?$/.test(text) ? undefined : 'give a decimal number, e.g. 25 or 0.50',
    },
    member: 'amount',
  },
  hardStop: {
    row: switchRow({
      flag: 'hard-stop',
      help: 'Refuse what would cost more once it is used up; --no-hard-stop warns only.',
    }),
    member: 'hard_stop',
  },
};

/** The server takes a budget as a whole; who changes the amount means to keep the hard stop. */
async function laidOver(
  asked: Record<string, unknown>,
  { session, path: at }: { session: ServerSession; path: string },
): Promise<{ body: Record<string, unknown>; version?: number }> {
  if (Object.keys(asked).length === 0) {
    endCommand('say what to set: --amount N, --hard-stop', exitCodes.usage);
  }
  const outcome = await session.ask<BudgetAnswer>({ method: 'GET', path: at });
  if (outcome.kind === 'ok') {
    const { amount, hard_stop, version } = outcome.answer;
    const now: SetBudgetRequest = { amount, hard_stop };
    return { body: { ...now, ...asked }, version };
  }
  const none = outcome.kind === 'refused' && outcome.code === 'not_found';
  if (!none) return session.refused(outcome);
  if (asked['amount'] === undefined) {
    endCommand('there is no budget yet; say how much with --amount', exitCodes.usage);
  }
  return { body: asked };
}

export const budgetCommands: readonly Command[] = [
  listing<BudgetAnswer>({
    words: ['budgets', 'list'],
    summary: 'List budgets and what this month has come to',
    scope: 'project',
    path: '/budgets',
    head: ['OF', 'AMOUNT', 'SPENT', 'USED', 'STATE', 'AT ITS END', 'NEXT MONTH', 'ID'],
    row: (budget, nowMs) => [
      whose(budget),
      costText(budget.amount),
      costText(budget.spent),
      usedText(budget),
      stateTexts[budget.state].split(':')[0] ?? null,
      atEndText(budget),
      until(budget.resets_at, nowMs),
      budget.id,
    ],
    empty: 'No budgets. Set one with: xim budgets set --amount N',
  }),
  showing<BudgetAnswer>({
    words: ['budgets', 'show'],
    summary: 'Show the project’s budget, or a key’s',
    scope: 'project',
    path,
    operands: [operand],
    show,
  }),
  changing<BudgetAnswer>({
    words: ['budgets', 'set'],
    summary: 'Set the project’s budget for a month, or a key’s',
    details: 'It is warned of at 80 %: xim status, and the audit log, say so.',
    scope: 'project',
    method: 'PUT',
    versioned: true,
    path,
    operands: [operand],
    fields: settings,
    complete: laidOver,
    say: (budget, { nowMs }) => fieldTable(show(budget, nowMs)),
  }),
  changing<{ id: string }>({
    words: ['budgets', 'remove'],
    summary: 'Remove a budget, and its hard stop with it',
    scope: 'project',
    method: 'DELETE',
    path,
    operands: [operand],
    say: (_, { operands: [key] }) =>
      `The budget of ${key === undefined ? 'the project' : `key "${key}"`} is removed.\n`,
  }),
];
