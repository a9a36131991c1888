/** How fast a counter of somebody else's rises, from looks at it in irregular steps. */
const windowMs = 15_000;
/** Looks that lie closer together than this count as one. */
const leastStepMs = 1_000;

interface Look {
  atMs: number;
  total: number;
}

export class CounterRate {
  private looks: Look[] = [];

  /** A look at the counter at a monotonic time. One that has fallen has begun anew. */
  note(total: number, nowMs: number): void {
    const last = this.looks.at(-1);
    if (last !== undefined && total < last.total) this.looks = [];
    else if (last !== undefined && nowMs - last.atMs < leastStepMs) return;
    this.looks.push({ atMs: nowMs, total });
    // One look at or before the window's beginning stays: it is where the window begins.
    while ((this.looks[1]?.atMs ?? Infinity) <= nowMs - windowMs) this.looks.shift();
  }

  /** Per second over the last looks; undefined while there are not two. */
  perSecond(): number | undefined {
    const [first, last] = [this.looks[0], this.looks.at(-1)];
    if (first === undefined || last === undefined || last.atMs === first.atMs) return undefined;
    return ((last.total - first.total) * 1000) / (last.atMs - first.atMs);
  }
}
