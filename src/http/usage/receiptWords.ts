/** Why a request went where it went, in a sentence or two. */
import type { ReceiptAnswer } from '../../api/control/requests.ts';

type Told = Omit<ReceiptAnswer, 'why'>;
type Attempt = Told['attempts'][number];

export function receiptWords(told: Told): string {
  const { state, attempts, waiting, kept } = told;
  if (!kept) return 'Why it went there is not kept any more.';
  const sentences = attempts.map((attempt, at) => attemptWords(attempt, { at, told }));
  if (waiting !== null) {
    const eta = waiting.eta_ms === null ? '' : `, about ${seconds(waiting.eta_ms)} to go`;
    sentences.push(`It waits at position ${waiting.position}${eta}.`);
  }
  if (attempts.length === 0 && state === 'finished') {
    sentences.push(`Nobody served it: ${told.outcome} after ${seconds(told.queue_ms)}.`);
  }
  return sentences.join(' ');
}

function attemptWords(attempt: Attempt, { at, told }: { at: number; told: Told }): string {
  const name = attempt.agent;
  const { end, hedge, ttft_ms: ttftMs } = attempt;
  const next = hedge
    ? `The first byte was late, and ${name} was asked, too.`
    : `Then ${name} was tried.`;
  const found = at === 0 ? choiceWords(attempt, told) : next;
  if (end === 'served' || end === 'running') return found;
  if (end === 'hedged') return `${found} ${name} was told to stop: the other one was quicker.`;
  const when = ttftMs === null ? 'before its first byte' : 'in the middle of its answer';
  return `${found} It ended ${when}: ${end}.`;
}

function choiceWords(attempt: Attempt, told: Told): string {
  const { agent: name, candidates, candidates_total: total, chosen } = attempt;
  const held = attempt.prompt_tokens - attempt.uncached_tokens;
  const cached =
    held > 0 ? ` It held about ${held} of the ${attempt.prompt_tokens} prompt tokens.` : '';
  if (chosen === 'turn') {
    return `It waited ${seconds(told.queue_ms)} until ${name} was free for it.${cached}`;
  }
  if (total === 1) return `${name} was the only one that could take it at once.${cached}`;
  const [taken, next] = candidates;
  const cost = taken?.cost_ms ?? null;
  const other = next?.cost_ms ?? null;
  if (cost === null || other === null) return `${name} was chosen among ${total}.${cached}`;
  if (cost > other) return `${name} was tried to learn how fast it is.${cached}`;
  const parts = `${Math.round(cost)} ms, the next best ${Math.round(other)} ms`;
  return `${name} had the smallest cost of ${total}: ${parts}.${cached}`;
}

const seconds = (ms: number): string =>
  ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
