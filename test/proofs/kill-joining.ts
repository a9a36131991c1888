/**
 * Kills agent and server with -9 at every message between them while the agent joins, and while it
 * comes back: `npm run proofs -- kill-joining`. `npm test` runs a few of the cases.
 */
import { endLeftovers } from '../../src/testing/processes/processes.ts';
import { KilledJoining, type Kill } from '../../src/testing/database/killedJoining.ts';

/** More pieces than any talk has before the agent serves. */
const mostPieces = 40;

export async function prove(): Promise<{ passed: boolean } & Record<string, unknown>> {
  const rig = await KilledJoining.open();
  const killed: Record<string, number> = {};
  const failures: unknown[] = [];
  try {
    for (const victim of ['agent', 'server'] as const) {
      for (const way of ['joining', 'returning'] as const) {
        for (const passedOn of [false, true]) {
          for (let at = 1; at <= mostPieces; at += 1) {
            const kill: Kill = { victim, way, at, passedOn };
            const outcome = await rig.run(kill).catch((error: Error) => {
              failures.push({ ...kill, error: error.message });
              return 'killed' as const;
            });
            if (outcome === 'beyond') break;
            const what = `${victim} ${way}`;
            killed[what] = (killed[what] ?? 0) + 1;
          }
        }
      }
    }
  } finally {
    await rig.close();
    endLeftovers();
  }
  return { passed: failures.length === 0, killed, failures };
}
