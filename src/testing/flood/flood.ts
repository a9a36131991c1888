/**
 * One project floods, another one goes on as before: server, agents and engines are processes, the
 * engines answer in a time of their own, and all requests come by HTTP from here.
 */
import http from 'node:http';
import path from 'node:path';
import { defaultModel } from '../../agent/models/defaultModel.ts';
import { sleep, systemClock } from '../../lib/clock.ts';
import { randomInt, seededRandom, type Random } from '../../lib/random.ts';
import { spreadOf } from '../../sim/spread.ts';
import { exponential } from '../../sim/traces/draws.ts';
import { joinAgent, signInAdmin } from '../processes/agentProcess.ts';
import {
  endLeftovers,
  repository,
  startProcess,
  type RunningProcess,
} from '../processes/processes.ts';
import {
  startServerProcess,
  temporaryDirectory,
  type ServerProcess,
} from '../processes/serverProcess.ts';

export interface FloodPlan {
  seed: number;
  /** How long each of the two phases sends, in s. */
  seconds: number;
  /** Requests a second of the project that goes on, and of the one that floods in either phase. */
  steadyPerS: number;
  calmPerS: number;
  floodPerS: number;
}

/** One phase. Times in ms. */
export interface FloodPhase {
  steady: { sent: number; failed: number; ttft_p50: number; ttft_p99: number };
  flooder: { sent: number; done: number; ttft_p50: number };
  /** Answers of both that ended, for each second of the phase. */
  answers_per_s: number;
}

export interface FloodReport {
  calm: FloodPhase;
  flood: FloodPhase;
}

const agents = 2;
const slots = 4;
/** Of an answer; drawn, so that not all slots are free at one time. */
const chunks = { least: 10, most: 30 } as const;
const tickMs = 25;
const free = { tokensPerMinute: null, requestsPerMinute: null, concurrentPerProject: 500 };

interface Project {
  key: string;
  path: string;
}

interface Stage {
  server: ServerProcess;
  steady: Project;
  flooder: Project;
}

export async function runFlood(plan: FloodPlan): Promise<FloodReport> {
  const base = await temporaryDirectory('flood');
  const processes: RunningProcess[] = [];
  try {
    const stage = await openStage(base.path, processes);
    const { calmPerS, floodPerS } = plan;
    const calm = await phase(stage, plan, { flooderPerS: calmPerS, seed: plan.seed });
    const flood = await phase(stage, plan, { flooderPerS: floodPerS, seed: plan.seed });
    return { calm, flood };
  } finally {
    for (const one of processes.toReversed()) await one.end();
    // An agent that did not join is none of them yet.
    endLeftovers();
    await base.remove();
  }
}

async function openStage(directory: string, processes: RunningProcess[]): Promise<Stage> {
  const server = await startServerProcess({
    dataDir: path.join(directory, 'data'),
    args: ['--no-agent', '--tiers', JSON.stringify({ free })],
  });
  processes.push(server);
  const call = await signInAdmin(server);
  const [model] = (await call('GET', 'platform/models'))['data'] as { id: string }[];
  const project = async (slug: string): Promise<Project> => {
    await call('POST', 'projects', { name: slug, slug });
    const endpoint = { slug: 'chat', model_id: model?.id, tier: 'free' };
    await call('POST', `projects/${slug}/endpoints`, endpoint);
    const key = { name: 'flood', scopes: ['inference'] };
    const made = await call('POST', `projects/${slug}/api-keys`, key);
    return { key: made['key'] as string, path: `/${slug}/chat/v1/chat/completions` };
  };
  const projects = { steady: await project('steady'), flooder: await project('flooder') };
  // Agents are asked to load what endpoints need.
  for (let place = 0; place < agents; place += 1) {
    const engine = startEngine();
    processes.push(engine);
    const [line] = await engine.seen(/^\{.*\}$/m);
    const { url: engineUrl } = JSON.parse(line) as { url: string };
    const stateDir = path.join(directory, `agent-${place}`);
    const flags = ['--slots', `${slots}`];
    const wish = { name: `machine-${place}`, supported_tiers: ['free'] };
    const key = (await call('POST', 'platform/join-keys', wish))['key'] as string;
    processes.push(await joinAgent(server, { stateDir, engineUrl, flags, key }));
  }
  return { server, ...projects };
}

