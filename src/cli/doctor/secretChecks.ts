/** Whether what opens servers can be read by others. */
import path from 'node:path';
import { finding, ok, type Finding } from './finding.ts';
import type { Machine } from './machine.ts';

export interface SecretPlaces {
  /** Of a server on this machine. */
  dataDirectory: string;
  /** Of `xim login`. */
  contexts: string;
  /** Of an agent on this machine. */
  agentState: string;
}

export async function checkSecrets(machine: Machine, places: SecretPlaces): Promise<Finding[]> {
  const { dataDirectory, contexts, agentState } = places;
  const inContexts = (await machine.list(contexts)).map((name) => path.join(contexts, name));
  const files = ['credentials.json', 'secrets.key'].map((name) => path.join(dataDirectory, name));
  const all = [dataDirectory, ...files, contexts, ...inContexts, agentState];
  const findings = await Promise.all(all.map((file) => checkOne(machine, file)));
  const seen = findings.filter((one) => one !== undefined);
  const open = seen.filter(({ level }) => level !== 'ok');
  if (seen.length === 0) return [];
  return open.length > 0 ? open : [ok('Secrets', `${seen.length} places, closed to others`)];
}

async function checkOne(machine: Machine, file: string): Promise<Finding | undefined> {
  const status = await machine.status(file);
  if (status === undefined) return undefined;
  const { mode, uid } = status;
  if ((mode & 0o077) !== 0) {
    const directory = (mode & 0o170_000) === 0o040_000;
    const wanted = directory ? '700' : '600';
    return finding('warning', 'Secrets', {
      found: `${file} is open to others (${(mode & 0o777).toString(8)})`,
      next: `Close it: chmod ${wanted} ${file}`,
    });
  }
  if (machine.uid !== null && machine.uid !== 0 && uid !== machine.uid) {
    return finding('note', 'Secrets', {
      found: `${file} is of another user`,
      next: 'Run this as that user, for whom it is.',
    });
  }
  return ok('Secrets', file);
}
