/**
 * The command line against a server that gives canned answers. The server holds every call to the
 * contract of its route, and every answer that a test makes up to the same contract: what passes
 * here is what the real server takes and gives.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import type { Contract } from '../../api/contract.ts';
import { contracts } from '../../api/contracts.ts';
import { routes, type HandlerOf } from '../../api/routes.ts';
import type { Command, CommandContext, Dialogue, Stopping } from '../../cli/command.ts';
import { runCli } from '../../cli/runCli.ts';
import type { Credentials } from '../../cli/serverContext.ts';
import { readCallInput } from '../../http/control/callInput.ts';
import { createRouteMatcher } from '../../http/exchanges/routeMatcher.ts';
import { seededRandom } from '../../lib/random.ts';
import { checkContract } from '../http/contractCheck.ts';

/** The time in all tests of the command line. */
export const cliNow = '2026-03-01T12:00:00.000Z';

export interface SeenCall {
  method: string;
  /** With its query. */
  url: string;
  headers: http.IncomingHttpHeaders;
  body: unknown;
}

export interface CannedAnswer {
  status?: number;
  /** As JSON; or `text` as it is. */
  body?: unknown;
  text?: string;
  headers?: Record<string, string>;
  /** Cuts the connection behind the text. */
  breaksOff?: true;
  /** Cuts the connection instead. */
  cut?: true;
  /** Of something in between, which knows no contract. */
  foreign?: true;
}

export interface CliRun {
  code: number;
  out: string;
  notes: string;
  /** Questions that were asked. */
  asked: string[];
}

export interface CliHarness {
  origin: string;
  /** Data directory of the server, with its credentials.json. */
  directory: string;
  credentials: Credentials;
  /** Calls of the last run. */
  seen: SeenCall[];
  /** A call that gets none is a failure of the test. */
  answer: (call: SeenCall) => CannedAnswer | undefined;
  /** Answers by method and path, e.g. `GET /api/v1/status`, the query left out. */
  answers(table: Readonly<Record<string, CannedAnswer>>): void;
  /** Whether an agent's link is let through. */
  upgrades: boolean;
  /** Runs a command line; `lines` is what comes on standard input. */
  run(
    line: string | readonly string[],
    more?: {
      lines?: readonly string[];
      interactive?: boolean;
      env?: Record<string, string>;
      /** Ctrl-C, for commands that hear of it. */
      stop?: AbortSignal;
      /** Hears of each note when it is said. */
      onNote?: (text: string) => void;
    },
  ): Promise<CliRun>;
  /**
   * What is asked, sent, shown and left as exit code by each of these lines, as one text for a
   * golden. What follows ` <<< ` is answered to the questions.
   */
  transcript(lines: readonly string[]): Promise<string>;
  close(): void;
}

const matcher = createRouteMatcher(routes);

