/**
 * Reads metrics in Prometheus' text format as engines write it: what is asked for and understood
 * is taken, anything else is passed over. A page of somebody else's is never a reason to fail.
 */

/** One number with its labels. */
export interface MetricSample {
  name: string;
  labels: Readonly<Record<string, string>>;
  value: number;
}

const namePattern = /^[a-zA-Z_:][a-zA-Z0-9_:]*/;
const label = /([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"/g;
/** Samples that are taken from one page. */
const mostSamples = 1_000;

/** Samples of the metrics in `wanted`, in the order of the page; none that is not finite. */
export function readPrometheusText(text: string, wanted: ReadonlySet<string>): MetricSample[] {
  const samples: MetricSample[] = [];
  for (const line of text.split('\n')) {
    const name = namePattern.exec(line)?.[0];
    if (name === undefined || !wanted.has(name)) continue;
    const sample = readSample(name, line.slice(name.length));
    if (sample !== undefined) samples.push(sample);
    if (samples.length === mostSamples) break;
  }
  return samples;
}

/** `{a="b",c="d"} 12.5 1700000000`: labels and time may be missing. */
function readSample(name: string, rest: string): MetricSample | undefined {
  const end = rest.startsWith('{') ? rest.lastIndexOf('}') : -1;
  if (rest.startsWith('{') && end === -1) return undefined;
  const value = Number(
    rest
      .slice(end + 1)
      .trim()
      .split(/\s+/)[0],
  );
  if (!Number.isFinite(value) || rest.slice(end + 1).trim() === '') return undefined;
  const labels: Record<string, string> = {};
  if (end > 0) {
    for (const [, key = '', quoted = ''] of rest.slice(1, end).matchAll(label)) {
      labels[key] = quoted.replaceAll(/\\(.)/g, (_, one: string) => (one === 'n' ? '\n' : one));
    }
  }
  return { name, labels, value };
}
