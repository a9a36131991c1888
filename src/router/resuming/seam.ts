/**
 * The seam between the text that a client has and the text that another engine goes on with.
 *
 * Invariants
 * R3 If the other engine continues `sent` as the first one would have, then what `push` and `flush`
 *    give, behind `delivered`, is the first one's text: no character lost, none doubled.
 * N1 No piece that comes out is part of a stop string that began in the delivered text.
 *
 * `sent` is the delivered text without white space and without half a surrogate pair at its end.
 * Chat templates trim the one, JSON in UTF-8 cannot carry the other. Both are owed: what the
 * continuation begins with is taken off as far as it is the same.
 */

/** What templates trim: white space, and control characters that Python takes for it. */
const trimmedEnd = /[\s\p{White_Space}\p{Cc}]+$/u;
const halfPair = /[\uD800-\uDBFF]$/;

/** The part of the delivered text that another engine is asked to continue. */
export function sentText(delivered: string): string {
  return delivered.replace(halfPair, '').replace(trimmedEnd, '');
}

export class Seam {
  /** What the continuation may repeat of the delivered text. */
  private owed: string;
  /** Rests of stop strings that the delivered text may have begun. */
  private rests: string[];
  private held = '';
  private over = false;

  constructor(what: { delivered: string; stops: readonly string[] }) {
    const { delivered, stops } = what;
    this.owed = delivered.slice(sentText(delivered).length);
    this.rests = [...new Set(stops.flatMap((stop) => restsOf(stop, delivered)))];
  }

  /** A stop string is complete: nothing more comes out, and the answer ends. */
  get stopped(): boolean {
    return this.over;
  }

  /** Something is held back that may yet go out. */
  get isHolding(): boolean {
    return this.held !== '';
  }

  /** The part of the continuation so far that may go out. */
  push(piece: string): string {
    if (this.over) return '';
    const fresh = this.owed === '' ? piece : this.pay(piece);
    if (this.rests.length === 0 || fresh === '') return fresh;
    this.held += fresh;
    const { held } = this;
    if (this.rests.some((rest) => held.startsWith(rest))) {
      this.over = true;
      this.held = '';
      return '';
    }
    this.rests = this.rests.filter((rest) => rest.startsWith(held));
    return this.rests.length > 0 ? '' : this.flush();
  }

  /** What was held back, when nothing more comes. */
  flush(): string {
    const { held } = this;
    this.held = '';
    return held;
  }

  private pay(piece: string): string {
    const { owed } = this;
    let same = 0;
    while (same < piece.length && same < owed.length && piece[same] === owed[same]) same += 1;
    // Another beginning than the first engine's: what is left of the debt will not come.
    this.owed = same < piece.length ? '' : owed.slice(same);
    return piece.slice(same);
  }
}

/** For each end of the text that the stop string begins with: what is missing of it. */
function restsOf(stop: string, text: string): string[] {
  const rests: string[] = [];
  for (let begun = Math.min(stop.length - 1, text.length); begun > 0; begun -= 1) {
    if (text.endsWith(stop.slice(0, begun))) rests.push(stop.slice(begun));
  }
  return rests;
}
