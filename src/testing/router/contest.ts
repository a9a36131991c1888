/**
 * Projects that contend for machines, in virtual time and through a real scheduler. A client keeps
 * some requests under way and sends the next one when one of them has ended. What each was served
 * is counted as S4 counts it: prompt and twice the answer, over the weight of the tier that served.
 */
import { seededRandom } from '../../lib/random.ts';
import { Scheduler } from '../../domain/scheduler/scheduler.ts';
import type {
  Dispatch,
  SchedulerEvent,
  UntimedEvent,
} from '../../domain/scheduler/schedulerEvents.ts';
import type { Usage } from '../../domain/scheduler/schedulerState.ts';
import type { TierSlug, TierTable } from '../../domain/tiers/tiers.ts';
import {
  agentEntry,
  endpointEntry,
  modelEntry,
  projectEntry,
  routedRequest,
} from './directoryEntries.ts';
import { unlimitedTiers } from './unlimitedTiers.ts';

/** A machine; of nobody: all share it. */
export interface Machine {
  projectId?: string;
  modelId?: string;
  slots?: number;
  /** That it carries; absent: the usual ones. */
  tiers?: readonly TierSlug[];
  /** How it fails whatever it is given, before the first byte; absent: it serves. */
  fails?: 'busy' | 'bad';
}

export interface Client {
  projectId: string;
  /** Requests that it keeps under way. */
  outstanding: number;
  /** Of each request, in turn. */
  modelIds?: readonly string[];
  tier?: TierSlug;
  /** When its shared agents open, ms after arrival. */
  afterMs?: number;
  tokens?: number;
  answerTokens?: number;
  serviceMs?: number;
  /** Between the end of one and the next. */
  thinkMs?: number;
  /** It sends for so long, then it does not for as long, ms; absent: always. */
  turnsMs?: number;
  /** When it comes, ms; absent: at once. */
  fromMs?: number;
  /** When it sends no more, ms; absent: never. */
  untilMs?: number;
  /**
   * What becomes of all its requests: `fails`, no agent gets to a first byte, and it is an agent's
   * fault as far as is seen; `refused`, the engine says no; `leaves`, the client is gone before it;
   * `fails_and_leaves`, the first agent fails, and the client is gone while the next one tries.
   */
  ends?: 'fails' | 'refused' | 'leaves' | 'fails_and_leaves';
  /** How long after its arrival the client of a request is gone, ms. */
  hangsUpMs?: number;
}

/** What a client got. */
export interface Got {
  served: number;
  /** Over the weights of tiers: what S4 bounds. */
  charged: number;
  refused: number;
  /** Times that a request of it was given to some agent. */
  dispatched: number;
}

/** From the claim to the first byte, or to a failure. */
const firstMs = 20;

export class Contest {
  readonly got: Record<string, Got> = {};
  readonly scheduler: Scheduler;
  private readonly clients: Record<string, Client>;
  private readonly tiers: TierTable;
  private readonly machines = new Map<string, Machine>();
  private readonly requests = new Map<string, string>();
  private readonly tried = new Set<string>();
  private readonly due: { atMs: number; order: number; run: () => void }[] = [];
  private order = 0;
  private asked = 0;
  private nowMs = 0;

  constructor(
    machines: readonly Machine[],
    clients: Record<string, Client>,
    { seed = 1, concurrentPerProject = 10_000 } = {},
  ) {
    this.clients = clients;
    const tiers = unlimitedTiers({ concurrentPerProject });
    this.tiers = tiers;
    this.scheduler = new Scheduler({ random: seededRandom(seed), config: { tiers } });
    for (const [n, machine] of machines.entries()) this.join(`agent${n}`, machine);
    for (const [name, { outstanding, turnsMs, fromMs = 0 }] of Object.entries(clients)) {
      this.got[name] = { served: 0, charged: 0, refused: 0, dispatched: 0 };
      for (let n = 0; n < outstanding; n += 1) this.after(fromMs + n, () => this.ask(name));
      if (turnsMs !== undefined && !(turnsMs > 0)) throw new Error('turns take time');
    }
  }

