/**
 * A published rule as a router: an order says who is next, the rule says where, and an instance
 * takes requests up to a cap. Without a cap every request is bound when it arrives and nothing
 * waits here.
 */
import { blockTokens } from './limits.ts';
import type { Order } from './orders/order.ts';
import { InstanceAccount, type Dispatched } from './policies/instanceAccount.ts';
import type { Policy } from './policies/policy.ts';
import type {
  ArrivedRequest,
  RouterCommand,
  RouterEvent,
  SimulatedRouter,
  Usage,
} from './routerPort.ts';

export class PolicyRouter implements SimulatedRouter {
  private readonly policy: Policy;
  private readonly order: Order;
  private readonly inFlightCap: number;
  private readonly accounts = new Map<number, InstanceAccount>();
  private readonly waiting = new Map<number, ArrivedRequest>();
  private readonly dispatched = new Map<number, Dispatched>();
  private commands: RouterCommand[] = [];
  private nowMs = 0;

  constructor(options: {
    policy: Policy;
    order: Order;
    /** Requests without an end that an instance may have; Infinity: any number. */
    inFlightCap: number;
  }) {
    this.policy = options.policy;
    this.order = options.order;
    this.inFlightCap = options.inFlightCap;
  }

  handle(event: RouterEvent): readonly RouterCommand[] {
    this.commands = [];
    this.nowMs = event.atMs;
    this.apply(event);
    this.drain();
    return this.commands;
  }

  private apply(event: RouterEvent): void {
    switch (event.type) {
      case 'join':
        return this.join(new InstanceAccount(event.instance, { blockTokens }));
      case 'leave':
        return this.leave(event.instance);
      case 'arrive':
        return this.wait(event.request);
      case 'first_byte':
        return this.firstByte(event.request);
      case 'end':
        return this.end(event.request, event.usage);
      case 'failed':
        return this.retry(event.request);
      case 'hang_up':
        return this.hangUp(event.request);
      case 'heartbeat':
      case 'tick':
        return undefined;
    }
  }

  private join(account: InstanceAccount): void {
    this.accounts.set(account.facts.id, account);
  }

  private leave(instance: number): void {
    const account = this.accounts.get(instance);
    this.accounts.delete(instance);
    if (account !== undefined) this.policy.left?.(account);
  }

  private wait(request: ArrivedRequest): void {
    this.waiting.set(request.id, request);
    this.order.add(request, this.nowMs);
  }

  private firstByte(id: number): void {
    const dispatched = this.dispatched.get(id);
    if (dispatched === undefined) return;
    dispatched.account.firstByte(dispatched);
    this.policy.firstByte?.(dispatched, this.nowMs);
  }

  private end(id: number, usage: Usage): void {
    const dispatched = this.release(id);
    if (dispatched !== undefined) this.order.ended?.(dispatched.request, usage);
  }

  private retry(id: number): void {
    const dispatched = this.release(id);
    if (dispatched !== undefined) this.wait(dispatched.request);
  }

  private hangUp(id: number): void {
    const request = this.waiting.get(id);
    if (request === undefined) this.release(id);
    else {
      this.waiting.delete(id);
      this.order.remove(request);
    }
  }

  private release(id: number): Dispatched | undefined {
    const dispatched = this.dispatched.get(id);
    if (dispatched === undefined) return undefined;
    this.dispatched.delete(id);
    dispatched.account.end(dispatched);
    this.policy.ended?.(dispatched, this.nowMs);
    return dispatched;
  }

  private drain(): void {
    while (this.order.size > 0) {
      const candidates = this.candidates();
      if (candidates.length === 0) return;
      const request = this.order.next();
      if (request === undefined) return;
      this.waiting.delete(request.id);
      this.dispatch(request, this.policy.choose(request, candidates, this.nowMs));
    }
  }

  private candidates(): InstanceAccount[] {
    return [...this.accounts.values()].filter(({ inFlight }) => inFlight < this.inFlightCap);
  }

  private dispatch(request: ArrivedRequest, account: InstanceAccount): void {
    const predicted = this.policy.predict?.(request, account, this.nowMs);
    const dispatched = account.dispatch(request);
    this.dispatched.set(request.id, dispatched);
    this.policy.dispatched?.(dispatched, this.nowMs);
    this.commands.push({
      type: 'dispatch',
      request: request.id,
      instance: account.facts.id,
      predicted,
    });
  }
}
