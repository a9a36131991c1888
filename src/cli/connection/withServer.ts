/**
 * The frame of every command that talks to a server: finds the context, makes the calls, turns a
 * failure into a sentence with the next step and an exit code.
 */
import type { CommandContext } from '../command.ts';
import { exitCodes } from '../exitCodes.ts';
import { readServerContext, type ServerOptions } from '../serverContext.ts';
import { callServer, type CallOutcome, type ServerCall } from './callServer.ts';
import type { ServerContext } from './contextStore.ts';
import { refusalText } from './nextStep.ts';

/** Ends a command early; caught by `endingOf` alone. */
class CommandEnded extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Ends the command with a sentence, which says the next step, and an exit code. */
export function endCommand(message: string, exitCode: number): never {
  throw new CommandEnded(message, exitCode);
}

/** Where the platform's own things are, for operators. */
export const platformScope = '/api/v1/platform';

export interface ServerSession {
  context: ServerContext;
  /** Of a context that can be changed; null: a file of somebody else's. */
  contextName: string | null;
  /** Makes a call; when it fails, the command ends with the reason. */
  call<Answer>(call: ServerCall): Promise<Answer>;
  /** The same, for callers who know what to do about a refusal. */
  ask<Answer>(call: ServerCall): Promise<CallOutcome<Answer>>;
  /** Ends the command with what the server said no to. */
  refused(outcome: Exclude<CallOutcome<unknown>, { kind: 'ok' }>): never;
  /** Slug or id of the project; ends the command where there is none. */
  project(): string;
  /** `/api/v1/projects/<project>`, or `/api/v1/platform`. */
  scopePath(platform: boolean): string;
}

export interface ServerCommand {
  /** As typed after `xim`. */
  name: string;
  context: CommandContext;
  options: ServerOptions;
}

/** Runs `use` against the server of the options and returns the exit code. */
export function withServer(
  command: ServerCommand,
  use: (session: ServerSession) => Promise<number | void>,
): Promise<number> {
  return endingOf(command, async () => {
    const found = readServerContext(command.options, command.context.env);
    if (found.kind === 'missing') endCommand(found.message, exitCodes.usage);
    return use(openSession(command, { context: found.context, contextName: found.name }));
  });
}

/** Runs a command's work; what ends it early is said, and becomes the exit code. */
export async function endingOf(
  { name, context }: Pick<ServerCommand, 'name' | 'context'>,
  work: () => Promise<number | void>,
): Promise<number> {
  try {
    return (await work()) ?? exitCodes.done;
  } catch (error) {
    if (!(error instanceof CommandEnded)) throw error;
    context.terminal.note(`xim ${name}: ${error.message}\n`);
    return error.exitCode;
  }
}

function openSession(
  { name, context: { clock, random }, options }: ServerCommand,
  { context, contextName }: Pick<ServerSession, 'context' | 'contextName'>,
): ServerSession {
  const { auth } = context;
  const parts = { address: context, auth, clock, random };
  const [topic = ''] = name.split(' ');
  const session: ServerSession = {
    context,
    contextName,
    ask: (call) => callServer(parts, call),
    async call<Answer>(call: ServerCall): Promise<Answer> {
      const outcome = await callServer<Answer>(parts, call);
      return outcome.kind === 'ok' ? outcome.answer : session.refused(outcome);
    },
    refused(outcome) {
      if (outcome.kind === 'unreachable') {
        endCommand(outcome.message, exitCodes.unreachable);
      }
      endCommand(refusalText(outcome, { auth, topic, name }), exitCodes.refused);
    },
    project() {
      const project = options.project ?? context.project;
      if (project !== null) return project;
      endCommand(
        'no project was chosen. See those that are open to you with xim projects list, then ' +
          'choose one with xim projects use SLUG or --project SLUG.',
        exitCodes.usage,
      );
    },
    scopePath: (platform) =>
      platform ? platformScope : `/api/v1/projects/${encodeURIComponent(session.project())}`,
  };
  return session;
}

/** Prints the answer as it came (`-o json`), or as text. */
export function print<Answer>(
  { context, options }: Pick<ServerCommand, 'context' | 'options'>,
  answer: Answer,
  asText: (answer: Answer) => string,
): void {
  const text = options.output === 'json' ? `${JSON.stringify(answer)}\n` : asText(answer);
  context.terminal.out(text);
}
