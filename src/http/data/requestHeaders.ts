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
    const message = "'X-XIM-Region' must be 1 to 24 printable ASCII characters without space.";
    return { ok: false, name: 'invalid_value', message, param: 'X-XIM-Region' };
  }
  for (const name of ['X-XIM-Resume', 'X-XIM-Progress']) {
    if (isSwitch(headers[name.toLowerCase()])) continue;
    return {
      ok: false,
      name: 'invalid_value',
      message: `'${name}' must be 'on' or 'off'.`,
      param: name,
    };
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
