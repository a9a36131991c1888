/**
 * What a server says when it is ready: to a person, how to talk to it; to a program (`--json`), one
 * line of JSON.
 */
import type { Credentials } from '../../cli/serverContext.ts';

export interface Announcement {
  /** Undefined when the file was lost: only hashes of the keys are stored elsewhere. */
  credentials: Credentials | undefined;
  /** Why there are none, in a sentence. */
  keysLost: string | null;
  project: string;
  endpoint: string;
  /** The endpoint's; ends in `/v1`. */
  baseUrl: string;
  dashboardUrl: string;
  admin: { email: string; password: string | null };
  /** Name of the model that is ready; null when none is. */
  model: string | null;
  /** Why there is none, in sentences; null when there is one. */
  modelError: string | null;
  /** The command that makes a join key, as it has to be typed here. */
  joinHint: string;
  /** `sha256//…` of a certificate that clients have to be told of. */
  pin: string | null;
  pid: number;
}

/** One line of compact JSON, with its line end. */
export function announceJson(ready: Announcement): string {
  const line = {
    ready: true,
    base_url: ready.baseUrl,
    api_key: ready.credentials?.api_key ?? null,
    project: ready.project,
    endpoint: ready.endpoint,
    dashboard_url: ready.dashboardUrl,
    admin: ready.admin,
    model: ready.model,
    model_error: ready.modelError,
    pid: ready.pid,
  };
  return `${JSON.stringify(line)}\n`;
}

/** The same for a person. */
export function announceText(ready: Announcement): string {
  const key = ready.credentials?.api_key ?? 'YOUR_API_KEY';
  return [
    '',
    ready.model === null
      ? 'XIM is up, without a model.'
      : `XIM is ready and serves ${ready.model}.`,
    ...modelLines(ready),
    '',
    `  Base URL    ${ready.baseUrl}`,
    `  API key     ${keyLine(ready)}`,
    `  Dashboard   ${ready.dashboardUrl}`,
    `  Sign in as  ${ready.admin.email}${passwordText(ready.admin.password)}`,
    '',
    'Try it:',
    '',
    ...curlLines(ready, key),
    '',
    'Or from Python (pip install openai):',
    '',
    ...pythonLines(ready, key),
    '',
    `Add another machine: ${ready.joinHint}`,
    'Stop: Ctrl-C',
    '',
  ].join('\n');
}

function modelLines({ modelError }: Announcement): string[] {
  return modelError === null ? [] : modelError.split('\n').map((line) => `  ${line}`);
}

function keyLine({ credentials, keysLost }: Announcement): string {
  if (credentials !== undefined) return credentials.api_key;
  return `unknown: ${keysLost} Clients keep theirs; --new-credentials makes new ones.`;
}

function passwordText(password: string | null): string {
  return password === null ? '' : `, password ${password} (shown only now)`;
}

function curlLines({ baseUrl, endpoint, pin }: Announcement, key: string): string[] {
  const body = JSON.stringify({
    model: endpoint,
    stream: true,
    messages: [{ role: 'user', content: 'Say hello.' }],
  });
  const pinned = pin === null ? '' : ` -k --pinnedpubkey '${pin}'`;
  return [
    `  curl -N${pinned} ${baseUrl}/chat/completions \\`,
    `    -H 'Authorization: Bearer ${key}' -H 'Content-Type: application/json' \\`,
    `    -d '${body}'`,
  ];
}

function pythonLines({ baseUrl, endpoint, pin }: Announcement, key: string): string[] {
  const client = `base_url="${baseUrl}", api_key="${key}"`;
  const imports =
    pin === null
      ? ['  from openai import OpenAI', `  client = OpenAI(${client})`]
      : [
          '  import httpx',
          '  from openai import OpenAI',
          "  # cert.pem: tls/cert.pem of the server's data directory",
          '  trusted = httpx.Client(verify="cert.pem")',
          `  client = OpenAI(${client}, http_client=trusted)`,
        ];
  return [
    ...imports,
    '  stream = client.chat.completions.create(',
    `      model="${endpoint}", stream=True,`,
    '      messages=[{"role": "user", "content": "Say hello."}])',
    '  for chunk in stream:',
    '      if chunk.choices: print(chunk.choices[0].delta.content or "", end="", flush=True)',
  ];
}
