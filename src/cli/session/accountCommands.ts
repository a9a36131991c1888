/** `xim account`: one's own password and second factor. */
import type { BegunSecondFactorAnswer, SessionAnswer } from '../../api/control/sessions.ts';
import { defineCommand, type Command, type CommandContext } from '../command.ts';
import { endCommand, print, withServer, type ServerSession } from '../connection/withServer.ts';
import { exitCodes } from '../exitCodes.ts';
import { serverOptions, type ServerOptions } from '../serverContext.ts';
import { fieldTable, joined, until } from '../textTable.ts';
import { answerTo, changePassword, codeQuestion, type SigningIn } from './signInAsPerson.ts';

interface Account {
  session: ServerSession;
  context: CommandContext;
  options: ServerOptions;
  /** For questions and calls of the sign-in. */
  asking: SigningIn;
}

/** A command about whoever has signed in. */
function accountCommand(spec: {
  word: string;
  summary: string;
  details?: string;
  run(account: Account): Promise<void>;
}): Command {
  const { word, summary, details } = spec;
  const words = ['account', word];
  const name = words.join(' ');
  return defineCommand({
    words,
    summary,
    ...(details === undefined ? {} : { details }),
    options: serverOptions,
    run: (context, { options }) =>
      withServer({ name, context, options }, (session) => {
        if (session.context.auth.kind === 'key') {
          endCommand('a key has no account. Sign in as a person: xim login URL', exitCodes.usage);
        }
        const asking = { address: session.context, context, name };
        return spec.run({ session, context, options, asking });
      }),
  });
}

const secondFactor = '/api/v1/session/second-factor';

const whoIsSignedIn = (session: ServerSession): Promise<SessionAnswer> =>
  session.call<SessionAnswer>({ method: 'GET', path: '/api/v1/session' });

const show = accountCommand({
  word: 'show',
  summary: 'Show who you are on the server',
  async run({ session, context, options }) {
    const who = await whoIsSignedIn(session);
    print({ context, options }, who, ({ user, projects, expires_at }) =>
      fieldTable([
        ['email', user.email],
        ['id', user.id],
        ['role', user.role],
        ['password', user.has_password ? 'chosen' : 'none: signs in elsewhere'],
        ['second factor', user.second_factor ? 'on' : 'off'],
        ['projects', joined(projects.map(({ slug, role }) => `${slug} (${role})`))],
        ['session ends', until(expires_at, context.clock.now())],
      ]),
    );
  },
});

const setPassword = accountCommand({
  word: 'set-password',
  summary: 'Choose another password; your other sessions end',
  details:
    'Asks for the present one and the new one; without a terminal, they are read from standard ' +
    'input, a line each.',
  async run({ session, context, options, asking }) {
    const oldPassword = await answerTo('Present password: ', asking, { secret: true });
    const { auth } = session.context;
    const answer = await changePassword(asking, { auth, oldPassword });
    print({ context, options }, answer, () => 'Your password is changed; other sessions ended.\n');
  },
});

interface RecoveryCodes {
  recovery_codes: string[];
}

const codesText = ({ recovery_codes: codes }: RecoveryCodes): string =>
  codes.map((code) => `${code}\n`).join('');

function noteCodes({ terminal }: CommandContext, on: string): void {
  terminal.note(
    `${on} These codes open your account when the app is lost, each once. They are shown only ` +
      'now; keep them elsewhere.\n',
  );
}

const turnOn = accountCommand({
  word: 'turn-on-second-factor',
  summary: 'Have a code of an authenticator app asked for at every sign-in',
  details: 'Prints recovery codes on standard output, everything else on standard error.',
  async run({ session, context, options, asking }) {
    const { user } = await whoIsSignedIn(session);
    const password = user.has_password
      ? await answerTo('Password: ', asking, { secret: true })
      : undefined;
    const begun = await session.call<BegunSecondFactorAnswer>({
      method: 'POST',
      path: secondFactor,
      body: { password },
    });
    context.terminal.note(
      `Give this to your authenticator app:\n\n  ${begun.secret}\n\n` +
        `or, where it takes an address:\n\n  ${begun.otpauth_uri}\n\n`,
    );
    const code = await answerTo(codeQuestion, asking);
    const path = `${secondFactor}/confirm`;
    const codes = await session.call<RecoveryCodes>({ method: 'POST', path, body: { code } });
    noteCodes(context, 'The second factor is on.');
    print({ context, options }, codes, codesText);
  },
});

const turnOff = accountCommand({
  word: 'turn-off-second-factor',
  summary: 'Sign in with the password alone again',
  async run({ session, context, options, asking }) {
    const code = await answerTo(codeQuestion, asking);
    const path = `${secondFactor}/turn-off`;
    const answer = await session.call({ method: 'POST', path, body: { code } });
    print({ context, options }, answer, () => 'The second factor is off.\n');
  },
});

const renewCodes = accountCommand({
  word: 'renew-recovery-codes',
  summary: 'Get new recovery codes; the ones before open nothing any more',
  async run({ session, context, options, asking }) {
    const code = await answerTo(codeQuestion, asking);
    const path = `${secondFactor}/recovery-codes`;
    const codes = await session.call<RecoveryCodes>({ method: 'POST', path, body: { code } });
    noteCodes(context, 'The ones before are void.');
    print({ context, options }, codes, codesText);
  },
});

export const accountCommands: readonly Command[] = [show, setPassword, turnOn, turnOff, renewCodes];
