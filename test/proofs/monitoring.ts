/**
 * `npm run proofs -- monitoring --seconds 30`: a real Prometheus scrapes a real server under load,
 * with engines that fail; then it is asked for every panel of the dashboard and for the alerts.
 */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { panelRows } from '../../scripts/monitoring/panels.ts';
import { startFakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import { freePort } from '../../src/testing/processes/freePort.ts';
import { endLeftovers, startProcess, until } from '../../src/testing/processes/processes.ts';
import {
  startServerProcess,
  temporaryDirectory,
  type ServerProcess,
} from '../../src/testing/processes/serverProcess.ts';
import { systemBinary } from '../../src/testing/processes/systemBinary.ts';

const alerts = path.join(import.meta.dirname, '..', '..', 'docs', 'monitoring', 'xim-alerts.yaml');

/** Lines that are empty while all is well, or while nothing was refused. */
const mayBeEmpty = new Set(['Refused by a limit', 'Streams that another agent went on with']);

interface Result {
  status: string;
  error?: string;
  data?: { result: unknown[]; groups: { rules: { name: string; health: string }[] }[] };
}

export async function prove(
  args: string[],
): Promise<{ passed: boolean } & Record<string, unknown>> {
  const { values } = parseArgs({ args, options: { seconds: { type: 'string', default: '30' } } });
  const prometheus = systemBinary({ names: ['prometheus'], debianPackage: 'prometheus' });
  if (prometheus.kind === 'missing') return { passed: false, why: prometheus.reason };
  const base = await temporaryDirectory('prometheus');
  const engine = await startFakeEngine({ chunks: 12, tickMs: 10 });
  try {
    const dataDir = path.join(base.path, 'data');
    const server = await startServerProcess({ dataDir, args: ['--engine-url', engine.url] });
    const ask = await startPrometheus(prometheus.path, { folder: base.path, server });
    await load(server, Number(values.seconds) * 1000);
    const panels = await askPanels(ask);
    const rules = await ask('rules');
    const all = rules.data?.groups.flatMap((group) => group.rules) ?? [];
    const isRead = all.length > 0 && all.every(({ health }) => health === 'ok');
    const broken = panels.filter(({ why }) => why !== null);
    const asked = panels.length;
    return { passed: isRead && broken.length === 0, asked, broken, alerts: all.length };
  } finally {
    endLeftovers();
    await engine.close();
    await base.remove();
  }
}

type Ask = (call: string) => Promise<Result>;

async function startPrometheus(
  binary: string,
  { folder, server }: { folder: string; server: ServerProcess },
): Promise<Ask> {
  const config = path.join(folder, 'prometheus.json');
  const target = new URL(server.credentials().server).host;
  await writeFile(
    config,
    JSON.stringify({
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: [alerts],
      scrape_configs: [{ job_name: 'xim', static_configs: [{ targets: [target] }] }],
    }),
  );
  const port = await freePort();
  const storage = `--storage.tsdb.path=${path.join(folder, 'series')}`;
  const address = `--web.listen-address=127.0.0.1:${port}`;
  startProcess(binary, [`--config.file=${config}`, storage, address]);
  const ask: Ask = async (call) => {
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/${call}`);
    return (await answer.json()) as Result;
  };
  const isUp = async (): Promise<boolean> =>
    ((await ask('query?query=up').catch(() => undefined))?.data?.result.length ?? 0) > 0;
  await until(isUp, { what: 'Prometheus', timeoutMs: 60_000 });
  return ask;
}

/** Streams and whole answers, some of them by an engine that breaks, some without a key. */
async function load(server: ServerProcess, forMs: number): Promise<void> {
  const { base_url: baseUrl, api_key: key } = server.ready;
  const endsAtMs = performance.now() + forMs;
  const client = async (number: number): Promise<void> => {
    for (let at = 0; performance.now() < endsAtMs; at += 1) {
      const faults = ['{}', '{}', '{}', '{"fault":"die","after":-1}', '{"fault":"die","after":3}'];
      const content = `fake:${faults[(at + number) % faults.length]}`;
      const answer = await fetch(`${baseUrl}/chat/completions`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${at % 10 === 9 ? 'nobody' : key}`,
          'content-type': 'application/json',
        },
        body: JSON.stringify({ stream: at % 2 === 0, messages: [{ role: 'user', content }] }),
      });
      await answer.text().catch(() => undefined);
    }
  };
  await Promise.all([1, 2, 3, 4].map(client));
}

async function askPanels(ask: Ask): Promise<{ panel: string; line: string; why: string | null }[]> {
  const results: { panel: string; line: string; why: string | null }[] = [];
  for (const { title: panel, lines } of panelRows.flatMap((row) => row.panels)) {
    for (const [line, expression] of Object.entries(lines)) {
      const query = expression
        .replaceAll('$__rate_interval', '20s')
        .replaceAll('$job', '.*')
        .replaceAll('$instance', '.*');
      const {
        status,
        error = status,
        data,
      } = await ask(`query?query=${encodeURIComponent(query)}`);
      const isEmpty = data?.result.length === 0 && !mayBeEmpty.has(panel);
      results.push({ panel, line, why: status !== 'success' ? error : isEmpty ? 'empty' : null });
    }
  }
  return results;
}
