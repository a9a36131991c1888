/** Why a request went where it went, in a sentence or two. */
import type { ReceiptAnswer } from '../../api/control/requests.ts';

type Told = Omit<ReceiptAnswer, 'why'>;
type Attempt = Told['attempts'][number];

export function receiptWords(told: Told): string {
  const { state, waiting, kept } = told;
  if (!kept) return 'Why it went there is not kept any more.';
  const sentences = attemptsWords(told);
  if (waiting !== null) {
    const eta = waiting.eta_ms === null ? '' : `, about ${seconds(waiting.eta_ms)} to go`;
    sentences.push(`It waits at position ${waiting.position}${eta}.`);
  }
  if (state === 'finished') sentences.push(...endWords(told));
  return sentences.join(' ');
}

/** Of one that nobody served to its end, beyond what is said of the last agent. */
function endWords({ attempts, outcome, queue_ms: queueMs, latency_ms: latencyMs }: Told): string[] {
  const last = attempts.at(-1);
  if (last === undefined) return [`Nobody served it: ${outcome} after ${seconds(queueMs)}.`];
  // What ended the request ended all that was under way; of two agents one may have served it.
  if (attempts.some(({ end }) => end === 'served' || end === outcome)) return [];
  if (outcome === 'completed') return ['Only its end was missing: the router completed it.'];
  const began = attempts.some(({ ttft_ms: ttftMs }) => ttftMs !== null);
  const waitedMs = latencyMs - Math.max(...attempts.map(endedAtMs));
  const after = waitedMs < leastWaitMs ? '' : ` after ${seconds(waitedMs)} more`;
  return [`Nobody ${began ? 'went on with it' : 'else served it'}: ${outcome}${after}.`];
}

/** Shorter ones are what handing over takes. */
const leastWaitMs = 1;

const endedAtMs = ({ at_ms: atMs, ended_after_ms: endedMs }: Attempt): number =>
  atMs + (endedMs ?? 0);

/** Who is asked beside one that is late, is asked before that one ends. */
function attemptsWords(told: Told): string[] {
  const { attempts } = told;
  const open: Attempt[] = [];
  return attempts.flatMap((attempt, at) => {
    const found = at === 0 ? choiceWords(attempt, told) : nextWords(attempt, attempts.slice(0, at));
    open.push(attempt);
    if (attempts[at + 1]?.hedge === true) return [found];
    const ended = open.splice(0);
    const who = (one: Attempt): string => (ended.length === 1 ? 'It' : one.agent);
    return [found, ...ended.flatMap((one) => endedWords(one, who(one)))];
  });
}

function endedWords({ agent: name, end, ttft_ms: ttftMs }: Attempt, who: string): string[] {
  if (end === 'served' || end === 'running') return [];
  if (end === 'hedged') return [`${name} was told to stop: the other one was quicker.`];
  const when = ttftMs === null ? 'before its first byte' : 'in the middle of its answer';
  return [`${who} ended ${when}: ${end}.`];
}

function nextWords({ agent: name, hedge, at_ms: atMs }: Attempt, before: Attempt[]): string {
  if (hedge) return `The first byte was late, and ${name} was asked, too.`;
  const waitedMs = atMs - Math.max(...before.map(endedAtMs));
  if (waitedMs < leastWaitMs) return `Then ${name} was tried.`;
  return `It waited ${seconds(waitedMs)} more, then ${name} was tried.`;
}

function choiceWords(attempt: Attempt, told: Told): string {
  const { agent: name, candidates, candidates_total: total, chosen } = attempt;
  const held = attempt.prompt_tokens - attempt.uncached_tokens;
  const cached =
    held > 0 ? ` It held about ${held} of the ${attempt.prompt_tokens} prompt tokens.` : '';
  if (chosen === 'turn') {
    return `It waited ${seconds(attempt.at_ms)} until ${name} was free for it.${cached}`;
  }
  const waited = told.foreseen === null ? '' : `It waited ${seconds(attempt.at_ms)}. `;
  if (total === 1) {
    const when = told.foreseen === null ? 'at once' : 'then';
    return `${waited}${name} was the only one that could take it ${when}.${cached}`;
  }
  const [taken, next] = candidates;
  const cost = taken?.cost_ms ?? null;
  const other = next?.cost_ms ?? null;
  if (cost === null || other === null)
    return `${waited}${name} was chosen among ${total}.${cached}`;
  if (cost > other) return `${waited}${name} was tried to learn how fast it is.${cached}`;
  const parts = `${Math.round(cost)} ms, the next best ${Math.round(other)} ms`;
  return `${waited}${name} had the smallest cost of ${total}: ${parts}.${cached}`;
}

const seconds = (ms: number): string =>
  ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
