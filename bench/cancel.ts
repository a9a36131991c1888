/**
 * `npm run bench -- cancel`: how soon a client's leaving reaches the engine and frees its slot, in
 * all four phases: queued, waiting for the first byte, streaming, not streaming.
 *
 *     client (leaves) ──▶ router ─link─▶ agent ──▶ engine (in the bench's process: one clock)
 *
 * Parts: `cancel/phases.ts` (one abort), `cancel/watchedEngine.ts`, `cancel/leavingClient.ts`,
 * `cancel/report.ts`. Other streams run meanwhile, and all slots are taken.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { defaultModel } from '../src/agent/models/defaultModel.ts';
import { askEngine } from './cancel/leavingClient.ts';
import { cancelPhases, sampleOf, type CancelPhase, type CancelSample } from './cancel/phases.ts';
import { cancelLines, cancelReport, type CancelReport } from './cancel/report.ts';
import { WatchedEngine } from './cancel/watchedEngine.ts';
import { startXim } from './contenders/xim.ts';
import { Children } from './machine/children.ts';
import { machineFacts } from './machine/facts.ts';

export const cancelHelp = `bench cancel: from a client's leaving to a closed engine and a free slot
  --json            one line of JSON on standard output at the end
  --samples N       aborts in each phase (300)
  --background N    streams of 25 chunks a second that go on meanwhile (100)
`;

const tickMs = 40;
/** Aborts before those that count: what compiles is compiled. */
const warmUps = 20;

/** Runs the bench. `tell` gets lines for a person. */
export async function cancelBench(
  args: readonly string[],
  tell: (text: string) => void,
): Promise<CancelReport> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'boolean' },
      samples: { type: 'string', default: '300' },
      background: { type: 'string', default: '100' },
    },
  });
  const plan = {
    samples: Number(values.samples),
    background: Number(values.background),
    machine: machineFacts(),
  };
  const directory = mkdtempSync(path.join(tmpdir(), 'xim-cancel-'));
  const children = new Children();
  const engine = new WatchedEngine({ model: defaultModel.name, tickMs });
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  try {
    const measured = await measure({ ...plan, directory, children, engine, tell });
    const report = cancelReport(measured, plan);
    for (const text of cancelLines(report)) tell(text);
    return report;
  } finally {
    await children.stop();
    engine.close();
  }
}

async function measure(options: {
  samples: number;
  background: number;
  directory: string;
  children: Children;
  engine: WatchedEngine;
  tell: (text: string) => void;
}): Promise<Record<CancelPhase, CancelSample[]>> {
  const { samples, background, directory, children, engine, tell } = options;
  tell('starting the server and its agent');
  const { target } = await startXim(children, {
    directory,
    mockPort: await engine.listen(),
    profileDirectory: undefined,
    slots: background + 1,
  });
  const others = Array.from({ length: background }, () =>
    askEngine(target, { order: 'stream', stream: true }),
  );
  for (const { name } of others) await engine.arrival(name);
  const stage = { engine, target };
  const measured: Record<CancelPhase, CancelSample[]> = {
    queued: [],
    waiting: [],
    streaming: [],
    not_streaming: [],
  };
  // In turn, so that what disturbs one phase disturbs all of them.
  for (let turn = 0; turn < samples + warmUps; turn += 1) {
    if (turn === warmUps) tell('measuring');
    for (const phase of cancelPhases) {
      const sample = await sampleOf(stage, phase);
      if (turn >= warmUps) measured[phase].push(sample);
    }
  }
  for (const other of others) other.leave();
  return measured;
}
