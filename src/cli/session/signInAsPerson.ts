/**
 * Sign-in with e-mail address and password, and what else the server asks for on the way: a code of
 * the second factor, a new password in place of a one-time one.
 */
import type { SessionAnswer } from '../../api/control/sessions.ts';
import type { CommandContext } from '../command.ts';
import { callServer, type CallOutcome } from '../connection/callServer.ts';
import type { ContextAuth } from '../connection/contextStore.ts';
import { refusalText } from '../connection/nextStep.ts';
import type { ServerAddress } from '../connection/openRequest.ts';
import { endCommand } from '../connection/withServer.ts';
import { exitCodes } from '../exitCodes.ts';

export interface SignedIn {
  auth: ContextAuth;
  /** Slugs, oldest first. */
  projects: string[];
}

export interface SigningIn {
  address: ServerAddress;
  context: CommandContext;
  /** Of the command that asks; by default `login`. */
  name?: string;
}

export const codeQuestion = 'Code of your authenticator app: ';

type Given = { email: string; password: string; code?: string };

export async function signInAsPerson(
  signing: SigningIn & { email: string | undefined },
): Promise<SignedIn> {
  const email = signing.email ?? (await answerTo('E-mail address: ', signing));
  const password = await answerTo('Password: ', signing, { secret: true });
  const { auth, session } = await open(signing, { email, password });
  if (!session.must_change_password) return signedIn(auth, session);
  signing.context.terminal.note('This password was for once. Choose your own.\n');
  return signedIn(auth, await changePassword(signing, { auth, oldPassword: password }));
}

export const signedIn = (auth: ContextAuth, { projects }: SessionAnswer): SignedIn => ({
  auth,
  projects: projects.map(({ slug }) => slug),
});

export interface OpenedSession {
  auth: ContextAuth;
  session: SessionAnswer;
}

/** What a sign-in, or a sign-up, has answered. */
export function openedBy(outcome: CallOutcome<SessionAnswer> & { kind: 'ok' }): OpenedSession {
  const [cookie] = outcome.headers['set-cookie'] ?? [];
  const { answer: session } = outcome;
  const { user, expires_at } = session;
  const auth = { email: user.email, cookie: cookie?.split(';')[0] ?? '', expires_at };
  return { auth: { kind: 'session', ...auth }, session };
}

async function open(signing: SigningIn, given: Given): Promise<OpenedSession> {
  const outcome = await post<SessionAnswer>(signing, null, '/api/v1/sign-in', given);
  if (outcome.kind === 'ok') return openedBy(outcome);
  const asked = outcome.kind === 'refused' && outcome.code === 'second_factor_required';
  if (!asked || given.code !== undefined) return failed(outcome, signing);
  const code = await answerTo(codeQuestion, signing);
  return open(signing, { ...given, code });
}

export async function changePassword(
  signing: SigningIn,
  { auth, oldPassword }: { auth: ContextAuth; oldPassword: string },
): Promise<SessionAnswer> {
  const outcome = await withNewPassword(signing, (password) => {
    const body = { old_password: oldPassword, new_password: password };
    return post<SessionAnswer>(signing, auth, '/api/v1/session/password', body);
  });
  return outcome.answer;
}

/** The server says what a good password is, so it is asked until it is content. */
export async function withNewPassword<Answer>(
  signing: SigningIn,
  send: (password: string) => Promise<CallOutcome<Answer>>,
): Promise<CallOutcome<Answer> & { kind: 'ok' }> {
  const { terminal, input } = signing.context;
  const password = await answerTo('New password: ', signing, { secret: true });
  if (input.interactive) {
    const again = await answerTo('Once more: ', signing, { secret: true });
    if (again !== password) {
      terminal.note('The two differ.\n');
      return withNewPassword(signing, send);
    }
  }
  const outcome = await send(password);
  if (outcome.kind === 'ok') return outcome;
  const unfit = outcome.kind === 'refused' && outcome.status === 400;
  if (!unfit || !input.interactive) return failed(outcome, signing);
  terminal.note(`${outcome.message}\n`);
  return withNewPassword(signing, send);
}

export function post<Answer>(
  { address, context: { clock, random } }: SigningIn,
  auth: ContextAuth | null,
  path: string,
  body: unknown,
): Promise<CallOutcome<Answer>> {
  return callServer<Answer>({ address, auth, clock, random }, { method: 'POST', path, body });
}

export function failed(
  outcome: Exclude<CallOutcome<unknown>, { kind: 'ok' }>,
  { name = 'login' }: SigningIn,
): never {
  if (outcome.kind === 'unreachable') endCommand(outcome.message, exitCodes.unreachable);
  const [topic = name] = name.split(' ');
  endCommand(refusalText(outcome, { auth: null, topic, name }), exitCodes.refused);
}

/** The answer of a person, or the next line of what is piped in. */
export async function answerTo(
  question: string,
  { context, name = 'login' }: Pick<SigningIn, 'context' | 'name'>,
  options: { secret?: boolean } = {},
): Promise<string> {
  const line = await context.input.line(question, options);
  if (line !== undefined && line !== '') return line;
  const what = question.replace(/:?\s*$/, '');
  endCommand(
    `"${what}" was not answered. Give it on standard input, a line each; see xim ${name} --help`,
    exitCodes.usage,
  );
}
