/**
 * What happens next in virtual time: a binary heap of calls by time, at one time in the order in
 * which they were asked for, so that a seed repeats a run.
 */
export class EventQueue {
  private times: number[] = [];
  private orders: number[] = [];
  private calls: (() => void)[] = [];
  private asked = 0;
  /** The time of the last call, in ms. */
  nowMs = 0;

  /** Asks for a call; a time in the past is now. */
  at(atMs: number, call: () => void): void {
    const { times, orders, calls } = this;
    const time = Math.max(atMs, this.nowMs);
    this.asked += 1;
    let hole = times.length;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      // One that is asked for later never goes before an equal one.
      if ((times[parent] as number) <= time) break;
      this.move(parent, hole);
      hole = parent;
    }
    times[hole] = time;
    orders[hole] = this.asked;
    calls[hole] = call;
  }

  /** Makes the next call; false: there is none. */
  runNext(): boolean {
    const { times, orders, calls } = this;
    const [call] = calls;
    if (call === undefined) return false;
    this.nowMs = times[0] as number;
    const time = times.pop() as number;
    const order = orders.pop() as number;
    const last = calls.pop() as () => void;
    if (times.length > 0) this.sink(last, { time, order });
    call();
    return true;
  }

  /** Puts what was last where the first one was. */
  private sink(call: () => void, { time, order }: { time: number; order: number }): void {
    const { times, orders, calls } = this;
    let hole = 0;
    for (;;) {
      let child = 2 * hole + 1;
      if (child >= times.length) break;
      if (child + 1 < times.length && this.isBefore(child + 1, child)) child += 1;
      const at = times[child] as number;
      if (time < at || (time === at && order < (orders[child] as number))) break;
      this.move(child, hole);
      hole = child;
    }
    times[hole] = time;
    orders[hole] = order;
    calls[hole] = call;
  }

  private isBefore(one: number, other: number): boolean {
    const byTime = (this.times[one] as number) - (this.times[other] as number);
    return (
      byTime < 0 || (byTime === 0 && (this.orders[one] as number) < (this.orders[other] as number))
    );
  }

  private move(from: number, to: number): void {
    this.times[to] = this.times[from] as number;
    this.orders[to] = this.orders[from] as number;
    this.calls[to] = this.calls[from] as () => void;
  }
}
