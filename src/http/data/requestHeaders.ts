/** What a caller may ask for in headers of ours, beside the body that OpenAI defines. */
import type { IncomingHttpHeaders } from 'node:http';
import { regionProblem } from '../../lib/text/slug.ts';
import type { Refused } from './target.ts';

export interface RequestHeaders {
  /** `X-XIM-Region`; null: not said. */
  region: string | null;
  /** `X-XIM-Resume`; null: as the endpoint has it. */
  resume: boolean | null;
  /** `X-XIM-Progress`: it wants to see its place in line. */
  progress: boolean;
}

/** Reads and checks them. */
export function readRequestHeaders(
  headers: IncomingHttpHeaders,
): ({ ok: true } & RequestHeaders) | Refused {
  const { 'x-xim-region': region } = headers;
  if (typeof region === 'string' && regionProblem(region) !== undefined) {
    const allowed = '1 to 24 printable ASCII characters without space';
    return wrong('X-XIM-Region', { allowed, got: region });
  }
  for (const name of ['X-XIM-Resume', 'X-XIM-Progress']) {
    const got = headers[name.toLowerCase()];
    if (!isSwitch(got)) return wrong(name, { allowed: "'on' or 'off'", got: String(got) });
  }
  const { 'x-xim-resume': resume, 'x-xim-progress': progress } = headers;
  return {
    ok: true,
    region: typeof region === 'string' ? region : null,
    resume: resume === undefined ? null : resume === 'on',
    progress: progress === 'on',
  };
}

const isSwitch = (value: unknown): boolean =>
  value === undefined || value === 'on' || value === 'off';

const shownCharacters = 40;

function wrong(param: string, { allowed, got }: { allowed: string; got: string }): Refused {
  const shown = got.length > shownCharacters ? `${got.slice(0, shownCharacters)}…` : got;
  const message = `'${param}' must be ${allowed}, not '${shown}'.`;
  return { ok: false, name: 'invalid_value', message, param };
}
