/**
 * `credentials.json` at a start that is not the first: the keys of an earlier one, also of one that
 * crashed between commit and rename; when they are lost, what that means and what can be done, and
 * new ones where that is asked for.
 */
import type { Credentials } from '../../cli/serverContext.ts';
import type { Control } from '../../control/control.ts';
import { defaultEndpointSlug } from '../../control/platform/bootstrap.ts';
import type {
  RenewedCredentials,
  RenewInput,
  RenewOutcome,
} from '../../control/platform/renewCredentials.ts';
import type { CredentialsFile, CredentialsRead } from './credentialsFile.ts';

/** The keys for the first screen, or why there are none, in a sentence. */
export type FoundCredentials =
  | { credentials: Credentials; why?: undefined }
  | { credentials: undefined; why: string };

export type ServerUrls = Pick<Credentials, 'server' | 'pin' | 'base_url' | 'dashboard_url'>;

export interface SettleOptions {
  control: Pick<Control, 'acceptedKeys' | 'renewCredentials'>;
  file: CredentialsFile;
  urls: ServerUrls;
  renewCredentials: boolean;
  note: (text: string) => void;
}

/** Throws a `StartupError` when the file has to be written and cannot be. */
export async function settledCredentials(options: SettleOptions): Promise<FoundCredentials> {
  const { control, file, note } = options;
  const read = file.read();
  const found = await judged(control, read);
  if (found.apiKey && found.managementKey) {
    file.dropPending();
    if (options.renewCredentials) note(`${file.path} is in order; nothing is made anew.`);
    return { credentials: found.credentials };
  }
  const pending = await judged(control, file.readPending());
  if (pending.apiKey && pending.managementKey) {
    file.adoptPending();
    return { credentials: pending.credentials };
  }
  if (options.renewCredentials) return renewed(options, { read, candidates: [found, pending] });
  if (found.apiKey) {
    note(`The management key in ${file.path} is not accepted any more. ${wayOn}`);
    return { credentials: found.credentials };
  }
  const why = whyLost(file, read);
  note(`${why} Clients keep their keys; the server has only hashes of them. ${wayOn}`);
  return { credentials: undefined, why };
}

const wayOn =
  'Put the file back from a backup (or from another server of this database), or start once with ' +
  '--new-credentials: it gives both keys new values; the present API key then ends after 24 ' +
  'hours, the present management key at once.';

type Judged =
  | { credentials: Credentials; apiKey: boolean; managementKey: boolean }
  | { credentials?: undefined; apiKey: false; managementKey: false };

async function judged(
  control: Pick<Control, 'acceptedKeys'>,
  read: CredentialsRead,
): Promise<Judged> {
  if (read.kind !== 'ok') return { apiKey: false, managementKey: false };
  const { credentials } = read;
  const { api_key: apiKey, management_key: managementKey } = credentials;
  return { credentials, ...(await control.acceptedKeys({ apiKey, managementKey })) };
}

function whyLost(file: CredentialsFile, read: CredentialsRead): string {
  switch (read.kind) {
    case 'ok':
      return (
        `The keys in ${file.path} are not accepted: they were rotated or revoked, or the file ` +
        'belongs to another database.'
      );
    case 'none':
      return `${file.path} is gone.`;
    case 'unusable':
      return read.why;
  }
}

async function renewed(
  { control, file, urls, note }: SettleOptions,
  { read, candidates }: { read: CredentialsRead; candidates: readonly Judged[] },
): Promise<FoundCredentials> {
  const known = knownOf(candidates);
  const outcome = await control.renewCredentials({
    known,
    keep: (credentials) => {
      file.keepPending(credentialsOf(credentials, urls));
      return Promise.resolve();
    },
  });
  if (!outcome.ok) {
    const why = whyLost(file, read);
    note(`${why} ${refusals[outcome.reason]}`);
    return { credentials: undefined, why };
  }
  const old = file.setAside();
  file.adoptPending();
  const { admin } = outcome.credentials;
  note(
    `${file.path} is new.` +
      (known.apiKey === undefined ? ' The API key that was lost ends after 24 hours.' : '') +
      (known.managementKey === undefined ? ' The management key that was lost has ended.' : '') +
      (admin.password === undefined ? '' : ' The admin has a new one-time password.') +
      (old === undefined ? '' : ` What was there is ${old} now.`),
  );
  return { credentials: credentialsOf(outcome.credentials, urls) };
}

const refusals: Readonly<Record<Extract<RenewOutcome, { ok: false }>['reason'], string>> = {
  project_not_found:
    'There is no project "default" any more whose keys could be made anew. Make keys of another ' +
    'project in the dashboard.',
  too_many_api_keys: 'The project "default" has as many keys as it may: revoke some first.',
  changed_meanwhile: 'Somebody else was changing its keys. Start again with --new-credentials.',
};

/** What is accepted of the file, and of what a renewal that was cut off has left. */
function knownOf(candidates: readonly Judged[]): RenewInput['known'] {
  const known: RenewInput['known'] = {};
  for (const { credentials, apiKey, managementKey } of candidates) {
    if (credentials === undefined) continue;
    if (apiKey) known.apiKey ??= credentials.api_key;
    if (managementKey) known.managementKey ??= credentials.management_key;
    if (apiKey || managementKey) known.admin ??= credentials.admin;
  }
  return known;
}

/** As they stand in the file. */
export function credentialsOf(
  secrets: Pick<RenewedCredentials, 'project' | 'apiKey' | 'managementKey' | 'admin'>,
  urls: ServerUrls,
): Credentials {
  return {
    version: 1,
    ...urls,
    project: secrets.project.slug,
    endpoint: defaultEndpointSlug,
    api_key: secrets.apiKey,
    management_key: secrets.managementKey,
    admin: secrets.admin,
  };
}
