import type { ArrivedRequest, Predicted } from '../routerPort.ts';
import type { Dispatched, InstanceAccount } from './instanceAccount.ts';
import { leastBy } from './leastBy.ts';
import type { PolicyFactory } from './policy.ts';

/**
 * The offline fit: prefill in full chunks on the hardware of this fleet beside a usual batch, ms a
 * token and a pair of tokens.
 */
const msPerToken = 0.08;
const msPerPair = 3.5e-6;

/** Prompts that an instance was sent and that have no first byte, in order. */
interface Line {
  /** What each is predicted to take, in ms. */
  ms: Map<Dispatched, number>;
  /** All of them together. */
  sumMs: number;
  /** When the first of them began. */
  begunAtMs: number;
}

/**
 * The cache-aware choice of Mooncake's conductor (Qin et al., "Mooncake: A KVCache-centric
 * Disaggregated Architecture for LLM Serving", arXiv 2407.00079, algorithm 1, for machines that
 * prefill and decode and move no cache): the least predicted time to the first token, which is the
 * time until what is queued there is prefilled plus that of this prompt behind its cached prefix.
 * Prefill time comes from a model fitted offline, the same for every machine.
 */
export const mooncakeTtft: PolicyFactory = ({ random }) => {
  const lines = new Map<InstanceAccount, Line>();
  const queueMs = (account: InstanceAccount, nowMs: number): number => {
    const line = lines.get(account);
    const [first] = line?.ms.values() ?? [];
    if (line === undefined || first === undefined) return 0;
    return line.sumMs - Math.min(first, nowMs - line.begunAtMs);
  };
  const ttftMs = (request: ArrivedRequest, account: InstanceAccount, nowMs: number): number =>
    queueMs(account, nowMs) + prefillMs(request, account.uncachedTokens(request));
  const settle = (dispatched: Dispatched, nowMs: number): void => {
    const line = lines.get(dispatched.account);
    const ms = line?.ms.get(dispatched);
    if (line === undefined || ms === undefined) return;
    line.ms.delete(dispatched);
    line.sumMs -= ms;
    line.begunAtMs = nowMs;
  };
  return {
    choose: (request, candidates, nowMs) =>
      leastBy(candidates, { random, value: (one) => ttftMs(request, one, nowMs) }),
    predict: (request, account, nowMs): Predicted => ({
      ttftMs: ttftMs(request, account, nowMs),
      p90Ms: null,
    }),
    dispatched(dispatched, nowMs) {
      const ms = prefillMs(dispatched.request, dispatched.uncachedTokens);
      const { account } = dispatched;
      const line = lines.get(account) ?? { ms: new Map(), sumMs: 0, begunAtMs: nowMs };
      lines.set(account, line);
      if (line.ms.size === 0) line.begunAtMs = nowMs;
      line.ms.set(dispatched, ms);
      line.sumMs += ms;
    },
    firstByte: settle,
    ended: settle,
    left: (account) => void lines.delete(account),
  };
};

function prefillMs(request: ArrivedRequest, uncachedTokens: number): number {
  const cachedTokens = request.inputTokens - uncachedTokens;
  return uncachedTokens * (msPerToken + msPerPair * (cachedTokens + uncachedTokens / 2));
}
