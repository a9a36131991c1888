/** What the agent grants: its engine's offers, held to the owner's bound on concurrent requests. */
import type { GrantMessage } from '../../protocol/messages/agentControl.ts';
import type { EngineOffer } from '../engines/engine.ts';

/**
 * Each offer with its slots. `maxConcurrentRequests` (0 = no bound) holds for their sum: every offer
 * keeps its share of it, at least one slot while there are any, the earlier ones first.
 */
export function grantOf(
  offers: readonly EngineOffer[],
  maxConcurrentRequests: number,
): GrantMessage {
  const offered = offers.reduce((sum, { slots }) => sum + slots, 0);
  const bounded = maxConcurrentRequests > 0 && offered > maxConcurrentRequests;
  let left = bounded ? maxConcurrentRequests : offered;
  const instances = offers.map((offer) => {
    const share = bounded
      ? Math.max(1, Math.floor((offer.slots * maxConcurrentRequests) / offered))
      : offer.slots;
    const slots = Math.min(left, offer.slots, share);
    left -= slots;
    return { ...offer, slots, abilities: [...offer.abilities] };
  });
  return { type: 'grant', instances };
}
