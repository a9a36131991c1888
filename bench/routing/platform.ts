/**
 * The platform as it is run, in one process: server, control plane, database and router, agents
 * with links over real sockets, and one engine before each.
 *
 *     client ──▶ server, router ─link─▶ agent ──▶ modelEngine   (× machines)
 */
import http from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Clock } from '../../src/lib/clock.ts';
import type { Scheduler } from '../../src/domain/scheduler/scheduler.ts';
import type { SchedulerOptions } from '../../src/domain/scheduler/schedulerConfig.ts';
import type { Machine } from '../../src/sim/fleetSpec.ts';
import { maxSequences } from '../../src/sim/limits.ts';
import type { TraceRequest } from '../../src/sim/traces/traceRequest.ts';
import { openPlatformHarness, type PlatformHarness } from '../../src/testing/http/httpHarness.ts';
import { startAgent, type TestAgent } from '../../src/testing/links/testAgent.ts';
import { unlimitedTiers } from '../../src/testing/router/unlimitedTiers.ts';
import { until } from '../../src/testing/until.ts';
import { ModelEngine } from './modelEngine.ts';

/** Rules that bind on arrival are not held back by slots. */
const slots = { waits: maxSequences, binds: 4096 } as const;
const long = 3_600_000;
const tiers = unlimitedTiers({
  concurrentPerProject: 100_000,
  requestTimeoutMs: long,
  idleStreamTimeoutMs: long,
});
const much = { burst: 1_000_000, perSecond: 1_000_000 };
const withoutBound = {
  sign_in: much,
  nonce: much,
  enroll: much,
  refresh: much,
  link: much,
  change: much,
};

export interface Target {
  port: number;
  path: string;
  key: string;
  connections: http.Agent;
}

export class Platform {
  readonly target: Target;
  private readonly harness: PlatformHarness;
  private readonly engines: ModelEngine[];
  private readonly agents: TestAgent[];
  private readonly directory: string;

  static async open(options: {
    machines: readonly Machine[];
    requests: readonly TraceRequest[];
    clock: Clock;
    binds: keyof typeof slots;
    makeScheduler: (options: SchedulerOptions) => Scheduler;
  }): Promise<Platform> {
    const { machines, requests, clock, binds, makeScheduler } = options;
    const harness = await openPlatformHarness({
      limits: { perAddress: withoutBound },
      router: { tiers, firstByteMs: long, stallMs: long },
      clock,
      makeScheduler,
    });
    const directory = await mkdtemp(path.join(tmpdir(), 'xim-routing-'));
    const engines: ModelEngine[] = [];
    const agents: TestAgent[] = [];
    for (const [place, { slowness }] of machines.entries()) {
      const engine = new ModelEngine({ slowness, clock, requests });
      engines.push(engine);
      const wish = { supportedTiers: ['free'], name: `machine-${place}` };
      const { control, admin: caller } = harness;
      const made = await control.createJoinKey({ caller, owner: { kind: 'platform' }, wish });
      if (!made.ok) throw new Error(made.reason);
      const at = { serverUrl: harness.base, engineUrl: await engine.listen() };
      const stateDir = path.join(directory, `agent-${place}`);
      // Closed below, in its order.
      const ends = { after: () => {} };
      agents.push(
        startAgent(ends, { ...at, stateDir, clock, joinKey: made.text, slots: slots[binds] }),
      );
    }
    const target = await openEndpoint(harness);
    const granted = (): number => harness.router.agents().reduce((sum, one) => sum + one.slots, 0);
    await until(() => granted() === machines.length * slots[binds], { timeoutMs: 60_000 });
    return new Platform({ harness, engines, agents, directory, target });
  }

  private constructor(parts: {
    harness: PlatformHarness;
    engines: ModelEngine[];
    agents: TestAgent[];
    directory: string;
    target: Omit<Target, 'connections'>;
  }) {
    this.harness = parts.harness;
    this.engines = parts.engines;
    this.agents = parts.agents;
    this.directory = parts.directory;
    this.target = { ...parts.target, connections: new http.Agent({ keepAlive: true }) };
  }

  async close(): Promise<void> {
    this.target.connections.destroy();
    for (const agent of this.agents) await agent.stop();
    for (const engine of this.engines) engine.close();
    await this.harness.close();
    await rm(this.directory, { recursive: true, force: true });
  }
}

async function openEndpoint(harness: PlatformHarness): Promise<Omit<Target, 'connections'>> {
  const { control, admin: caller, credentials, port, router } = harness;
  const { id: projectId } = credentials.project;
  const modelId = router.directory.endpoint(projectId, 'own')?.modelId ?? '';
  const wish = { slug: 'bench', modelId, tier: 'free' };
  const made = await control.createEndpoint({ caller, project: 'default', wish });
  if (!made.ok) throw new Error(made.reason);
  await until(() => router.directory.endpoint(projectId, 'bench') !== undefined);
  return { port, path: '/default/bench/v1/chat/completions', key: credentials.apiKey };
}
