/**
 * The real scheduler under a published rule: it binds on arrival, whatever an instance has to do
 * already, and by the rule's own account of each instance. All else is the product's.
 */
import { Scheduler } from '../../src/domain/scheduler/scheduler.ts';
import type { SchedulerOptions } from '../../src/domain/scheduler/schedulerConfig.ts';
import type { Choice } from '../../src/domain/scheduler/choice.ts';
import type {
  SchedulerCommand,
  SchedulerEvent,
} from '../../src/domain/scheduler/schedulerEvents.ts';
import {
  measureFor,
  type EngineInstance,
  type WaitingRequest,
} from '../../src/domain/scheduler/schedulerState.ts';
import { kvTokens } from '../../src/sim/limits.ts';
import { InstanceAccount, type Dispatched } from '../../src/sim/policies/instanceAccount.ts';
import { policies } from '../../src/sim/policies/policies.ts';
import type { Policy } from '../../src/sim/policies/policy.ts';
import type { PublishedName } from '../../src/sim/policies/policyNames.ts';
import type { ArrivedRequest } from '../../src/sim/routerPort.ts';

/** Of a prompt's block, as the router cuts it. */
const blockTokens = 256;

export class RuleScheduler extends Scheduler {
  private readonly policy: Policy;
  private readonly accounts = new Map<EngineInstance, InstanceAccount>();
  private readonly byClaim = new Map<number, Dispatched>();
  /** The choice that the next dispatch carries out. */
  private chosen: { request: ArrivedRequest; account: InstanceAccount } | null = null;
  private atMs = 0;

  constructor(options: SchedulerOptions, rule: PublishedName) {
    super(options);
    this.policy = policies[rule]({ random: options.random });
  }

  override handle(event: SchedulerEvent): SchedulerCommand[] {
    this.atMs = event.atMs;
    if (event.type === 'first_byte') this.firstByte(event.claim);
    if (event.type === 'end' || event.type === 'failed') this.over(event.claim);
    const commands = super.handle(event);
    for (const command of commands) {
      if (command.type !== 'dispatch' || this.chosen === null) continue;
      const dispatched = this.chosen.account.dispatch(this.chosen.request);
      this.byClaim.set(command.claim, dispatched);
      this.policy.dispatched?.(dispatched, this.atMs);
      this.chosen = null;
    }
    return commands;
  }

  protected override choose(waiting: WaitingRequest): Choice | null {
    const { request } = waiting;
    for (const stage of waiting.stages) {
      const pools = this.fleet.pools.of(request, stage);
      const instances = pools.flatMap((pool) => [...pool.instances]);
      const free = instances.filter(({ inFlight, slots }) => inFlight < slots);
      const candidates = free.map((instance) => this.accountOf(instance));
      const [first] = free;
      if (first === undefined) continue;
      const { blocks = [] } = request.prompt ?? {};
      // All agents of a benchmark count alike.
      const { prompt: inputTokens } = measureFor(waiting, first).tokens;
      const asked = { id: 0, tenant: waiting.projectId, inputTokens, blocks, blockTokens };
      const account = this.policy.choose(asked, candidates, this.atMs);
      const instance = free[candidates.indexOf(account)];
      if (instance === undefined) continue;
      this.chosen = { request: asked, account };
      return { instance, stage, decision: null };
    }
    return null;
  }

  private accountOf(instance: EngineInstance): InstanceAccount {
    const known = this.accounts.get(instance);
    if (known !== undefined) return known;
    const facts = { id: this.accounts.size, hardware: 'A100', slots: instance.slots, kvTokens };
    const account = new InstanceAccount(facts, { blockTokens });
    this.accounts.set(instance, account);
    return account;
  }

  private firstByte(claim: number): void {
    const dispatched = this.byClaim.get(claim);
    if (dispatched === undefined) return;
    dispatched.account.firstByte(dispatched);
    this.policy.firstByte?.(dispatched, this.atMs);
  }

  private over(claim: number): void {
    const dispatched = this.byClaim.get(claim);
    if (dispatched === undefined) return;
    this.byClaim.delete(claim);
    dispatched.account.end(dispatched);
    this.policy.ended?.(dispatched, this.atMs);
  }
}
