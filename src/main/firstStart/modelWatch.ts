/**
 * Waits until the shared agent's model can be asked, or it is known why not. What comes first
 * counts: ready, a failure with what was tried, the agent's refusal, a process that ends again and
 * again, or a silence that is too long.
 */
import type { Clock, Timer } from '../../lib/clock.ts';
import type { AgentWatchEvent } from '../agent/agentEvents.ts';

/** An agent that fetches or loads speaks every few seconds. */
const longestSilenceMs = 180_000;
/** From the agent's word that a model is ready to the router's knowledge of it. */
const grantTimeoutMs = 10_000;
const grantPollMs = 20;
/** One end may be an accident; what happens twice will happen again. */
const mostEnds = 2;

export type ModelOutcome =
  | { kind: 'ready'; model: string }
  /** Sentences, several lines. */
  | {
      kind: 'without';
      reason: string;
      /** It could not be had; or its file was there, and the engine did not take it. */
      fault?: 'unfetched' | 'unloadable';
    }
  | { kind: 'stopped' };

export interface ModelWatch {
  /** Every event of the shared agent. */
  event(event: AgentWatchEvent): void;
  /** The agent's process has ended for good. */
  ended(): void;
  outcome: Promise<ModelOutcome>;
}

export function watchModel(options: {
  /** Whether the router has an instance of the model. */
  granted: () => boolean;
  clock: Clock;
  stopped: AbortSignal;
}): ModelWatch {
  const { clock, granted, stopped } = options;
  let silence: Timer | undefined;
  let lastTrouble = '';
  let ends = 0;
  const { promise, resolve } = Promise.withResolvers<ModelOutcome>();
  const settle = (outcome: ModelOutcome): void => {
    silence?.cancel();
    resolve(outcome);
  };
  const listen = (): void => {
    silence?.cancel();
    silence = clock.setTimer(longestSilenceMs, () => {
      const reason = `The shared agent has said nothing for ${longestSilenceMs / 1000} s.`;
      settle({ kind: 'without', reason: [reason, lastTrouble].filter(Boolean).join('\n') });
    });
  };
  const awaitGrant = (model: string, deadlineMs: number): void => {
    if (granted() || clock.monotonic() > deadlineMs) return settle({ kind: 'ready', model });
    clock.setTimer(grantPollMs, () => awaitGrant(model, deadlineMs));
  };
  const onStop = (): void => settle({ kind: 'stopped' });
  if (stopped.aborted) onStop();
  stopped.addEventListener('abort', onStop, { once: true });
  if (!stopped.aborted) listen();
  return {
    outcome: promise,
    ended: () => settle({ kind: 'without', reason: lastTrouble || 'The shared agent has ended.' }),
    event(event) {
      if (event.kind === 'unlinked') lastTrouble = event.message;
      else listen();
      if (event.kind === 'ready') awaitGrant(event.model, clock.monotonic() + grantTimeoutMs);
      if (event.kind === 'refused' || event.kind === 'unable') {
        settle({ kind: 'without', reason: event.message });
      }
      if (event.kind === 'ended') {
        ends += 1;
        const reason = [lastTrouble, event.message].filter(Boolean).join('\n');
        if (ends === mostEnds) settle({ kind: 'without', reason });
      }
      if (event.kind === 'failed') {
        const tried = event.tried.map((line) => `  ${line}`);
        const reason = [event.message, ...tried].join('\n');
        const fault = tried.length === 0 ? 'unloadable' : 'unfetched';
        settle({ kind: 'without', reason, fault });
      }
    },
  };
}
