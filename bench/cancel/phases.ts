/**
 * One abort in each phase, with every slot taken and one request in the queue: what is measured is
 * the time until the engine's side is closed, and until the slot serves the next request.
 */
import http from 'node:http';
import { within } from '../machine/children.ts';
import type { Target } from '../load/messages.ts';
import { askEngine } from './leavingClient.ts';
import type { WatchedEngine } from './watchedEngine.ts';

export const cancelPhases = ['queued', 'waiting', 'streaming', 'not_streaming'] as const;
export type CancelPhase = (typeof cancelPhases)[number];

/** From the client's leaving, in ms. Null where there is nothing to be closed. */
export interface CancelSample {
  engineClosedMs: number | null;
  /** The place is free: for the next one at the engine, or in the queue. */
  freeMs: number;
}

export interface CancelStage {
  engine: WatchedEngine;
  target: Target;
}

const patienceMs = 10_000;
/** A stream counts as one after so many pieces. */
const streamPieces = 3;

/** Measures one abort. Rejects when something does not come, or comes that should not. */
export function sampleOf(stage: CancelStage, phase: CancelPhase): Promise<CancelSample> {
  const sample = phase === 'queued' ? sampleQueued(stage) : sampleRunning(stage, phase);
  return within(sample, { ms: patienceMs, what: `an abort while ${phase}` });
}

async function sampleRunning(
  stage: CancelStage,
  phase: Exclude<CancelPhase, 'queued'>,
): Promise<CancelSample> {
  const { engine, target } = stage;
  const order = phase === 'streaming' ? 'stream' : 'hold';
  const held = askEngine(target, { order, stream: phase !== 'not_streaming' });
  const seen = await engine.arrival(held.name);
  if (phase === 'streaming') await held.pieces(streamPieces);
  const next = askEngine(target, { order: 'answer', stream: false });
  await waitingIs(stage, 1);
  const leftAtMs = held.leave();
  const [closedAtMs, started] = await Promise.all([seen.closedAtMs, engine.arrival(next.name)]);
  await next.whole;
  return { engineClosedMs: closedAtMs - leftAtMs, freeMs: started.atMs - leftAtMs };
}

async function sampleQueued(stage: CancelStage): Promise<CancelSample> {
  const { engine, target } = stage;
  const held = askEngine(target, { order: 'hold', stream: true });
  await engine.arrival(held.name);
  const queued = askEngine(target, { order: 'hold', stream: true });
  await waitingIs(stage, 1);
  const leftAtMs = queued.leave();
  await waitingIs(stage, 0);
  const freeMs = performance.now() - leftAtMs;
  held.leave();
  await askEngine(target, { order: 'answer', stream: false }).whole;
  if (engine.has(queued.name)) throw new Error('a request that had left reached the engine');
  return { engineClosedMs: null, freeMs };
}

const connection = new http.Agent({ keepAlive: true, maxSockets: 1 });

/** Looks at the server's metrics, one time after another, until so many requests wait. */
async function waitingIs({ target }: CancelStage, count: number): Promise<void> {
  const line = `\nxim_requests_waiting ${count}\n`;
  while (!(await metricsOf(target)).includes(line));
}

function metricsOf({ port }: Target): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path: '/metrics', agent: connection };
    const outgoing = http.get(options, (incoming) => {
      let text = '';
      incoming.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      incoming.on('error', reject).on('end', () => resolve(text));
    });
    outgoing.on('error', reject);
  });
}