function startEngine(): RunningProcess {
  const entry = path.join(repository, 'src', 'testing', 'engines', 'fakeEngine.ts');
  const how = ['--tick-ms', `${tickMs}`, '--models', defaultModel.name];
  return startProcess(process.execPath, [entry, '--port', '0', ...how]);
}

interface Answered {
  ttftMs: number;
  isWhole: boolean;
}

async function phase(
  stage: Stage,
  { seconds, steadyPerS }: FloodPlan,
  how: { flooderPerS: number; seed: number },
): Promise<FloodPhase> {
  const { port } = new URL(stage.server.credentials().server);
  const connections = new http.Agent({ keepAlive: true });
  const to = { port: Number(port), connections };
  const beganAtMs = systemClock.monotonic();
  const [steady, flooder] = await Promise.all([
    sendAll({ ...to, ...stage.steady }, { seconds, perS: steadyPerS, seed: how.seed }),
    sendAll({ ...to, ...stage.flooder }, { seconds, perS: how.flooderPerS, seed: how.seed + 1 }),
  ]);
  const tookS = (systemClock.monotonic() - beganAtMs) / 1_000;
  connections.destroy();
  const whole = (answers: Answered[]): Answered[] => answers.filter(({ isWhole }) => isWhole);
  const ttft = (answers: Answered[]) => spreadOf(whole(answers).map(({ ttftMs }) => ttftMs));
  const none = Number.NaN;
  return {
    steady: {
      sent: steady.length,
      failed: steady.length - whole(steady).length,
      ttft_p50: ttft(steady).p50 ?? none,
      ttft_p99: ttft(steady).p99 ?? none,
    },
    flooder: {
      sent: flooder.length,
      done: whole(flooder).length,
      ttft_p50: ttft(flooder).p50 ?? none,
    },
    answers_per_s: (whole(steady).length + whole(flooder).length) / tookS,
  };
}

type Target = Project & { port: number; connections: http.Agent };

/** Poisson arrivals, whatever has become of those before. */
async function sendAll(
  target: Target,
  how: { seconds: number; perS: number; seed: number },
): Promise<Answered[]> {
  const random: Random = seededRandom(how.seed);
  const beganAtMs = systemClock.monotonic();
  const answers: Promise<Answered>[] = [];
  let atMs = 0;
  for (;;) {
    atMs += (exponential(random) / how.perS) * 1_000;
    if (atMs > how.seconds * 1_000) return Promise.all(answers);
    const inMs = beganAtMs + atMs - systemClock.monotonic();
    if (inMs > 0) await sleep(systemClock, inMs);
    const { least, most } = chunks;
    answers.push(send(target, least + randomInt(random, most - least + 1)));
  }
}

/** Never rejects. */
function send(target: Target, length: number): Promise<Answered> {
  const { port, path: where, key, connections: agent } = target;
  const messages = [{ role: 'user', content: `fake:${JSON.stringify({ chunks: length })}` }];
  const body = JSON.stringify({ stream: true, messages });
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const sentAtMs = systemClock.monotonic();
  return new Promise((resolve) => {
    const answered: Answered = { ttftMs: Infinity, isWhole: false };
    const over = (): void => resolve(answered);
    const options = { method: 'POST', port, path: where, headers, agent };
    const outgoing = http.request(options, (incoming) => {
      incoming.on('data', (piece: Buffer) => {
        const sinceMs = systemClock.monotonic() - sentAtMs;
        answered.ttftMs = Math.min(answered.ttftMs, sinceMs);
        answered.isWhole ||= piece.includes('[DONE]');
      });
      incoming.on('end', over);
      incoming.on('error', over);
    });
    outgoing.on('error', over);
    outgoing.end(body);
  });
}
