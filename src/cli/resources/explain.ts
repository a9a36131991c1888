/** `xim explain`: why a request went where it went, and what came of it. */
import type { ReceiptAnswer } from '../../api/control/requests.ts';
import { wrapText } from '../../lib/text/wrapText.ts';
import { print } from '../connection/withServer.ts';
import { costText, fieldTable, milliseconds, plainText, textTable } from '../textTable.ts';
import { resourceCommand, type Field } from './resourceCommand.ts';

type Attempt = ReceiptAnswer['attempts'][number];
type Candidate = Attempt['candidates'][number];
type Misses = ReceiptAnswer['not_candidates'];

const lineCharacters = 100;

export const explain = resourceCommand(
  {
    words: ['explain'],
    summary: 'Explain why a request went where it went, and what came of it',
    details:
      'ID is the x-request-id of an answer, or one of xim requests list. A dash: it is not ' +
      'known, or a shared agent’s, whose load is not shown. Receipts of the last 100,000 ' +
      'requests are kept.',
    scope: 'project',
    path: '/requests/{}',
    operands: [{ name: 'ID' }],
  },
  {},
  async ({ call, session, context, options }) => {
    const path = await call.path();
    const receipt = await session.call<ReceiptAnswer>({ method: 'GET', path });
    print({ context, options: options as never }, receipt, () => receiptText(receipt));
  },
);

