/**
 * `npm run bench -- relay`: what the relay costs, beside nginx, beside the libraries that it is
 * built of, and beside no relay at all.
 *
 *     generator ──▶ nginx | router ─link─▶ agent | bare libraries | nothing ──▶ mock engine
 *
 * Parts: `relay/plan.ts` (how much), `relay/rounds.ts` (phases and their order), `relay/measure.ts`
 * (one window), `relay/summary.ts` (the report), `relay/targets.ts`; `contenders/` (what carries),
 * `load/`, `mockEngine.ts`, `loadGenerator.ts` (what is carried), `machine/` (processes and CPU).
 * How to read the figures: docs/internals/performance.md.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { directContender, type Contender, type Surroundings } from './contenders/contender.ts';
import { startBare } from './contenders/bare.ts';
import { startNginx, type NginxOutcome } from './contenders/nginx.ts';
import { startXim } from './contenders/xim.ts';
import { startGenerator, startMock } from './load/helperProcesses.ts';
import { Children, pause } from './machine/children.ts';
import { residentMiB } from './machine/cpuTime.ts';
import { machineFacts } from './machine/facts.ts';
import { relayLines } from './relay/lines.ts';
import type { Measured } from './relay/measure.ts';
import { relayPlan, type RelayPlan } from './relay/plan.ts';
import { runPhase, runRounds, type Stage } from './relay/rounds.ts';
import { relayReport, type RelayReport } from './relay/summary.ts';

/** What a whole run may take at most. */
const deadlineMs = 720_000;
/** From the start of the processes to the first figure. */
const calmMs = 1_500;

/** For what is compiled ahead of time, and for streams. */
const shortWarmUpMs = 1_000;

/** Runs the bench. `tell` gets lines for a person. */
export async function relayBench(
  args: readonly string[],
  tell: (text: string) => void,
): Promise<RelayReport> {
  const plan = relayPlan(args);
  const directory = mkdtempSync(path.join(tmpdir(), 'xim-bench-'));
  const children = new Children();
  const deadline = setTimeout(() => {
    tell(`the bench took more than ${deadlineMs} ms`);
    process.exit(1);
  }, deadlineMs);
  const stop = (): void => process.exit(130);
  process.once('SIGINT', stop).once('SIGTERM', stop);
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  try {
    const report = await run({ plan, directory, children, tell });
    for (const text of relayLines(report)) tell(text);
    return report;
  } finally {
    clearTimeout(deadline);
    process.off('SIGINT', stop).off('SIGTERM', stop);
    await children.stop();
  }
}

async function run(options: {
  plan: RelayPlan;
  directory: string;
  children: Children;
  tell: (text: string) => void;
}): Promise<RelayReport> {
  const { plan, directory, children, tell } = options;
  const machine = machineFacts();
  const mock = await startMock(children, directory);
  const generator = await startGenerator(children, directory);
  const surroundings: Surroundings = { directory, mockPort: mock.port };
  const direct = directContender(surroundings);
  const nginx: NginxOutcome = plan.contenders.includes('nginx')
    ? await startNginx(children, surroundings)
    : { kind: 'missing', reason: 'it was not asked for' };
  if (nginx.kind === 'missing') tell(`without nginx, so without a ratio: ${nginx.reason}`);
  tell('starting the server and its agent');
  const { profileDirectory } = plan;
  const xim = await startXim(children, { ...surroundings, profileDirectory });
  await pause(calmMs);
  const idleMiB = { router: residentMiB(xim.devicePids), agent: residentMiB(xim.agentPids) };
  const others: Contender[] = nginx.kind === 'started' ? [nginx.contender] : [];
  if (plan.contenders.includes('bare')) others.push(await startBare(children, surroundings));
  const started = [direct, ...others, xim];
  const contenders = started.filter(({ name }) => plan.contenders.includes(name));
  const stage: Stage = { plan, contenders, mock, generator, tell };
  await warmUp(stage);
  const rounds = await runRounds(stage);
  let many: Measured | undefined;
  if (plan.phases.includes('many')) {
    tell(`${plan.manyStreams} streams`);
    many = await runPhase(stage, { contender: xim, phase: 'many' });
  }
  const version = nginx.kind === 'started' ? nginx.version : null;
  return relayReport({ plan, machine: { ...machine, nginx: version }, idleMiB, rounds, many });
}

/** Compilers and caches of every process are warm before the first round counts. */
async function warmUp(stage: Stage): Promise<void> {
  for (const contender of stage.contenders) {
    stage.tell(`warming up: ${contender.name}`);
    // What compiles warms up by what it does most; one write per chunk is the same all along.
    const requests = contender.name === 'xim' ? stage.plan.warmUpMs : shortWarmUpMs;
    const window = { ...stage.plan.window, requests, random: shortWarmUpMs };
    const warming: Stage = { ...stage, plan: { ...stage.plan, window } };
    await runPhase(warming, { contender, phase: 'requests' });
    await runPhase(warming, { contender, phase: 'random' });
  }
}
