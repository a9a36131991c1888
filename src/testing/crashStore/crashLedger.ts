/** What the clients of a server that is killed again and again have seen: it must be kept. */

export interface LedgerKey {
  id: string;
  /** The key itself, as it was shown once. */
  key: string;
  /** `asked`: whether it was revoked is not known, because the answer never came. */
  revoked: 'no' | 'asked' | 'yes';
}

export class CrashLedger {
  /** Ids of requests whose last byte was received. */
  readonly answered = new Set<string>();
  /** Ids of requests whose answer had begun when the server died. */
  readonly broken = new Set<string>();
  /**
   * Of these, how many have no row: the first byte waits for no disk (R4), so that it can leave
   * some microseconds before the request's `begin` line is written.
   */
  unwritten = 0;
  /** By name. */
  readonly keys = new Map<string, LedgerKey>();
  /** Names of keys that were asked for and never answered. */
  readonly unanswered = new Set<string>();
  /** The project's name is a number that is counted up. */
  name = { asked: 0, acknowledged: 0 };
  private lastName = 0;

  newKeyName(): string {
    this.lastName += 1;
    return `key-${this.lastName}`;
  }

  /** Some key that still opens something, in turn. */
  livingKey(turn: number): LedgerKey | undefined {
    const living = [...this.keys.values()].filter(({ revoked }) => revoked === 'no');
    return living[turn % Math.max(1, living.length)];
  }

  /** How much there is to keep. */
  counts(): Record<string, number> {
    return {
      answered: this.answered.size,
      broken: this.broken.size,
      unwritten: this.unwritten,
      keys: this.keys.size,
      revoked: [...this.keys.values()].filter(({ revoked }) => revoked === 'yes').length,
      unanswered: this.unanswered.size,
      renamed: this.name.acknowledged,
    };
  }
}
