/** `xim simulate`: replays a trace against a simulated fleet under a policy. */
import { defineCommand, type CommandContext } from '../cli/command.ts';
import { exitCodes } from '../cli/exitCodes.ts';
import { simulateTable, type SimulateOptions } from '../sim/simulateTable.ts';

export const simulateCommand = defineCommand({
  words: ['simulate'],
  summary: 'Replay a trace against a simulated fleet under a routing policy',
  details:
    'Time is simulated: an hour of requests takes seconds. Engines are models of measured ones, ' +
    'and a policy sees of them what a router sees. docs/internals/simulator.md has the formats ' +
    'and the figures.',
  options: simulateTable,
  run: (context, { options }) => simulate(context, options),
});

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
