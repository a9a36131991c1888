/**
 * The frame of every command that talks to a server: finds the credentials, makes the calls, turns
 * a failure into a sentence with the next step and an exit code.
 */
import type { CommandContext } from './command.ts';
import { callControl } from './controlApi.ts';
import type { ControlCall } from './controlApi.ts';
import { exitCodes } from './exitCodes.ts';
import { readServerContext } from './serverContext.ts';
import type { Credentials, ServerOptions } from './serverContext.ts';

/** Ends a command early; caught by `withServer` alone. */
class CallFailed extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

export interface ServerSession {
  credentials: Credentials;
  /** Makes a call; when it fails, the command ends with the reason. */
  call<Answer>(call: ControlCall): Promise<Answer>;
  /** `/api/v1/projects/<project>`, or `/api/v1/platform`. */
  scopePath(platform: boolean): string;
}

/** Runs `use` against the server of the options and returns the exit code. */
export async function withServer(
  { name, context, options }: { name: string; context: CommandContext; options: ServerOptions },
  use: (session: ServerSession) => Promise<void>,
): Promise<number> {
  const { terminal, clock } = context;
  const found = readServerContext(options, context.env);
  if (found.kind === 'missing') {
    terminal.note(`xim ${name}: ${found.message}\n`);
    return exitCodes.usage;
  }
  const { credentials } = found;
  const session: ServerSession = {
    credentials,
    async call<Answer>(call: ControlCall): Promise<Answer> {
      const outcome = await callControl<Answer>({ credentials, clock }, call);
      if (outcome.kind === 'ok') return outcome.answer;
      const code = outcome.kind === 'refused' ? exitCodes.refused : exitCodes.unreachable;
      throw new CallFailed(outcome.kind === 'refused' ? refusal(outcome) : outcome.message, code);
    },
    scopePath: (platform) =>
      platform ? '/api/v1/platform' : `/api/v1/projects/${encodeURIComponent(credentials.project)}`,
  };
  try {
    await use(session);
    return exitCodes.done;
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error;
    terminal.note(`xim ${name}: ${error.message}\n`);
    return error.exitCode;
  }
}

function refusal({ status, message }: { status: number; message: string }): string {
  const sentence = /[.!?]$/.test(message) ? message : `${message}.`;
  if (status === 401) {
    return `${sentence} The credentials do not fit this server: name its own with --context FILE.`;
  }
  if (status === 403) return `${sentence} The management key of these credentials may not do this.`;
  return sentence;
}

/** Prints the answer as it came (`-o json`), or as text. */
export function print<Answer>(
  { context, options }: { context: CommandContext; options: ServerOptions },
  answer: Answer,
  asText: (answer: Answer) => string,
): void {
  const text = options.output === 'json' ? `${JSON.stringify(answer)}\n` : asText(answer);
  context.terminal.out(text);
}
