/**
 * The seam between the simulator and what routes: events go in, each with its time, commands come
 * out, as with the product's scheduler. This is all that a router sees: requests that arrive, its
 * own dispatches, and what machines say, one round trip old. Nothing of `engine/` passes here.
 */
export type RouterEvent = { atMs: number } & (
  | { type: 'join'; instance: InstanceFacts }
  /** The machine is gone; `failed` or `end` of what it ran comes before this. */
  | { type: 'leave'; instance: number }
  | { type: 'arrive'; request: ArrivedRequest }
  | { type: 'first_byte'; request: number }
  /** Its END trailers. */
  | { type: 'end'; request: number; usage: Usage }
  /** Its machine went away before its first byte: it may be dispatched again. */
  | { type: 'failed'; request: number }
  /**
   * Nobody wants it any more. It waits no longer; of one that was dispatched this is said when its
   * machine has let it go, so that its place is free.
   */
  | { type: 'hang_up'; request: number }
  | { type: 'heartbeat'; instance: number; running: number; waiting: number; kvTokens: number }
  | { type: 'tick' }
);

export type RouterCommand =
  | { type: 'dispatch'; request: number; instance: number; predicted?: Predicted | undefined }
  | { type: 'reject'; request: number }
  /** Ask for a `tick` at this time; replaces the last one asked for. */
  | { type: 'set_timer'; atMs: number };

/** What a machine says of itself when it joins. How slow it is has to be found out. */
export interface InstanceFacts {
  id: number;
  hardware: string;
  /** Sequences that it takes at once. */
  slots: number;
  /** Tokens of keys and values that it holds. */
  kvTokens: number;
}

/** What is known of a request when it arrives; how long its answer will be is not. */
export interface ArrivedRequest {
  id: number;
  tenant: string;
  inputTokens: number;
  /** Hashes of the blocks of its prompt, each of its block and all before it. */
  blocks: readonly number[];
  /** How many tokens a block has; the last one may have fewer. */
  blockTokens: number;
}

export interface Usage {
  inputTokens: number;
  /** Of the input: what the engine did not have to compute. */
  cachedTokens: number;
  outputTokens: number;
}

/** From the dispatch to the first byte, as predicted when it was dispatched. */
export interface Predicted {
  ttftMs: number;
  /** Nine of ten are no longer than this; null: the policy does not say. */
  p90Ms: number | null;
}

/** What routes in a run: a published policy with an order, or the product's own scheduler. */
export interface SimulatedRouter {
  /** Takes one event and says what is to be done, in order. Times never go back. */
  handle(event: RouterEvent): readonly RouterCommand[];
}
