/** `xim simulate`: replays a trace against a simulated fleet under a policy. */
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { defineCommand, type CommandContext } from '../cli/command.ts';
import { downloadText } from '../cli/connection/downloadText.ts';
import { endCommand, platformScope, withServer } from '../cli/connection/withServer.ts';
import { exitCodes } from '../cli/exitCodes.ts';
import { serverOptions } from '../cli/serverContext.ts';
import { defineConfig, type ConfigOf } from '../lib/config.ts';
import { simulateTable, type SimulateOptions } from '../sim/simulateTable.ts';

const { context, dataDir } = serverOptions;

const commandTable = defineConfig({
  ...simulateTable,
  fromServer: {
    type: 'switch',
    flag: 'from-server',
    default: false,
    help: 'The receipts that a server keeps, as the trace; for operators.',
    group: 'What is run',
  },
  context,
  dataDir,
});

export const simulateCommand = defineCommand({
  words: ['simulate'],
  summary: 'Replay a trace against a simulated fleet under a routing policy',
  details:
    'Time is simulated: an hour of requests takes seconds. Engines are models of measured ones, ' +
    'and a policy sees of them what a router sees. docs/internals/simulator.md has the formats ' +
    'and the figures.',
  options: commandTable,
  run: (context, { options }) =>
    options.fromServer ? replay(context, options) : simulate(context, options),
});

/** The receipts of a server lie on this disk for as long as the run takes. */
function replay(context: CommandContext, options: ConfigOf<typeof commandTable>): Promise<number> {
  const server = { ...options, output: 'table' } as const;
  return withServer({ name: 'simulate', context, options: server }, async (session) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'xim-receipts-'));
    try {
      const trace = path.join(folder, 'receipts.jsonl');
      const file = openSync(trace, 'w', 0o600);
      const address = session.context;
      const outcome = await downloadText(
        { address, auth: address.auth, path: `${platformScope}/receipts`, clock: context.clock },
        { out: (text) => void writeSync(file, text), drained: () => Promise.resolve() },
      );
      closeSync(file);
      if (outcome.kind === 'broken') {
        return endCommand('the receipts broke off before their end.', exitCodes.failed);
      }
      if (outcome.kind !== 'done') return session.refused(outcome);
      return await simulate(context, { ...options, trace });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

/** What reads, runs and reports is loaded when it is asked for: `xim` answers at once. */
async function simulate(context: CommandContext, options: SimulateOptions): Promise<number> {
  const { terminal, clock } = context;
  const { planRun } = await import('../sim/planRun.ts');
  const planned = planRun(options);
  if (planned.kind === 'bad_options') {
    for (const problem of planned.problems) terminal.note(`xim simulate: ${problem}\n`);
    terminal.note('Help: xim simulate --help\n');
    return exitCodes.usage;
  }
  if (planned.kind === 'bad_trace') {
    terminal.note(`xim simulate: ${planned.problem}\n`);
    return exitCodes.failed;
  }
  const { plan } = planned;
  for (const note of plan.notes) terminal.note(`${note}\n`);
  const startedAt = clock.monotonic();
  const progress = (over: number, nowMs: number): void => {
    const tookS = ((clock.monotonic() - startedAt) / 1_000).toFixed(1);
    const all = plan.requests.length;
    terminal.note(`${over} of ${all} over at ${Math.round(nowMs / 1_000)} s, after ${tookS} s\n`);
  };
  const { Simulation } = await import('../sim/simulation.ts');
  const { reportOf } = await import('../sim/report.ts');
  const { reportText } = await import('../sim/reportText.ts');
  const report = reportOf(plan.name, new Simulation({ ...plan, clock, progress }).run());
  terminal.out(options.json ? `${JSON.stringify(report)}\n` : reportText(report));
  return exitCodes.done;
}
