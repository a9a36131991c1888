/** `xim explain` and `xim requests active`. */
import { after, before, test } from 'node:test';
import type { ActiveRequestAnswer, ReceiptAnswer } from '../../api/control/requests.ts';
import { systemClock } from '../../lib/clock.ts';
import {
  cliNow as now,
  openCliHarness,
  type CliHarness,
} from '../../testing/processes/cliHarness.ts';
import { assertGolden } from '../../testing/golden.ts';
import { serverCommands } from '../commands.ts';

const id = 'req_01k7hn2b6zd8rt0000000000';
const at = `/api/v1/projects/default/requests/${id}`;
let cli: CliHarness;

before(async () => {
  cli = await openCliHarness(serverCommands, { ...systemClock, now: () => Date.parse(now) });
});
after(() => cli.close());

type Attempt = ReceiptAnswer['attempts'][number];

function candidate(agent: string, parts: readonly number[]): Attempt['candidates'][number] {
  const [network = 0, queue = 0, prefill = 0, decode = 0, price = 0] = parts;
  return {
    agent,
    region: 'oslo',
    taken: false,
    cost_ms: network + queue + prefill + decode + price,
    network_ms: network,
    queue_ms: queue,
    prefill_ms: prefill,
    decode_ms: decode,
    region_ms: price,
    uncached_tokens: 1842,
    in_flight: 3,
  };
}

const unseen: Attempt['candidates'][number] = {
  ...candidate('shared-1', []),
  cost_ms: null,
  network_ms: null,
  queue_ms: null,
  prefill_ms: null,
  decode_ms: null,
  region_ms: null,
  uncached_tokens: null,
  in_flight: null,
};

const first: Attempt = {
  agent: 'desk-07',
  region: 'oslo',
  stage: 'own',
  tier: 'self_hosted',
  chosen: 'cheapest',
  hedge: false,
  at_ms: 1200,
  end: 'link_closed',
  ended_after_ms: 3610,
  prompt_tokens: 1842,
  uncached_tokens: 306,
  expected_output_tokens: 320,
  predicted_ttft_ms: 54,
  predicted_ttft_p90_ms: 80,
  ttft_ms: 58,
  candidates_total: 11,
  candidates: [
    { ...candidate('desk-07', [1, 12, 41, 216, 4]), taken: true, uncached_tokens: 306 },
    candidate('rack2-a100-1', [1, 22, 268, 249, 0]),
    candidate('lambda-h100-1', [42, 12, 160, 200, 130]),
  ],
  not_candidates: {
    counts: { busy: 2, backlog: 1 },
    nearest: [
      { agent: 'desk-19-arc', region: 'oslo', reason: 'busy' },
      { agent: 'trd-4090-1', region: 'oslo', reason: 'backlog' },
    ],
  },
};

const receipt: ReceiptAnswer = {
  id,
  state: 'finished',
  started_at: '2026-03-01T11:27:33.402Z',
  endpoint: 'chat',
  tier: 'self_hosted',
  agent: 'shared',
  outcome: 'completed',
  status: 200,
  stream: true,
  queue_ms: 3000,
  ttft_ms: 1258,
  latency_ms: 11_380,
  input_tokens: 1842,
  cached_tokens: 1536,
  output_tokens: 412,
  cost: '0.001250',
  model_id: 'mdl_1',
  api_key_id: 'key_1',
  why:
    'desk-07 had the smallest cost of 11: 274 ms, the next best 540 ms. It held about 1536 of ' +
    'the 1842 prompt tokens. It ended in the middle of its answer: link_closed. ' +
    'Then shared-1 was tried.',
  waiting: null,
  resumed: 1,
  kept: true,
  region: 'oslo',
  body_bytes: 7400,
  max_tokens: null,
  foreseen: { position: 2, wait_ms: 1000 },
  attempts: [
    first,
    {
      ...first,
      agent: 'shared-1',
      region: 'bergen',
      stage: 'shared',
      tier: 'gpu_nvidia_shared',
      chosen: 'turn',
      at_ms: 6610,
      end: 'served',
      ended_after_ms: 4770,
      predicted_ttft_ms: null,
      predicted_ttft_p90_ms: null,
      ttft_ms: 268,
      candidates_total: 1,
      candidates: [{ ...unseen, region: 'bergen', taken: true }],
      not_candidates: { counts: {}, nearest: [] },
    },
  ],
  not_candidates: {
    counts: { not_active: 2, suspended: 1, model: 5 },
    nearest: [{ agent: 'rack3-h100-1', region: 'oslo', reason: 'model' }],
  },
};

