/** `xim receipts export`: a day of a platform, for the simulator. */
import { membersOf, type BodyFields, fieldOptions } from './bodyFields.ts';
import { printCsv } from './printCsv.ts';
import { resourceCommand } from './resourceCommand.ts';
import { timeField } from './timeField.ts';

const fields: BodyFields = {
  from: timeField('from', 'Not before it: a day, a time, or how long ago (24h).'),
  to: timeField('to', 'Before it.'),
};

export const receiptExport = resourceCommand(
  {
    words: ['receipts', 'export'],
    summary: 'Write the receipts of all projects as a trace for xim simulate',
    details:
      'One JSON object a line, on standard output. Lengths, times and outcomes are as they were; ' +
      'projects, models and agents have numbers instead of names, and nothing says what was asked.',
    scope: 'platform',
    path: '/receipts',
  },
  fieldOptions(fields, { changes: false }),
  async ({ session, context, options, scope }) => {
    const nowMs = context.clock.now();
    const query = await membersOf(fields, options, { session, scope, nowMs });
    return printCsv({ session, context, path: `${scope}/receipts`, query: query as never });
  },
);
