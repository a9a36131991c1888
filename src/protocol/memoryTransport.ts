/**
 * A link's transport without a network: two ends in one process, whose faults the simulation owns.
 *
 * What a WebSocket promises holds here too: messages arrive whole, once, and in their order, until
 * the connection ends. The faults are those of real ones: delay, a direction that swallows
 * everything (a half-open connection), a cut. `reorder` alone breaks the promise, to prove that
 * nobody survives on luck.
 */
import type { Clock } from '../lib/clock.ts';
import type { Transport, TransportHandlers } from './link.ts';

/** One direction of the pair. */
export interface MemoryDirection {
  /** Delay of the next messages, in ms; 0 = at the end of this turn of the event loop. */
  delayMs: (message: Buffer) => number;
  /** Let a later message with a smaller delay overtake. */
  reorder: boolean;
  /** Hold messages back until `release`: what a stopped reader looks like to the sender. */
  hold(): void;
  release(): void;
  /** Swallow messages from now on: a half-open connection. */
  swallow(): void;
  /** Changes what goes through; return undefined to lose it. */
  tamper: ((message: Buffer) => Buffer | undefined) | undefined;
  /** Messages delivered so far. */
  readonly delivered: number;
}

export interface MemoryPair {
  router: Transport;
  agent: Transport;
  /** Agent → router. */
  towardsRouter: MemoryDirection;
  /** Router → agent. */
  towardsAgent: MemoryDirection;
  /** Ends the connection as a pulled cable that both ends notice. */
  cut(): void;
}

/** A connected pair. `clock` is needed only where a direction has a delay. */
export function createMemoryPair(options: { clock?: Clock } = {}): MemoryPair {
  const router = new MemoryEnd(options.clock);
  const agent = new MemoryEnd(options.clock);
  router.other = agent;
  agent.other = router;
  return {
    router,
    agent,
    towardsRouter: agent.direction,
    towardsAgent: router.direction,
    cut() {
      router.cut();
      agent.cut();
    },
  };
}

interface Flight {
  kind: 'message' | 'close';
  message: Buffer;
  code: number;
  due: boolean;
  /** The network has not taken it: the direction was held when it was sent. */
  unsent: boolean;
}

class Direction implements MemoryDirection {
  delayMs: (message: Buffer) => number = () => 0;
  reorder = false;
  tamper: ((message: Buffer) => Buffer | undefined) | undefined;
  delivered = 0;
  flights: Flight[] = [];
  unsentBytes = 0;
  swallowing = false;
  private held = false;
  private readonly clock: Clock | undefined;
  private readonly deliver: (flight: Flight) => void;

  constructor(clock: Clock | undefined, deliver: (flight: Flight) => void) {
    this.clock = clock;
    this.deliver = deliver;
  }

  hold(): void {
    this.held = true;
  }

  release(): void {
    this.held = false;
    setImmediate(() => this.pump());
  }

  swallow(): void {
    this.swallowing = true;
  }

  send(what: Pick<Flight, 'kind' | 'message' | 'code'>): void {
    const flight: Flight = { ...what, due: false, unsent: this.held };
    this.flights.push(flight);
    if (flight.unsent) this.unsentBytes += flight.message.length;
    const delayMs = this.delayMs(flight.message);
    const arrive = (): void => {
      flight.due = true;
      this.pump();
    };
    if (delayMs > 0 && this.clock !== undefined) this.clock.setTimer(delayMs, arrive);
    else setImmediate(arrive);
  }

  drop(): void {
    this.flights = [];
    this.unsentBytes = 0;
  }

  private pump(): void {
    while (!this.held) {
      const at = this.reorder ? this.flights.findIndex((flight) => flight.due) : 0;
      const flight = this.flights[at];
      if (flight === undefined || !flight.due) return;
      this.flights.splice(at, 1);
      if (flight.unsent) this.unsentBytes -= flight.message.length;
      this.deliver(flight);
    }
  }
}

class MemoryEnd implements Transport {
  handlers: TransportHandlers | undefined;
  other: MemoryEnd | undefined;
  readonly direction: Direction;
  private state: 'open' | 'closing' | 'closed' = 'open';

  constructor(clock: Clock | undefined) {
    this.direction = new Direction(clock, (flight) => this.arrive(flight));
  }

  send(message: Buffer): void {
    if (this.state !== 'open') return;
    this.direction.send({ kind: 'message', message, code: 0 });
  }

  bufferedBytes(): number {
    return this.direction.unsentBytes;
  }

  close(code: number, reason: string): void {
    if (this.state !== 'open') return;
    this.state = 'closing';
    this.direction.send({ kind: 'close', message: Buffer.from(reason), code });
  }

  terminate(): void {
    if (this.state === 'closed') return;
    const { other } = this;
    this.cut();
    // The other end learns of it as of any cut: later, and without a word.
    setImmediate(() => other?.cut());
  }

  cut(): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.direction.drop();
    const { handlers } = this;
    setImmediate(() => handlers?.onClose(1006, ''));
  }

  /** A message of this end reaches the other one. */
  private arrive(flight: Flight): void {
    const { direction, other } = this;
    if (other === undefined || other.state === 'closed' || direction.swallowing) return;
    direction.delivered += 1;
    if (flight.kind === 'close') other.closedByPeer(flight.code, flight.message.toString('utf8'));
    else {
      const message = direction.tamper ? direction.tamper(flight.message) : flight.message;
      if (message !== undefined) other.handlers?.onMessage(message);
    }
    if (flight.unsent) this.handlers?.onDrain();
  }

  private closedByPeer(code: number, reason: string): void {
    const answered = this.state === 'closing';
    this.state = 'closed';
    this.direction.drop();
    this.handlers?.onClose(code, reason);
    // The answer to a close ends the connection for its sender too.
    if (!answered) this.other?.closeAnswered(code);
  }

  private closeAnswered(code: number): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.direction.drop();
    this.handlers?.onClose(code, '');
  }
}
