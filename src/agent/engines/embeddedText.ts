/**
 * From tokens to text that may leave: characters whole, stop strings never.
 *
 * Invariants
 * T1 The pieces joined are the text of all tokens, up to the first stop string.
 * T2 No piece ends inside a character, and none holds any part of a stop string that was completed.
 */

/**
 * What a detokeniser is to us; `before` are the tokens in front, which decide on leading spaces.
 */
export type Detokenize = (tokens: readonly number[], before: readonly number[]) => string;

/** Stands for bytes that are no character: at the end of a text, the rest may still come. */
const replacement = '\uFFFD';
/** A character has at most four bytes; more tokens than that are not waited for. */
const mostTokensOfOneCharacter = 4;
/** Tokens in front that a detokeniser looks at. */
const contextTokens = 3;

/** Makes text of tokens one by one. */
export class TokenText {
  private readonly detokenize: Detokenize;
  private before: number[] = [];
  private pending: number[] = [];

  /** @param before Tokens of the text that it goes on with; none where it begins one. */
  constructor(detokenize: Detokenize, before: readonly number[] = []) {
    this.detokenize = detokenize;
    this.before = before.slice(-contextTokens);
  }

  /** The text that became certain with this token; '' while a character is incomplete. */
  push(token: number): string {
    this.pending.push(token);
    const text = this.detokenize(this.pending, this.before);
    const incomplete = text.endsWith(replacement);
    if (incomplete && this.pending.length < mostTokensOfOneCharacter) return '';
    return this.take(text);
  }

  /** What is left at the end, complete or not. */
  flush(): string {
    if (this.pending.length === 0) return '';
    return this.take(this.detokenize(this.pending, this.before));
  }

  private take(text: string): string {
    this.before = [...this.before, ...this.pending].slice(-contextTokens);
    this.pending = [];
    return text;
  }
}

/** Cuts a text at the first of some stop strings, whatever the pieces are that it comes in. */
export class StopFilter {
  private readonly stops: readonly string[];
  private held = '';
  private stopped = false;

  constructor(stops: readonly string[]) {
    this.stops = stops.filter((stop) => stop !== '');
  }

  /** True once a stop string was met: nothing more comes out. */
  get met(): boolean {
    return this.stopped;
  }

  /** The part of the text so far that no stop string can claim any more. */
  push(piece: string): string {
    if (this.stopped) return '';
    if (this.stops.length === 0) return piece;
    const text = this.held + piece;
    const at = this.firstStop(text);
    if (at !== undefined) {
      this.stopped = true;
      this.held = '';
      return text.slice(0, at);
    }
    const keep = this.possibleStart(text);
    this.held = text.slice(text.length - keep);
    return text.slice(0, text.length - keep);
  }

  /** What was held back and turned out to be plain text. */
  flush(): string {
    const text = this.held;
    this.held = '';
    return text;
  }

  private firstStop(text: string): number | undefined {
    const found = this.stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
    return found.length === 0 ? undefined : Math.min(...found);
  }

  /** Length of the longest end of `text` that some stop string begins with. */
  private possibleStart(text: string): number {
    let longest = 0;
    for (const stop of this.stops) {
      const most = Math.min(stop.length - 1, text.length);
      for (let length = most; length > longest; length -= 1) {
        if (text.endsWith(stop.slice(0, length))) longest = length;
      }
    }
    return longest;
  }
}
