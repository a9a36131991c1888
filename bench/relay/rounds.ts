/**
 * The rounds of the bench `relay`: in each, every contender goes through every phase, one contender
 * after another, in an order that turns by one from round to round, so that what the machine does
 * meanwhile hits all of them alike.
 */
import type { Contender, ContenderName } from '../contenders/contender.ts';
import type { Generator, MockEngine } from '../load/helperProcesses.ts';
import type { Load } from '../load/messages.ts';
import { measure, type Measured } from './measure.ts';
import type { Phase, RelayPlan } from './plan.ts';

export type Round = Partial<Record<ContenderName, Partial<Record<Phase, Measured>>>>;

export interface Stage {
  plan: RelayPlan;
  contenders: readonly Contender[];
  mock: MockEngine;
  generator: Generator;
  tell: (text: string) => void;
}

const shortSettleMs = 150;
/** Streams last this much longer than settling and window take. */
const marginMs = 700;
/** Length of a stream of the phase `timed`, in chunks. */
const timedChunks = 50;
const promptBytes = 1024 * 1024;

export async function runRounds(stage: Stage): Promise<Round[]> {
  const { plan, contenders, tell } = stage;
  const rounds: Round[] = [];
  for (let n = 0; n < plan.rounds; n += 1) {
    const shift = n % contenders.length;
    const order = [...contenders.slice(shift), ...contenders.slice(0, shift)];
    const round: Round = {};
    for (const contender of order) {
      tell(`round ${n + 1} of ${plan.rounds}: ${contender.name}`);
      round[contender.name] = await runPhases(stage, contender);
    }
    rounds.push(round);
  }
  return rounds;
}

async function runPhases(
  stage: Stage,
  contender: Contender,
): Promise<Partial<Record<Phase, Measured>>> {
  const measured: Partial<Record<Phase, Measured>> = {};
  for (const phase of stage.plan.phases) {
    if (phase === 'many') continue;
    if (isNeedless(phase, contender.name)) continue;
    measured[phase] = await runPhase(stage, { contender, phase });
  }
  return measured;
}

/** All at once says nothing about a relay that is not there; the libraries are for times. */
function isNeedless(phase: Phase, name: ContenderName): boolean {
  if (name === 'bare') return phase === 'lockstep' || phase === 'prompt';
  return name === 'direct' && phase === 'lockstep';
}

/** One phase of one contender. */
export async function runPhase(
  stage: Stage,
  { contender, phase }: { contender: Contender; phase: Phase },
): Promise<Measured> {
  const { plan, mock, generator } = stage;
  const tickMs = phase === 'many' ? plan.manyTickMs : plan.tickMs;
  await mock.set({ tickMs, phase: phase === 'lockstep' ? 'lockstep' : 'random' });
  const load = loadOf(plan, { contender, phase });
  const windowMs = plan.window[phase];
  const settleMs = load.kind === 'streams' ? plan.settleMs : shortSettleMs;
  return measure({ contender, mock, generator, load, settleMs, windowMs });
}

function loadOf(
  plan: RelayPlan,
  { contender: { target }, phase }: { contender: Contender; phase: Phase },
): Load {
  const longChunks = (tickMs: number): number =>
    Math.ceil((plan.settleMs + plan.window[phase] + marginMs) / tickMs);
  const streaming = { kind: 'streams', target } as const;
  const asking = { kind: 'requests', target } as const;
  switch (phase) {
    case 'random':
    case 'lockstep': {
      const chunks = longChunks(plan.tickMs);
      return { ...streaming, streams: plan.streams, chunks, renew: false };
    }
    case 'many': {
      const chunks = longChunks(plan.manyTickMs);
      return { ...streaming, streams: plan.manyStreams, chunks, renew: false };
    }
    case 'timed':
      return { ...streaming, streams: plan.timedStreams, chunks: timedChunks, renew: true };
    case 'requests':
      return { ...asking, connections: plan.connections, promptBytes: 16 };
    case 'alone':
      return { ...asking, connections: 1, promptBytes: 16 };
    case 'prompt':
      return { ...asking, connections: 1, promptBytes };
  }
}
