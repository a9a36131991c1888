/** A real agent with a real url engine before a fake engine, in a state directory of its own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { createAgent, type Agent, type AgentEnd } from '../../agent/agent.ts';
import type { AgentConfig } from '../../agent/agentConfig.ts';
import type { AgentEvent } from '../../agent/agentEvent.ts';
import type { AgentLog } from '../../agent/linking/agentLog.ts';
import type { ModelEnsurer } from '../../agent/engines/engine.ts';
import { UrlEngine } from '../../agent/engines/url.ts';
import { parseEngineUrl } from '../../agent/engines/urlAddress.ts';
import { systemClock, type Clock } from '../../lib/clock.ts';
import { silentLogger, type Logger } from '../../lib/log.ts';
import { systemRandom } from '../../lib/random.ts';

export interface TestAgent {
  agent: Agent;
  events: AgentEvent[];
  ended: Promise<AgentEnd>;
  /** Writes a line as its engine's output. */
  engineLine: AgentLog['engineLine'];
  /** Cuts everything at once. */
  stop(): Promise<AgentEnd>;
}

export interface TestAgentOptions extends Partial<AgentConfig> {
  serverUrl: string;
  engineUrl: string;
  stateDir: string;
  slots?: number;
  clock?: Clock;
  log?: Logger;
  /** Takes the place of the engine's `run`: for adapters that are broken. */
  run?: UrlEngine['run'];
  /** Models come as files first, as for an engine that loads them itself. */
  models?: ModelEnsurer;
}

/** A directory that is gone after the test. */
export async function stateDirectory(t: Pick<TestContext, 'after'>): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), 'xim-agent-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Starts the agent; it is stopped after the test. */
export function startAgent(t: Pick<TestContext, 'after'>, options: TestAgentOptions): TestAgent {
  const { engineUrl, slots = 4, clock = systemClock, log = silentLogger, ...rest } = options;
  const { run, models = null, ...config } = rest;
  const address = parseEngineUrl(engineUrl);
  if (address.kind !== 'ok') throw new Error(address.message);
  const events: AgentEvent[] = [];
  let engineLine: AgentLog['engineLine'] = () => {};
  const agent = createAgent({
    config: {
      pin: null,
      joinKey: null,
      name: null,
      agentVersion: '0.1.0',
      storageLimitBytes: null,
      ...config,
    },
    createEngine: (parts) => {
      engineLine = parts.engineLine;
      const engine = new UrlEngine({
        address: address.address,
        apiKey: null,
        serve: new Map(),
        slots,
        clock,
        random: systemRandom,
        log: parts.log,
      });
      if (run !== undefined) Object.assign(engine, { run });
      return models === null ? engine : Object.assign(engine, { needsFiles: true });
    },
    models,
    clock,
    random: systemRandom,
    log,
    onEvent: (event) => events.push(event),
  });
  const cut = new AbortController();
  const ended = agent.run(cut.signal);
  const stop = (): Promise<AgentEnd> => {
    cut.abort();
    return ended;
  };
  t.after(() => stop());
  return { agent, events, ended, engineLine: (level, text) => engineLine(level, text), stop };
}
