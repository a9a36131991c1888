/**
 * Brings the dashboard and the agent's package up to date before they are served. A process of its
 * own does it, so that the server never loads a bundler; it takes a moment when nothing changed.
 */
import path from 'node:path';
import { startTied } from '../../lib/process/tiedProcess.ts';

const root = path.join(import.meta.dirname, '..', '..', '..');

export const dashboardDirectory = path.join(root, 'build', 'dashboard');
export const installDirectory = path.join(root, 'build', 'install');

/**
 * Resolves with a sentence when they could not be built; the server is of use without them. The
 * build ends with this process, and when `stop` aborts.
 */
export function buildAssets(
  note: (text: string) => void,
  stop: AbortSignal,
): Promise<string | undefined> {
  const script = path.join(root, 'scripts', 'build.ts');
  return new Promise((resolve) => {
    const { child, end } = startTied(process.execPath, [script], { cwd: root });
    stop.addEventListener('abort', end, { once: true });
    if (stop.aborted) end();
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4000);
      note(text);
    });
    child.on('error', (error) => resolve(failure(error.message)));
    child.on('close', (code) => {
      stop.removeEventListener('abort', end);
      if (code === 0 || stop.aborted) resolve(undefined);
      else resolve(failure(said.trim().split('\n').at(-1) ?? ''));
    });
  });
}

function failure(why: string): string {
  return (
    `The dashboard or the agent's package could not be built (${why}); what was built before is ` +
    'served. Try again with: npm run build'
  );
}
