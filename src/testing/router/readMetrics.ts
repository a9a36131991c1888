/** Reads Prometheus' text format strictly: what does not belong into it is an error. */
import assert from 'node:assert/strict';

export interface Family {
  kind: string;
  help: string;
  /** Under their full names: those of a histogram end with `_bucket`, `_sum` and `_count`. */
  samples: { name: string; labels: Record<string, string>; value: number }[];
}

const samplePattern = /^([a-z_][a-z0-9_]*)(?:\{(.*)\})? (\S+)$/;
const labelPattern = /([a-z_][a-z0-9_]*)="((?:[^"\\]|\\["\\n])*)"(?:,|$)/g;

/** Families by name, in the order of the text. */
export function readMetrics(text: string): Map<string, Family> {
  assert.ok(text.endsWith('\n'), 'the last line has no end');
  const families = new Map<string, Family>();
  let current: { name: string; family: Family } | undefined;
  for (const line of text.slice(0, -1).split('\n')) {
    const [hash, word, name = '', ...rest] = line.split(' ');
    if (hash === '#' && word === 'HELP') {
      assert.ok(!families.has(name), `${name} is there twice`);
      current = { name, family: { kind: '', help: rest.join(' '), samples: [] } };
      families.set(name, current.family);
    } else if (hash === '#' && word === 'TYPE') {
      assert.equal(name, current?.name, 'TYPE of something else than its HELP');
      if (current !== undefined) current.family.kind = rest.join(' ');
    } else {
      assert.ok(current !== undefined, `a sample before its HELP: ${line}`);
      current.family.samples.push(sampleOf(line, current.name));
    }
  }
  return families;
}

/** The value of one sample; undefined when there is none with these labels. */
export function valueOf(
  families: ReadonlyMap<string, Family>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const family = families.get(name) ?? families.get(name.replace(/_(bucket|sum|count)$/, ''));
  const wanted = Object.entries(labels);
  return family?.samples.find(
    (one) => one.name === name && wanted.every(([label, value]) => one.labels[label] === value),
  )?.value;
}

function sampleOf(line: string, family: string): Family['samples'][number] {
  const match = samplePattern.exec(line);
  assert.ok(match !== null, `no sample: ${line}`);
  const [, name = '', labelText = '', valueText = ''] = match;
  assert.match(name, new RegExp(`^${family}(_bucket|_sum|_count)?$`));
  const labels: Record<string, string> = {};
  const rest = labelText.replaceAll(labelPattern, (_all, label: string, value: string) => {
    labels[label] = value.replaceAll(/\\(.)/g, (_two, one: string) => (one === 'n' ? '\n' : one));
    return '';
  });
  assert.equal(rest, '', `labels that cannot be read: ${line}`);
  return { name, labels, value: Number(valueText.replace('Inf', 'Infinity')) };
}
