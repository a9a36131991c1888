/**
 * Which agent: what serving a request on each of several instances would cost, and the one that is
 * taken.
 *
 *     cost = predicted TTFT + w · predicted decode time of the expected answer + region price  [ms]
 *
 * Where an instance has no model, all are compared by the product form instead (LMetric, arXiv
 * 2603.15202): `(prompt tokens pending and new + 1) × (in flight + 1) × slowness`.
 */
import { randomInt, type Random } from '../../lib/random.ts';
import type { Nearness } from '../agents/regionMap.ts';
import type { Load } from '../prediction/latencyModel.ts';
import type { InstanceLoad, Order } from './instanceLoad.ts';

/** One that could be taken, and what it would cost. */
export interface Scored<Item> {
  item: Item;
  /** In ms; null: nothing is known of such machines. */
  cost: number | null;
  product: number;
  /** What its model was learned from. */
  samples: number;
  /** What the cost is made of; the rest of it is the time to the first token. */
  ttftMs: number | null;
  decodeMs: number;
  priceMs: number;
  /** What it had to do, and its own part of the prompt. */
  load: Load;
  inFlight: number;
}

/** How much a ms of decoding counts beside one before the first token. */
const decodeWeight = 0.015;
/**
 * Tokens of an answer that count. Were long ones spread evenly, all machines would be full at one
 * time, and none would have room for the next one.
 */
const mostAnswerTokens = 150;
/** What leaving the region costs, in ms. */
export const regionPrices: Readonly<Record<Nearness, number>> = { same: 0, near: 25, far: 120 };
/** The same as a factor, where costs are no times. */
const regionFactors: Readonly<Record<Nearness, number>> = { same: 1, near: 1.02, far: 1.1 };
/** One choice in so many goes to the candidate with the fewest samples. */
const exploreEvery = 100;
/** Beyond so many samples there is nothing to explore. */
const wellKnown = 64;

/** What a request would cost here. */
export function scoreOf<Item>(
  item: Item,
  what: { load: InstanceLoad; order: Order; nearness: Nearness; slots: number; nowMs: number },
): Scored<Item> {
  const { load, order, nearness, slots, nowMs } = what;
  const { model } = load;
  const found = load.loadFor(order, nowMs);
  const ttftMs = model.ttftMs(found);
  const tpotMs = model.tpotMs({ running: found.running + 1, held: found.held + order.prompt });
  const decodeMs = decodeWeight * Math.min(order.answer, mostAnswerTokens) * (tpotMs ?? 0);
  const cost = ttftMs === null ? null : ttftMs + decodeMs + regionPrices[nearness];
  const { inFlight } = load;
  const product = (found.ahead + order.own + 1) * (inFlight / slots + 1) * regionFactors[nearness];
  const { samples } = model;
  const priceMs = regionPrices[nearness];
  return { item, cost, product, samples, ttftMs, decodeMs, priceMs, load: found, inFlight };
}

/** What candidates are compared by: costs in ms where all have one, else the product. */
export function valueIn<Item>(
  candidates: readonly Scored<Item>[],
): (candidate: Scored<Item>) => number {
  const areTimes = candidates.every(({ cost }) => cost !== null);
  return ({ cost, product }) => (areTimes ? (cost ?? 0) : product);
}

/** The one to take; undefined of none. */
export function takeBest<Item>(
  candidates: readonly Scored<Item>[],
  random: Random,
): Scored<Item> | undefined {
  if (candidates.length < 2) return candidates[0];
  const areTimes = candidates.every(({ cost }) => cost !== null);
  if (areTimes && randomInt(random, exploreEvery) === 0) {
    const least = Math.min(...candidates.map(({ samples }) => samples));
    if (least < wellKnown) {
      return oneOf(
        candidates.filter(({ samples }) => samples === least),
        random,
      );
    }
  }
  const valueOf = valueIn(candidates);
  let least = Infinity;
  let best: Scored<Item>[] = [];
  for (const candidate of candidates) {
    const value = valueOf(candidate);
    if (value > least) continue;
    if (value < least) best = [];
    least = value;
    best.push(candidate);
  }
  return oneOf(best, random);
}

function oneOf<Item>(items: readonly Item[], random: Random): Item | undefined {
  return items.length < 2 ? items[0] : items[randomInt(random, items.length)];
}
