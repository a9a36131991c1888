/** `xim agents logs`: what an agent and its engine have logged, and log from now on. */
import type { LogAnswer, LogEntryAnswer } from '../../api/control/logs.ts';
import { createBackoff } from '../../lib/backoff.ts';
import { sleep } from '../../lib/clock.ts';
import { defineConfig, type ConfigOf } from '../../lib/config.ts';
import { defineCommand, type CommandContext } from '../command.ts';
import { queryText } from '../connection/callServer.ts';
import { followEvents } from '../connection/followEvents.ts';
import { print, withServer, type ServerSession } from '../connection/withServer.ts';
import { projectOptions } from '../serverContext.ts';
import { plainText } from '../textTable.ts';
import { ownAgentRef } from './agentRef.ts';
import { idOf } from './reference.ts';
import { platformSwitch } from './resourceCommand.ts';

const options = defineConfig({
  follow: {
    type: 'switch',
    flag: 'follow',
    default: false,
    help: 'Go on with what comes; -f for short. ^C ends it.',
  },
  lines: {
    type: 'integer',
    flag: 'lines',
    default: 100,
    min: 1,
    max: 10_000,
    placeholder: 'N',
    help: 'How many of the last lines.',
  },
  platform: platformSwitch,
  ...projectOptions,
});
type Options = ConfigOf<typeof options>;

export const agentLogs = defineCommand({
  words: ['agents', 'logs'],
  operands: ['[AGENT]'],
  summary: 'Show what an agent and its engine log',
  details: 'Without AGENT, what shared agents log of the project’s requests.',
  options,
  run: (context, { options: given, operands: [name] }) =>
    withServer({ name: 'agents logs', context, options: given }, async (session) => {
      const scope = session.scopePath(given.platform);
      const id = name === undefined ? undefined : await idOf(ownAgentRef, name, { session, scope });
      const path = id === undefined ? `${scope}/logs` : `${scope}/agents/${id}/logs`;
      if (given.follow) return follow({ session, context, options: given, path });
      const query = { limit: given.lines };
      const log = await session.call<LogAnswer>({ method: 'GET', path, query });
      print({ context, options: given }, log, ({ data }) =>
        data.length === 0 ? 'Nothing was logged yet.\n' : data.map(entryText).join(''),
      );
      return undefined;
    }),
});

/** Taken up again where it broke, until the server refuses: the agent is gone, or we are. */
async function follow(following: {
  session: ServerSession;
  context: CommandContext;
  options: Options;
  path: string;
}): Promise<number> {
  const { session, context, options: given, path } = following;
  const { terminal, clock, random } = context;
  const address = session.context;
  const { auth } = address;
  const backoff = createBackoff({ random, firstMs: 500, longestMs: 15_000 });
  let after: string | undefined;
  let begun = false;
  for (;;) {
    const query = { limit: given.lines, after, follow: 'true' };
    const source = { address, auth, path: `${path}${queryText(query)}`, clock };
    const ending = await followEvents(source, ({ data, id }) => {
      after = id ?? after;
      if (data === undefined) return;
      begun = true;
      backoff.reset();
      const text = given.output === 'json' ? `${data}\n` : entryText(entryOf(data));
      terminal.out(text);
    });
    if (ending.kind === 'refused') return session.refused(ending);
    if (ending.kind === 'unreachable' && !begun) {
      return session.refused({ ...ending, reason: 'no_connection' });
    }
    if (backoff.attempts === 0) terminal.note('The connection broke; taking it up again.\n');
    begun = true;
    await sleep(clock, backoff.nextMs());
  }
}

const entryOf = (data: string): LogEntryAnswer => JSON.parse(data) as LogEntryAnswer;

/** One line. Its text was made harmless by agent and server; it is not trusted for that. */
function entryText(entry: LogEntryAnswer): string {
  if (entry.kind === 'gap') {
    const { lines } = entry;
    if (lines === null) return '… lines are missing here; the server was started anew …\n';
    return `… ${lines} ${lines === 1 ? 'line is' : 'lines are'} missing here …\n`;
  }
  const { at, level, source, text, request_id: request } = entry;
  const of = request === null ? '' : `  (${request})`;
  return plainText(`${at}  ${level.padEnd(5)}  ${source.padEnd(6)}  ${text}${of}`) + '\n';
}
