/**
 * `xim chaos`: breaks a staging fleet on purpose, as far as its own API can, while streams run, and
 * says what their clients saw. What only machines can break (kills, hung engines, malformed chunks)
 * is `npm run chaos` in a checkout, against a fleet of its own.
 */
import { defineConfig, type ConfigOf } from '../../lib/config.ts';
import { askingOptions, chatTarget } from '../chat/chatTarget.ts';
import { defineCommand } from '../command.ts';
import { endCommand, withServer, type ServerSession } from '../connection/withServer.ts';
import { exitCodes } from '../exitCodes.ts';
import { chaosText } from './chaosFigures.ts';
import { runFleetChaos } from './fleetChaos.ts';

const options = defineConfig({
  staging: {
    type: 'switch',
    flag: 'yes-this-is-staging',
    default: false,
    help:
      'Without it nothing is touched: streams of everybody whose requests these agents serve are ' +
      'broken.',
    group: 'The fleet',
  },
  endpoint: {
    type: 'text',
    flag: 'endpoint',
    default: undefined,
    placeholder: 'SLUG',
    help: 'Whom to ask; by default the context’s endpoint.',
    group: 'The fleet',
  },
  question: {
    type: 'text',
    flag: 'question',
    default: 'Count from one to one hundred in words, one number after the other.',
    placeholder: 'TEXT',
    help: 'What is asked; its answer should take some seconds.',
    group: 'The fleet',
  },
  streams: {
    type: 'integer',
    flag: 'streams',
    default: 8,
    min: 1,
    max: 256,
    placeholder: 'N',
    help: 'Streams that run while something is broken.',
    group: 'The fleet',
  },
  down: {
    type: 'duration',
    flag: 'down',
    default: 12_000,
    min: 1000,
    max: 25_000,
    placeholder: 'TIME',
    help:
      'How long all agents are stopped before one is resumed. It is back after some seconds at ' +
      'most, and requests wait 30s.',
    group: 'The fleet',
  },
  ...askingOptions,
});

export const chaos = defineCommand({
  words: ['chaos'],
  operands: ['SERVER'],
  summary: 'Break a staging fleet on purpose, and see what its clients see',
  details:
    'Agents of the project that may serve the endpoint are suspended in mid-stream (cut and ' +
    'drained) and all at once, clients hang up; everything is resumed afterwards, also after a ' +
    'Ctrl-C, which ends it with 130. A scenario that no stream met does not pass. SERVER has to ' +
    'be the very address of the context, which has to hold a management key. The last line is ' +
    'one JSON object; exit code 1 when streams did not end as they should.',
  options,
  run: (context, { options: given, operands: [server] }) =>
    withServer({ name: 'chaos', context, options: given }, async (session) => {
      guard(session, given, server);
      const target = await chatTarget(session, context, given);
      const { clock, terminal } = context;
      const { context: named, dataDir } = given;
      const figures = await runFleetChaos({
        session,
        target,
        clock,
        question: given.question,
        streams: given.streams,
        downMs: given.down,
        stopping: context.stopping(),
        serverFlags: [
          ...(named === undefined ? [] : ['--context', named]),
          ...(dataDir === undefined ? [] : ['--data-dir', dataDir]),
        ],
        tell: (text) => terminal.note(`${text}\n`),
      });
      for (const one of figures.scenarios) terminal.note(chaosText(one));
      terminal.out(`${JSON.stringify(figures)}\n`);
      return figures.passed ? exitCodes.done : exitCodes.failed;
    }),
});

/** Ends the command unless somebody means this server, and says that it is staging. */
function guard(
  { context }: ServerSession,
  given: ConfigOf<typeof options>,
  server: string | undefined,
): void {
  if (server?.replace(/\/+$/, '') !== context.server) {
    const message = `name the server to be broken: this context is for ${context.server}.`;
    endCommand(message, exitCodes.usage);
  }
  if (context.auth.kind !== 'key') {
    const how = 'Sign in with one: xim login --key-stdin, or name a file with --context.';
    endCommand(`chaos takes a management key of the project, no person. ${how}`, exitCodes.usage);
  }
  if (given.staging) return;
  endCommand(
    'this breaks the streams of everybody whose requests the agents of the endpoint serve at ' +
      `${context.server}. If that is a staging fleet, say so with --yes-this-is-staging.`,
    exitCodes.usage,
  );
}
