/**
 * The two ends of a link over a transport: `createRouterPeer` and `createAgentPeer`.
 *
 * Parts: `wire/` (frames and messages as bytes), `messages/` (their schemas), `peer/` (what both
 * ends do, what each does alone, streams, sending, liveness), `limits.ts` (every bound),
 * `version.ts`.
 * `docs/internals/link.md` is the protocol.
 */
import type { Clock } from '../lib/clock.ts';
import { AgentLink } from './peer/agentLink.ts';
import { linkLimits, type LinkLimits } from './limits.ts';
import type { AgentPeer, AgentPeerHandlers } from './link.ts';
import type { RouterPeer, RouterPeerHandlers, Transport } from './link.ts';
import { RouterLink } from './peer/routerLink.ts';

/**
 * The router's end. The router sends CHALLENGE first; the link is open, and `open` may be called,
 * once it has sent WELCOME. Takes over `transport.handlers`.
 */
export function createRouterPeer(
  transport: Transport,
  options: { clock: Clock; handlers: RouterPeerHandlers; limits?: Partial<LinkLimits> },
): RouterPeer {
  const limits = { ...linkLimits, ...options.limits };
  return new RouterLink({ transport, clock: options.clock, limits, handlers: options.handlers });
}

/**
 * The agent's end. It waits for CHALLENGE, sends HELLO, and is open once WELCOME has come. Takes
 * over
 * `transport.handlers`.
 */
export function createAgentPeer(
  transport: Transport,
  options: { clock: Clock; handlers: AgentPeerHandlers; limits?: Partial<LinkLimits> },
): AgentPeer {
  const limits = { ...linkLimits, ...options.limits };
  return new AgentLink({ transport, clock: options.clock, limits, handlers: options.handlers });
}