function receiptText(receipt: ReceiptAnswer): string {
  const parts = [
    `${receipt.id}  ${stateText(receipt)}\n`,
    `${wrapText(plainText(receipt.why), lineCharacters).join('\n')}\n`,
    fieldTable(factsOf(receipt)),
    foreseenText(receipt),
    ...receipt.attempts.map((attempt, at) => attemptText(attempt, at + 1)),
    missesText(
      isAboutNow(receipt) ? 'Who was out' : 'Could not have served it',
      receipt.not_candidates,
    ),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

/** Whether it says who was out when it ended, or is now; else who never could have served it. */
function isAboutNow({ state, attempts, outcome }: ReceiptAnswer): boolean {
  if (attempts.length === 0 || state === 'waiting') return true;
  return outcome === 'queue_timeout' || outcome === 'no_agent_available';
}

function stateText({ state, outcome, status, resumed }: ReceiptAnswer): string {
  if (state !== 'finished') return state;
  const times = resumed === 0 ? '' : `, resumed ${resumed === 1 ? 'once' : `${resumed} times`}`;
  return `${outcome ?? '–'}${times}, status ${status ?? '–'}`;
}

function factsOf(receipt: ReceiptAnswer): Field[] {
  const { input_tokens: input, cached_tokens: cached, output_tokens: output } = receipt;
  const { waiting } = receipt;
  return [
    ['when', receipt.started_at],
    ['endpoint', `${receipt.endpoint} on the tier ${receipt.tier}`],
    ['agent', receipt.agent],
    ...(receipt.region === null ? [] : [['region asked for', receipt.region] as const]),
    ...(waiting === null
      ? []
      : [['position', `${waiting.position}, ${etaText(waiting.eta_ms)}`] as const]),
    ['waited', milliseconds(receipt.queue_ms)],
    ['first token', milliseconds(receipt.ttft_ms)],
    ['total', milliseconds(receipt.latency_ms)],
    ['tokens', `${input ?? '–'} in (${cached ?? '–'} cached), ${output ?? '–'} out`],
    ['cost', costText(receipt.cost)],
  ];
}

const etaText = (etaMs: number | null): string =>
  etaMs === null ? 'nobody knows for how long' : `about ${milliseconds(etaMs)} to go`;

/** What was foreseen beside what came. */
function foreseenText(receipt: ReceiptAnswer): string {
  const rows: (string | null)[][] = [];
  const { foreseen } = receipt;
  if (foreseen !== null && receipt.state !== 'waiting') {
    // What it waited after an agent had failed was not foreseen.
    const waitedMs = receipt.attempts[0]?.at_ms ?? receipt.queue_ms;
    const wait = [milliseconds(foreseen.wait_ms), null, milliseconds(waitedMs)];
    rows.push(['wait', ...wait, offBy(foreseen.wait_ms, waitedMs)]);
  }
  const several = receipt.attempts.length > 1;
  for (const [at, attempt] of receipt.attempts.entries()) {
    const { predicted_ttft_ms: predicted, predicted_ttft_p90_ms: p90, ttft_ms: was } = attempt;
    const name = several ? `first token, attempt ${at + 1}` : 'first token';
    const times = [milliseconds(predicted), milliseconds(p90), milliseconds(was)];
    rows.push([name, ...times, offBy(predicted, was)]);
  }
  if (rows.length === 0) return '';
  return textTable(['', 'FORESEEN', 'NINE OF TEN', 'WAS', 'OFF BY'], rows);
}

function offBy(foreseen: number | null, was: number | null): string | null {
  if (foreseen === null || was === null || foreseen <= 0) return null;
  const percent = Math.round((100 * (was - foreseen)) / foreseen);
  return `${percent > 0 ? '+' : ''}${percent} %`;
}

function attemptText(attempt: Attempt, number: number): string {
  const { agent, region, tier, stage, candidates_total: total, candidates } = attempt;
  const found = attempt.chosen === 'turn' ? 'it was this one’s turn' : 'the cheapest';
  const how = attempt.hedge ? `the first byte of another one was late, and it was ${found}` : found;
  const ended = milliseconds(attempt.ended_after_ms);
  const whose = stage === 'own' ? 'own' : 'shared';
  const lines = [
    `Attempt ${number}: ${plainText(agent)}, ${whose}, ${plainText(region)}, tier ${tier}`,
    `  sent after ${milliseconds(attempt.at_ms)}: ${how}`,
    `  ${attempt.prompt_tokens} prompt tokens, ${attempt.uncached_tokens} to be computed; ` +
      `${attempt.expected_output_tokens} of answer expected`,
    `  ${endWords[attempt.end] ?? attempt.end}${ended === null ? '' : ` after ${ended}`}`,
  ];
  const rest = total - candidates.length;
  const more = rest > 0 ? `  and ${rest} more\n` : '';
  const title = '  Not candidates at that moment';
  const misses = missesText(title, attempt.not_candidates, attempt.hedge ? hedgeWords : words);
  return `${lines.join('\n')}\n\n${candidatesTable(candidates)}${more}${misses && `\n${misses}`}`;
}

function candidatesTable(candidates: readonly Candidate[]): string {
  const head = ['', 'CANDIDATE', 'REGION', 'COST', 'NETWORK', 'QUEUE', 'PREFILL', 'DECODE'];
  return textTable(
    [...head, 'REGION PRICE', 'UNCACHED', 'RUNNING'],
    candidates.map((one) => [
      one.taken ? ' *' : '',
      one.agent,
      one.region,
      milliseconds(one.cost_ms),
      milliseconds(one.network_ms),
      milliseconds(one.queue_ms),
      milliseconds(one.prefill_ms),
      milliseconds(one.decode_ms),
      milliseconds(one.region_ms),
      count(one.uncached_tokens),
      count(one.in_flight),
    ]),
  );
}

const count = (value: number | null): string | null => (value === null ? null : String(value));

const endWords: Readonly<Record<string, string>> = {
  hedged: 'told to stop, the other one was quicker,',
};

/** As on the line of a refusal. */
const words: Readonly<Record<string, string>> = {
  not_active: 'not active',
  suspended: 'suspended',
  other_project: 'of another project',
  fallback_closed: 'shared, while fallback is off',
  no_shared_access: 'shared, and the project has no access to shared agents',
  model_not_shared: 'shared, and the model is not approved for shared agents',
  tier: 'without the tier',
  model: 'without the model loaded',
  ability: 'without an ability that is asked for',
  binding: 'bound elsewhere',
  exclusive: 'not bound to the endpoint, which takes no others',
  isolation: 'below the minimum isolation level',
  busy: 'without a free slot',
  backlog: 'with too much to compute',
  no_room: 'without room for so many tokens',
  kept_for_short: 'kept free of long prompts, while others wait',
  tried: 'failed this request',
  penalty_box: 'failed lately',
  over_limit: 'free, while the project is over a limit',
  not_asked: 'shared, not asked: own ones come first',
};

/** For a hedge: who had the request then had not failed it. */
const hedgeWords: typeof words = { ...words, tried: 'asked already' };

function missesText(title: string, { counts, nearest }: Misses, wordsOf = words): string {
  const parts = Object.entries(counts).map(([why, many]) => `${many} ${wordsOf[why] ?? why}`);
  if (parts.length === 0) return '';
  const indent = ' '.repeat(title.length - title.trimStart().length + 2);
  const width = Math.max(0, ...nearest.map(({ agent }) => plainText(agent).length));
  const lines = nearest.map(
    ({ agent, reason }) =>
      `${indent}${plainText(agent).padEnd(width)}  ${wordsOf[reason] ?? reason}`,
  );
  return `${title}: ${parts.join(', ')}\n${lines.map((line) => `${line}\n`).join('')}`;
}
