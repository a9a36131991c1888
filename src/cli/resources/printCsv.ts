/** `--csv`: what the server writes for spreadsheets, on standard output. */
import type { CommandContext } from '../command.ts';
import { queryText, type ServerCall } from '../connection/callServer.ts';
import { downloadText } from '../connection/downloadText.ts';
import { endCommand, type ServerSession } from '../connection/withServer.ts';
import { exitCodes } from '../exitCodes.ts';

export const csvSwitch = {
  type: 'switch',
  flag: 'csv',
  default: false,
  help: 'All of it as CSV, for spreadsheets.',
} as const;

export async function printCsv(wish: {
  session: ServerSession;
  context: CommandContext;
  path: string;
  query: NonNullable<ServerCall['query']>;
}): Promise<number> {
  const { session, context, query } = wish;
  const { terminal, clock } = context;
  const address = session.context;
  const path = `${wish.path}${queryText(query)}`;
  const outcome = await downloadText({ address, auth: address.auth, path, clock }, terminal);
  switch (outcome.kind) {
    case 'done':
      return exitCodes.done;
    case 'broken':
      return endCommand('the list broke off; what came is not all of it.', exitCodes.failed);
    case 'refused':
    case 'unreachable':
      return session.refused(outcome);
  }
}
