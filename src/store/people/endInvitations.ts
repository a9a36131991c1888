/** Invitations end with the right of those who made them: nobody lets people in from outside. */
import type { Tx } from '../transaction.ts';

interface Inviter {
  userId: string;
  nowMs: number;
}

/** The open ones to one project of somebody who is no owner of it any more. */
export async function endInvitationsBy(
  tx: Tx,
  { projectId, ...inviter }: Inviter & { projectId: string },
): Promise<void> {
  noteEnded(tx, await openOf(tx, inviter).where('project_id', '=', projectId).execute());
}

/** All open ones of somebody who is no operator any more, but to projects that they own still. */
export async function endInvitationsOfOperator(
  tx: Tx,
  { isDisabled, ...inviter }: Inviter & { isDisabled: boolean },
): Promise<void> {
  let query = openOf(tx, inviter);
  if (!isDisabled) {
    query = query.where((is) =>
      is.or([
        is('project_id', 'is', null),
        is(
          'project_id',
          'not in',
          tx.db
            .selectFrom('memberships')
            .select('project_id')
            .where('user_id', '=', inviter.userId)
            .where('role', '=', 'owner'),
        ),
      ]),
    );
  }
  noteEnded(tx, await query.execute());
}

function openOf({ db }: Tx, { userId, nowMs }: Inviter) {
  return db
    .updateTable('invitations')
    .set({ revoked_at_ms: nowMs })
    .where('created_by', '=', `user:${userId}`)
    .where('accepted_at_ms', 'is', null)
    .where('revoked_at_ms', 'is', null)
    .where('expires_at_ms', '>', nowMs)
    .returning('id');
}

/** C4: the change that ended them says which. */
function noteEnded(tx: Tx, ended: readonly { id: string }[]): void {
  if (ended.length === 0) return;
  tx.noted['endedInvitations'] = { from: null, to: ended.map(({ id }) => id) };
}
