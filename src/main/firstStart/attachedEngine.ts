/** Which model an attached engine serves, asked once before the platform is set up. */
import http from 'node:http';
import https from 'node:https';
import { parseEngineUrl } from '../../agent/engines/urlAddress.ts';

const askTimeoutMs = 5_000;
const maxAnswerBytes = 1024 * 1024;

/**
 * The engine's model ids from `GET /v1/models`; undefined when it does not answer in five seconds
 * or with something else, or when `stop` aborts. The agent probes it thoroughly later; this only
 * names the catalogue's model.
 */
export function engineModels(
  engineUrl: string,
  { apiKey, stop }: { apiKey: string | undefined; stop: AbortSignal },
): Promise<string[] | undefined> {
  const parsed = parseEngineUrl(engineUrl);
  if (parsed.kind === 'invalid') return Promise.resolve(undefined);
  const { origin, prefix, socketPath } = parsed.address;
  const url = new URL(`${origin}${prefix}/v1/models`);
  const headers = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
  return new Promise((resolve) => {
    const signal = AbortSignal.any([stop, AbortSignal.timeout(askTimeoutMs)]);
    const where = socketPath === undefined ? {} : { socketPath };
    const options = { headers, agent: false, signal, ...where };
    const request = (url.protocol === 'https:' ? https : http).get(url, options, (answer) => {
      const parts: Buffer[] = [];
      let bytes = 0;
      answer.on('data', (part: Buffer) => {
        bytes += part.length;
        if (bytes > maxAnswerBytes) answer.destroy();
        else parts.push(part);
      });
      answer.on('close', () => resolve(idsIn(Buffer.concat(parts).toString('utf8'))));
    });
    request.on('error', () => resolve(undefined));
  });
}

function idsIn(text: string): string[] | undefined {
  try {
    const { data } = JSON.parse(text) as { data?: { id?: unknown }[] };
    return data?.flatMap(({ id }) => (typeof id === 'string' ? [id] : []));
  } catch {
    return undefined;
  }
}
