/** Where an invitation stands, as a function of its times and the present. Times are epoch ms. */

export type InvitationState = 'open' | 'used' | 'revoked' | 'expired';

export function invitationState(
  invitation: {
    acceptedAtMs: number | null;
    revokedAtMs: number | null;
    expiresAtMs: number;
  },
  nowMs: number,
): InvitationState {
  if (invitation.acceptedAtMs !== null) return 'used';
  if (invitation.revokedAtMs !== null) return 'revoked';
  return invitation.expiresAtMs <= nowMs ? 'expired' : 'open';
}
