/** `xim agents health`. */
import { after, before, test } from 'node:test';
import type { AgentHealthAnswer } from '../../api/control/agentHealth.ts';
import { systemClock } from '../../lib/clock.ts';
import {
  cliNow as now,
  openCliHarness,
  type CliHarness,
} from '../../testing/processes/cliHarness.ts';
import { assertGolden } from '../../testing/golden.ts';
import { serverCommands } from '../commands.ts';

const agentId = '0a8d4f63-6f43-4b1a-9f4f-3f2f7b0f6a11';
const at = `/api/v1/projects/default/agents/${agentId}/health`;
let cli: CliHarness;

before(async () => {
  cli = await openCliHarness(serverCommands, { ...systemClock, now: () => Date.parse(now) });
});
after(() => cli.close());

const silent = {
  in_flight: null,
  slots: null,
  waiting: null,
  tokens_per_second: null,
  prompt_tokens_per_second: null,
  kv_cache_use: null,
  accelerator_use: null,
  accelerator_memory_used_bytes: null,
  accelerator_memory_total_bytes: null,
  temperature_c: null,
  disk_free_bytes: null,
  disk_total_bytes: null,
  memory_available_bytes: null,
  memory_total_bytes: null,
};

const busy = {
  ...silent,
  in_flight: 2,
  slots: 8,
  waiting: 0,
  tokens_per_second: 41.5,
  kv_cache_use: 0.42,
  accelerator_use: 0.855,
  accelerator_memory_used_bytes: 40e9,
  accelerator_memory_total_bytes: 48e9,
  temperature_c: 66,
  disk_free_bytes: 1.2e12,
  disk_total_bytes: 2e12,
  memory_available_bytes: 200e9,
  memory_total_bytes: 256e9,
};

const engine = {
  instance: 'engine-1',
  model_id: 'mdl_1',
  model: 'Qwen3-8B',
  engine: 'vllm',
  running: 2,
  waiting: 0,
  tokens_per_second: 41.5,
  prompt_tokens_per_second: null,
  kv_cache_use: 0.42,
  metrics: { 'vllm:num_requests_running': 2 },
};

const linked: AgentHealthAnswer = {
  agent_id: agentId,
  state: 'active',
  now: {
    at: '2026-03-01T11:59:57.000Z',
    ...busy,
    resident_bytes: 61e6,
    accelerators: [
      {
        name: 'NVIDIA L40S',
        memory_used_bytes: 40e9,
        memory_total_bytes: 48e9,
        utilization: 0.855,
        temperature_c: 66,
        power_w: null,
      },
    ],
    engines: [engine, { ...engine, instance: 'engine-2', model: null, model_id: null }],
  },
  samples: [
    {
      at: '2026-02-28T12:05:00.000Z',
      ...silent,
      in_flight: 0.25,
      waiting: 0,
      disk_free_bytes: 9e11,
    },
    { at: '2026-03-01T11:55:00.000Z', ...busy, in_flight: 5.75, waiting: 3, temperature_c: 81 },
  ],
};

test('an agent that is worn out and looks well, or of which too much is said', async () => {
  const [sample] = linked.samples;
  cli.answers({ [`GET ${at}`]: { body: linked } });
  const shown = await cli.transcript([`agents health ${agentId}`]);
  const away = { ...linked, state: 'disconnected', now: null, samples: [sample] };
  cli.answers({ [`GET ${at}`]: { body: away } });
  const gone = await cli.transcript([`agents health ${agentId}`]);
  cli.answers({ [`GET ${at}`]: { body: { ...away, samples: [] } } });
  const unknown = await cli.transcript([
    `agents health ${agentId}`,
    `agents health ${agentId} -o json`,
  ]);
  assertGolden('cli/agents-health.txt', [shown, gone, unknown].join('\n'));
});