  /** Goes on for so long. */
  run(seconds: number): void {
    const untilMs = this.nowMs + seconds * 1000;
    for (;;) {
      const next = this.due[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.pop();
      this.nowMs = next.atMs;
      next.run();
    }
    this.nowMs = untilMs;
  }

  /** What each gets in so long, from now on. */
  share(seconds: number): Record<string, Got> {
    const before = structuredClone(this.got);
    this.run(seconds);
    const names = Object.keys(this.got);
    return Object.fromEntries(
      names.map((name) => {
        const [had, has] = [before[name] ?? none, this.got[name] ?? none];
        const less = (of: keyof Got): number => has[of] - had[of];
        const [served, charged] = [less('served'), less('charged')];
        return [
          name,
          { served, charged, refused: less('refused'), dispatched: less('dispatched') },
        ];
      }),
    );
  }

  /** S4: what a project may be ahead of another one by, of these clients on these machines. */
  bound(): number {
    const all = Object.values(this.clients);
    const slots = [...this.machines.values()]
      .filter(({ projectId, fails }) => projectId === undefined && fails === undefined)
      .reduce((sum, one) => sum + (one.slots ?? 1), 0);
    const longest = Math.max(...all.map(({ tokens = 1000 }) => tokens));
    const most = Math.max(...all.map(({ answerTokens = 100 }) => answerTokens));
    const { tiers } = this;
    const weight = Math.min(...all.map(({ tier = 'cpu_amd_optimized' }) => tiers[tier].priority));
    return (2 * Math.max(longest, 2 * slots * most)) / weight;
  }

  private join(agentId: string, machine: Machine): void {
    const { projectId = null, modelId = 'model_a', slots = 1, tiers } = machine;
    const carried = tiers === undefined ? {} : { effectiveTiers: tiers };
    this.machines.set(agentId, machine);
    this.send({ type: 'agent', entry: agentEntry({ id: agentId, projectId, ...carried }) });
    this.send({ type: 'join', agentId, nonce: 'n1' });
    const instances = [{ instance: 'i1', modelId, slots, abilities: [] }];
    this.send({ type: 'grant', agentId, nonce: 'n1', instances });
  }

  private ask(name: string): void {
    const client = this.clients[name];
    if (client === undefined) return;
    const { projectId, turnsMs, modelIds = ['model_a'], tokens = 1000 } = client;
    if (this.nowMs >= (client.untilMs ?? Infinity)) return;
    const restMs = turnsMs === undefined ? 0 : turnsMs - (this.nowMs % (2 * turnsMs));
    if (turnsMs !== undefined && restMs <= 0)
      return this.after(restMs + turnsMs, () => this.ask(name));
    this.asked += 1;
    const id = `request ${this.asked}`;
    this.requests.set(id, name);
    const { tier = 'cpu_amd_optimized', afterMs = 0, answerTokens = 100 } = client;
    const fallback = { enabled: true, afterMs, tier: null };
    const request = routedRequest({
      id,
      project: projectEntry({ id: projectId }),
      endpoint: endpointEntry({ id: `ep_${name}`, projectId, tier, fallback }),
      model: modelEntry({ id: modelIds[this.asked % modelIds.length] ?? 'model_a' }),
      bodyBytes: 4 * tokens,
      maxTokens: answerTokens,
    });
    this.send({ type: 'arrive', request });
    if (client.hangsUpMs !== undefined) this.after(client.hangsUpMs, () => this.hangUp(id));
  }

  private hangUp(requestId: string): void {
    this.send({ type: 'hang_up', requestId, outcome: 'client_closed' });
  }

  private again(name: string): void {
    this.after(this.clients[name]?.thinkMs ?? 1, () => this.ask(name));
  }

  private send(event: UntimedEvent): void {
    const commands = this.scheduler.handle({ ...event, atMs: this.nowMs } as SchedulerEvent);
    for (const command of commands) {
      if (command.type === 'set_timer') this.after(command.atMs - this.nowMs, () => this.tick());
      if (command.type === 'dispatch') this.serve(command);
      if (command.type !== 'reject') continue;
      const name = this.requests.get(command.requestId) ?? '';
      this.requests.delete(command.requestId);
      this.tried.delete(command.requestId);
      this.of(name).refused += 1;
      this.again(name);
    }
  }

  private tick(): void {
    this.send({ type: 'tick' });
  }

  private serve({ requestId, agentId, claim, tier, shared }: Dispatch): void {
    const name = this.requests.get(requestId) ?? '';
    const client = this.clients[name];
    const machine = this.machines.get(agentId);
    if (client === undefined || machine === undefined) return;
    this.of(name).dispatched += 1;
    const { tokens = 1000, answerTokens = 100, serviceMs = 500, ends } = client;
    const charge = (amount: number): void => {
      if (shared) this.of(name).charged += amount / this.tiers[tier].priority;
    };
    const isFirst = !this.tried.has(requestId);
    if (
      machine.fails !== undefined ||
      ends === 'fails' ||
      (ends === 'fails_and_leaves' && isFirst)
    ) {
      this.tried.add(requestId);
      const how = machine.fails === 'busy' ? { blameless: true } : ({ health: 'bad' } as const);
      const failed = { type: 'failed', claim, slotFree: true, ...how } as const;
      return this.after(ends === undefined ? firstMs : serviceMs, () => this.send(failed));
    }
    if (ends !== undefined) {
      const usage = ends === 'refused' ? { input: 0, output: 0 } : undefined;
      return this.after(firstMs, () => this.end(requestId, { claim, usage }));
    }
    charge(tokens);
    this.after(Math.min(firstMs, serviceMs), () => this.send({ type: 'first_byte', claim }));
    this.after(serviceMs, () => {
      charge(2 * answerTokens);
      if (shared) this.of(name).served += 1;
      const usage = { input: tokens, cached: 0, output: answerTokens };
      this.end(requestId, { claim, usage });
    });
  }

  private end(requestId: string, how: { claim: number; usage: Usage | undefined }): void {
    const name = this.requests.get(requestId) ?? '';
    this.requests.delete(requestId);
    this.tried.delete(requestId);
    this.send({ type: 'end', slotFree: true, health: 'good', ...how });
    this.again(name);
  }

  private of(name: string): Got {
    return (this.got[name] ??= { served: 0, charged: 0, refused: 0, dispatched: 0 });
  }

  private after(ms: number, run: () => void): void {
    this.order += 1;
    const one = { atMs: this.nowMs + Math.max(0, ms), order: this.order, run };
    let at = this.due.length;
    while (at > 0 && (this.due[at - 1]?.atMs ?? 0) > one.atMs) at -= 1;
    this.due.splice(at, 0, one);
  }

  private pop(): void {
    this.due.shift();
  }
}

const none: Got = { served: 0, charged: 0, refused: 0, dispatched: 0 };