test('a receipt leaves out a part of why, or cannot be read', async () => {
  cli.answers({ [`GET ${at}`]: { body: receipt } });
  const whole = await cli.transcript([`explain ${id}`, `explain ${id} -o json`]);
  const refused: ReceiptAnswer = {
    ...receipt,
    agent: null,
    outcome: 'queue_timeout',
    status: 503,
    queue_ms: 30_000,
    ttft_ms: null,
    resumed: 0,
    input_tokens: null,
    cached_tokens: null,
    output_tokens: null,
    why: 'Nobody served it: queue_timeout after 30.0 s.',
    attempts: [],
    not_candidates: first.not_candidates,
  };
  cli.answers({ [`GET ${at}`]: { body: refused } });
  const none = await cli.transcript([`explain ${id}`]);
  const waits: ReceiptAnswer = {
    ...refused,
    state: 'waiting',
    outcome: null,
    status: null,
    waiting: { position: 3, eta_ms: 4200 },
    why: 'It waits at position 3, about 4.2 s to go.',
  };
  cli.answers({ [`GET ${at}`]: { body: waits } });
  const waiting = await cli.transcript([`explain ${id}`]);
  const lost: Attempt = { ...first, end: 'hedged', ended_after_ms: 420, ttft_ms: null };
  const won: Attempt = {
    ...first,
    agent: 'desk-08',
    hedge: true,
    at_ms: 1451,
    end: 'served',
    candidates_total: 1,
    candidates: [{ ...candidate('desk-08', [1, 12, 41, 216, 4]), taken: true }],
    not_candidates: {
      counts: { tried: 1 },
      nearest: [{ agent: 'desk-07', region: 'oslo', reason: 'tried' }],
    },
  };
  const hedged: ReceiptAnswer = {
    ...receipt,
    agent: 'desk-08',
    resumed: 0,
    why:
      'desk-07 was the only one that could take it at once. The first byte was late, and desk-08 ' +
      'was asked, too. desk-07 was told to stop: the other one was quicker.',
    attempts: [lost, won],
  };
  cli.answers({ [`GET ${at}`]: { body: hedged } });
  const two = await cli.transcript([`explain ${id}`]);
  const message = 'It does not exist or you have no access to it.';
  const type = 'invalid_request_error';
  const error = { message, type, param: null, code: 'not_found' };
  cli.answers({ [`GET ${at}`]: { status: 404, body: { error } } });
  const missing = await cli.transcript([`explain ${id}`, 'explain']);
  assertGolden('cli/explain.txt', whole + none + waiting + two + missing);
});

test('what waits or runs now is shown without its place', async () => {
  const one: ActiveRequestAnswer = {
    id,
    started_at: now,
    endpoint: 'chat',
    state: 'running',
    position: null,
    eta_ms: null,
    agent: 'desk-07',
    age_ms: 3456,
    stream: true,
    api_key_id: 'key_1',
  };
  const other: ActiveRequestAnswer = {
    ...one,
    state: 'waiting',
    position: 2,
    eta_ms: 900,
    agent: null,
  };
  const path = 'GET /api/v1/projects/default/requests/active';
  cli.answers({ [path]: { body: { data: [one, other], has_more: false } } });
  const some = await cli.transcript(['requests active']);
  cli.answers({ [path]: { body: { data: [], has_more: false } } });
  const none = await cli.transcript(['requests active']);
  assertGolden('cli/requests-active.txt', some + none);
});