export async function openCliHarness(
  commands: readonly Command[],
  clock: CommandContext['clock'],
): Promise<CliHarness> {
  const base = mkdtempSync(path.join(os.tmpdir(), 'xim-cli-'));
  const directory = path.join(base, 'share', 'xim');
  mkdirSync(directory, { recursive: true });
  const failures: unknown[] = [];
  const server = http.createServer((request, response) => {
    void readText(request).then((text) => {
      try {
        serve(harness, { request, response, text });
      } catch (error) {
        failures.push(error);
        response.destroy();
      }
    });
  });
  server.on('upgrade', (_request, socket) => {
    const status = harness.upgrades ? '101 Switching Protocols' : '400 Bad Request';
    const more = harness.upgrades ? 'connection: upgrade\r\nupgrade: websocket\r\n' : '';
    socket.end(`HTTP/1.1 ${status}\r\n${more}content-length: 0\r\n\r\n`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const credentials = credentialsAt(origin);
  writeFileSync(path.join(directory, 'credentials.json'), JSON.stringify(credentials));
  const harness: CliHarness = {
    origin,
    directory,
    credentials,
    seen: [],
    upgrades: true,
    answer: () => undefined,
    answers(table) {
      harness.answer = ({ method, url }) => table[`${method} ${url.split('?')[0]}`];
    },
    async run(line, { lines = [], interactive = false, env = {}, stop, onNote } = {}) {
      harness.seen = [];
      const { context, said } = paperTerminal({ lines, interactive, clock, stop, onNote });
      const homes = {
        XDG_CONFIG_HOME: path.join(base, 'config'),
        XDG_DATA_HOME: path.join(base, 'share'),
      };
      const words = typeof line === 'string' ? line.split(' ').filter((word) => word !== '') : line;
      const all = { ...context, env: { ...homes, ...env } };
      const code = await runCli(commands, all, words);
      const [failure] = failures.splice(0);
      if (failure !== undefined) throw failure;
      return { code, ...said };
    },
    async transcript(all) {
      const parts: string[] = [];
      for (const whole of all) {
        const [line = '', typed] = whole.split(' <<< ');
        const lines = typed?.split(' ') ?? [];
        const made = await harness.run(line, { lines, interactive: typed !== undefined });
        parts.push(transcriptOf(line, made, harness.seen));
      }
      return parts.join('\n');
    },
    close() {
      server.close();
      rmSync(base, { recursive: true });
    },
  };
  return harness;
}

/** As a first start writes them. */
function credentialsAt(origin: string): Credentials {
  return {
    version: 1,
    server: origin,
    pin: null,
    project: 'default',
    endpoint: 'default',
    base_url: `${origin}/default/default/v1`,
    dashboard_url: `${origin}/ui/`,
    api_key: 'xim_default_a',
    management_key: 'xim_default_m',
    admin: { email: 'admin@localhost' },
  };
}

function paperTerminal(options: {
  lines: readonly string[];
  interactive: boolean;
  clock: CommandContext['clock'];
  stop: AbortSignal | undefined;
  onNote: ((text: string) => void) | undefined;
}): {
  context: Omit<CommandContext, 'env'>;
  said: { out: string; notes: string; asked: string[] };
} {
  const said = { out: '', notes: '', asked: [] as string[] };
  const rest = [...options.lines];
  const context = {
    terminal: {
      out: (text: string) => void (said.out += text),
      note(text: string) {
        said.notes += text;
        options.onNote?.(text);
      },
      drained: () => Promise.resolve(),
      screen: options.interactive,
    },
    input: {
      interactive: options.interactive,
      line(question: string) {
        said.asked.push(question);
        return Promise.resolve(rest.shift());
      },
      piped: !options.interactive && options.lines.length > 0,
      rest: () => Promise.resolve(rest.splice(0).join('\n')),
      dialogue: () => paperDialogue(rest, said.asked),
    },
    clock: options.clock,
    random: seededRandom(1),
    machine: 'lab-1',
    stopping: (): Stopping => ({
      signal: options.stop ?? new AbortController().signal,
      exitCode: () => 130,
    }),
  };
  return { context, said };
}

/** `^C` among the lines is the key. */
function paperDialogue(rest: string[], asked: string[]): Dialogue {
  return {
    next(prompt) {
      asked.push(prompt);
      const text = rest.shift();
      if (text === undefined) return Promise.resolve({ kind: 'ended' });
      return Promise.resolve(text === '^C' ? { kind: 'interrupted' } : { kind: 'line', text });
    },
    interruption() {
      const stop = new AbortController();
      if (rest[0] === '^C') {
        rest.shift();
        stop.abort();
      }
      return { signal: stop.signal, done: () => undefined };
    },
    close: () => undefined,
  };
}

async function readText(request: http.IncomingMessage): Promise<string> {
  let text = '';
  request.setEncoding('utf8');
  for await (const part of request) text += part as string;
  return text;
}

function serve(
  harness: CliHarness,
  call: { request: http.IncomingMessage; response: http.ServerResponse; text: string },
): void {
  const { request, response, text } = call;
  const { method = '', url = '', headers } = request;
  assertInContract({ method, url, text, headers });
  const body: unknown = text === '' ? undefined : JSON.parse(text);
  const seen = { method, url, headers, body };
  harness.seen.push(seen);
  const answer = harness.answer(seen);
  assert.ok(answer !== undefined, `nothing to answer to ${method} ${url}`);
  if (answer.cut === true) return void response.destroy();
  const status = answer.status ?? 200;
  // A stream is no answer of one piece; its events are checked where they are made.
  if (answer.foreign !== true && answer.text === undefined) {
    checkContract({ method, target: url, status, json: answer.body });
  }
  const json = { 'content-type': 'application/json', ...answer.headers };
  const whole = answer.text ?? JSON.stringify(answer.body);
  if (answer.breaksOff === true) {
    response.writeHead(status, json).write(whole, () => response.destroy());
  } else response.writeHead(status, json).end(whole);
}

/** The call is one that the real server would take. */
function assertInContract(call: {
  method: string;
  url: string;
  text: string;
  headers: http.IncomingHttpHeaders;
}): void {
  const { method, url, text, headers } = call;
  const [target = '', search = ''] = url.split('?');
  const match = matcher.match(method, target);
  assert.equal(match.kind, 'found', `${method} ${target} is in no row of the route table`);
  if (match.kind !== 'found' || match.route.plane !== 'control') return;
  const contract: Contract = contracts[match.route.handler as HandlerOf<'control'>];
  const body = Buffer.from(text);
  const ifMatch = headers['if-match'];
  const read = readCallInput(contract, { method, search, body, ifMatch });
  assert.ok(read.ok, `${method} ${url} ${text}: ${read.ok ? '' : read.message}`);
}

function transcriptOf(line: string, run: CliRun, seen: readonly SeenCall[]): string {
  const calls = seen.map(({ method, url, headers, body }) => {
    const version = headers['if-match'] === undefined ? '' : ` if-match ${headers['if-match']}`;
    const sent = body === undefined ? '' : ` ${JSON.stringify(body)}`;
    return `> ${method} ${url}${version}${sent}`;
  });
  const asked = run.asked.map((question) => `? ${question}`);
  const exit = run.code === 0 ? [] : [`exit code ${run.code}`];
  const shown = [...asked, ...calls, ...exit].map((text) => `${text}\n`);
  return `$ xim ${line}\n${shown.join('')}${prefixed('! ', run.notes)}${run.out}`;
}

/** Standard error, so that it can be told from standard output. */
function prefixed(mark: string, text: string): string {
  return text.replaceAll(/^(?=.|\n)/gm, mark);
}

/** A list in pieces, as the server gives its last one. */
export function wholePage<Item>(data: readonly Item[]): unknown {
  return { data, has_more: false, next_cursor: null };
}

/** A refusal in the envelope. */
export function refusal(status: number, code: string | null, message: string): CannedAnswer {
  return { status, body: { error: { message, type: 'invalid_request_error', param: null, code } } };
}
