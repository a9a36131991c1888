/**
 * Azure traces: `TIMESTAMP,ContextTokens,GeneratedTokens` a line, times with up to seven decimals.
 * Published in Azure/AzurePublicDataset. They name no prefixes: nothing is shared.
 */
import { onlyTenant, type TraceOutcome, type TraceRequest } from './traceRequest.ts';

export const azureHeader = 'TIMESTAMP,ContextTokens,GeneratedTokens';

/** Reads one. Times become ms since its earliest request. */
export function readAzure(text: string, from: { file: string }): TraceOutcome {
  const { file } = from;
  const requests: TraceRequest[] = [];
  let firstMs = Infinity;
  for (const [at, row] of text.split('\n').entries()) {
    const line = row.trim();
    if (line === '' || at === 0) continue;
    const request = readRow(line);
    if (typeof request === 'string') {
      return { kind: 'bad_trace', problem: `${file}:${at + 1}: ${request}` };
    }
    requests.push(request);
    firstMs = Math.min(firstMs, request.atMs);
  }
  for (const request of requests) request.atMs -= firstMs;
  return { kind: 'read', requests, notes: [] };
}

function readRow(line: string): TraceRequest | string {
  const [time = '', context = '', generated = '', ...more] = line.split(',');
  const atMs = timeMs(time);
  if (more.length > 0 || generated === '') return 'this line does not have three columns';
  if (atMs === null) return `"${time}" is no time; expected is 2023-11-16 18:15:46.6805900`;
  if (!/^\d+$/.test(context)) return `ContextTokens: "${context}" is no number of tokens`;
  if (!/^\d+$/.test(generated)) return `GeneratedTokens: "${generated}" is no number of tokens`;
  return {
    atMs,
    tenant: onlyTenant,
    inputTokens: Math.max(1, Number(context)),
    outputTokens: Math.max(1, Number(generated)),
    blocks: [],
  };
}

const timePattern = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)?$/;

/** With all of its decimals, which `Date` cuts after three. Times without a zone are UTC. */
function timeMs(text: string): number | null {
  const [, day, time, decimals = '.0', zone = 'Z'] = timePattern.exec(text) ?? [];
  if (day === undefined || time === undefined) return null;
  const wholeMs = Date.parse(`${day}T${time}${zone}`);
  return Number.isNaN(wholeMs) ? null : wholeMs + Number(`0${decimals}`) * 1_000;
}
