/**
 * The pin of a server to which we are about to give a password: what was given or is known of it,
 * nothing where its certificate is vouched for, and else what a person has compared.
 */
import type { CommandContext } from '../command.ts';
import { callServer } from '../connection/callServer.ts';
import { endCommand } from '../connection/withServer.ts';
import { exitCodes } from '../exitCodes.ts';
import { seenPin } from '../../lib/network/pinnedTls.ts';

export async function trustedPin(options: {
  server: string;
  context: CommandContext;
  given: string | null;
}): Promise<string | null> {
  const { server, context, given } = options;
  const { clock, random } = context;
  const parts = { address: { server, pin: given }, auth: null, clock, random };
  // Nothing secret is in it; whether it is refused does not matter.
  const outcome = await callServer(parts, { method: 'GET', path: '/api/v1/sign-in/options' });
  if (outcome.kind !== 'unreachable') return given;
  if (outcome.reason !== 'untrusted_certificate') {
    endCommand(outcome.message, exitCodes.unreachable);
  }
  const pin = await seenPin(new URL(server));
  if (pin === null) endCommand(outcome.message, exitCodes.unreachable);
  return compared({ server, context, pin });
}

/** Nothing is taken on trust: somebody says that it is the key that the server's screen shows. */
async function compared(options: {
  server: string;
  context: CommandContext;
  pin: string;
}): Promise<string> {
  const { server, pin, context } = options;
  const { terminal, input } = context;
  const said = `${server} shows a certificate that nobody vouches for. Its key is\n\n  ${pin}\n\n`;
  if (input.interactive) {
    terminal.note(said);
    const answer = await input.line('Is it the one on the server’s first screen? (yes/no) ');
    if (answer?.trim().toLowerCase() === 'yes') return pin;
    endCommand('not trusted; nothing was sent.', exitCodes.refused);
  }
  endCommand(
    `${said}If it is the one on the server's first screen, run this again with --pin ${pin}`,
    exitCodes.refused,
  );
}
