/** What the agent grants: its engine's offers, held to the owner's bound on concurrent requests. */
import type { GrantMessage } from '../../protocol/messages/agentControl.ts';
import { maxInstances, maxInstanceSlots } from '../../protocol/limits.ts';
import type { EngineOffer } from '../engines/engine.ts';

/**
 * Each offer with its slots. `maxConcurrentRequests` (0 = no bound) holds for their sum: every
 * offer gets one slot while there are any, the earlier ones first, and its share of what is left.
 * What an engine says of itself is held to what GRANT carries: a link that is cut for it would be
 * cut again and again.
 */
export function grantOf(
  allOffers: readonly EngineOffer[],
  maxConcurrentRequests: number,
): GrantMessage {
  const offers = allOffers.slice(0, maxInstances).map(sendable);
  const offered = offers.reduce((sum, { slots }) => sum + slots, 0);
  const bounded = maxConcurrentRequests > 0 && offered > maxConcurrentRequests;
  const spare = Math.max(0, maxConcurrentRequests - offers.length);
  const instances = offers.map((offer, at) => {
    const first = at < maxConcurrentRequests ? 1 : 0;
    const share = Math.floor(((offer.slots - 1) * spare) / Math.max(1, offered - offers.length));
    const slots = bounded ? Math.min(offer.slots, first + share) : offer.slots;
    return { ...offer, slots, abilities: [...offer.abilities] };
  });
  return { type: 'grant', instances };
}

function sendable(offer: EngineOffer): EngineOffer {
  const { contextLength, ...rest } = offer;
  const known = contextLength !== undefined && Number.isSafeInteger(contextLength);
  const slots = Math.min(offer.slots, maxInstanceSlots);
  return { ...rest, slots, ...(known ? { contextLength } : {}) };
}
