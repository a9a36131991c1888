/**
 * What machine this is, for the agents page and for default tiers. Best effort and bounded in time:
 * a driver tool that hangs, lies or is missing costs seconds, never the start.
 */
import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { AgentFacts } from '../../api/enrollment.ts';
import { maxProbeOutputBytes, probeCommandTimeoutMs } from '../limits.ts';

export type Accelerator = AgentFacts['accelerators'][number];
type Cpu = AgentFacts['cpu'];

/** How the probe reaches the machine; tests give a machine of paper. */
export interface ProbeSource {
  /** Standard output; undefined when the command is missing, fails, takes too long, is ended. */
  command(file: string, args: readonly string[], signal?: AbortSignal): Promise<string | undefined>;
  readText(file: string): Promise<string | undefined>;
  list(directory: string): Promise<readonly string[]>;
}

/** The machine itself. */
export const thisMachine: ProbeSource = {
  command: (file, args, signal) =>
    new Promise((resolve) => {
      const bounds = { timeout: probeCommandTimeoutMs, maxBuffer: maxProbeOutputBytes };
      const options = { ...bounds, killSignal: 'SIGKILL' } as const;
      const child = execFile(file, [...args], options, (error, stdout) => {
        signal?.removeEventListener('abort', end);
        resolve(error === null ? stdout : undefined);
      });
      // Not Node's own `signal`: it stays with a command that was not there, and then kills by a
      // process number that was never set; 0 is our whole process group.
      const end = (): void => void (child.pid === undefined || child.kill('SIGKILL'));
      signal?.addEventListener('abort', end, { once: true });
      if (signal?.aborted === true) end();
    }),
  readText: (file) => readFile(file, 'utf8').catch(() => undefined),
  list: (directory) => readdir(directory).catch(() => []),
};

/** Probes the machine. Never rejects. */
export async function probeHardware(options: {
  agentVersion: string;
  engine: string;
  source?: ProbeSource;
}): Promise<AgentFacts> {
  const source = options.source ?? thisMachine;
  const [cpu, accelerators] = await Promise.all([probeCpu(source), probeAccelerators(source)]);
  return {
    hostname: text(os.hostname()),
    os: text(`${os.type()} ${os.release()}`),
    arch: text(os.arch()),
    agentVersion: text(options.agentVersion),
    nodeVersion: text(process.version),
    cpu,
    memoryBytes: os.totalmem(),
    accelerators: accelerators.slice(0, 64),
    engine: text(options.engine),
  };
}

async function probeCpu(source: ProbeSource): Promise<Cpu> {
  const info = (await source.readText('/proc/cpuinfo')) ?? '';
  const field = (name: RegExp): string => name.exec(info)?.[1]?.trim() ?? '';
  const model = field(/^model name\s*:(.*)$/m) || (os.cpus()[0]?.model ?? '');
  const vendor = vendorOf(field(/^vendor_id\s*:(.*)$/m), model);
  const serverClass =
    (vendor === 'amd' && /\bEPYC\b/i.test(model)) ||
    (vendor === 'intel' && /\bXeon\b/i.test(model));
  const cores = Math.min(Math.max(1, os.availableParallelism()), 65_536);
  return { vendor, serverClass, model: text(model || 'unknown'), cores };
}

function vendorOf(id: string, model: string): Cpu['vendor'] {
  if (id === 'AuthenticAMD' || /\bAMD\b/.test(model)) return 'amd';
  if (id === 'GenuineIntel' || /\bIntel\b/.test(model)) return 'intel';
  return os.arch() === 'arm64' || os.arch() === 'arm' ? 'arm' : 'other';
}

async function probeAccelerators(source: ProbeSource): Promise<Accelerator[]> {
  const [nvidia, amd, gaudi, cards] = await Promise.all([
    probeNvidia(source),
    probeRocm(source),
    probeGaudi(source),
    probeCards(source),
  ]);
  const named = [...nvidia, ...amd, ...gaudi];
  // The kernel's list only fills in what no driver tool has named.
  return [...named, ...cards.filter((card) => !named.some((known) => known.kind === card.kind))];
}

async function probeNvidia(source: ProbeSource): Promise<Accelerator[]> {
  const fields = 'name,memory.total,driver_version';
  const out = await source.command('nvidia-smi', [
    `--query-gpu=${fields}`,
    '--format=csv,noheader,nounits',
  ]);
  return lines(out).flatMap((line) => {
    const [model, mebibytes, driver] = line.split(',').map((cell) => cell.trim());
    if (model === undefined || model === '' || driver === undefined) return [];
    return [accelerator({ kind: 'nvidia', model, bytes: Number(mebibytes) * 2 ** 20, driver })];
  });
}

/** `rocm-smi --json`: one object per card, keys as the tool prints them. */
async function probeRocm(source: ProbeSource): Promise<Accelerator[]> {
  const args = ['--showproductname', '--showmeminfo', 'vram', '--json'];
  const cards = asRecord(parseJson(await source.command('rocm-smi', args)));
  return Object.entries(cards).flatMap(([name, value]) => {
    if (!name.startsWith('card')) return [];
    const card = asRecord(value);
    const model = ['Card Series', 'Card series', 'Card Model']
      .map((key) => card[key])
      .find((name) => typeof name === 'string');
    const bytes = Number(card['VRAM Total Memory (B)']);
    return [accelerator({ kind: 'amd', model: model ?? 'AMD GPU', bytes })];
  });
}

async function probeGaudi(source: ProbeSource): Promise<Accelerator[]> {
  const out = await source.command('hl-smi', ['-Q', 'name,memory.total', '-f', 'csv,noheader']);
  return lines(out).flatMap((line) => {
    const [model, memory] = line.split(',').map((cell) => cell.trim());
    if (model === undefined || model === '') return [];
    return [
      accelerator({ kind: 'gaudi', model, bytes: Number.parseInt(memory ?? '', 10) * 2 ** 20 }),
    ];
  });
}

/** Graphics cards as the kernel lists them, by PCI vendor and class: no tool is needed for it. */
async function probeCards(source: ProbeSource): Promise<Accelerator[]> {
  const root = '/sys/class/drm';
  const names = (await source.list(root)).filter((name) => /^card\d+$/.test(name)).slice(0, 64);
  const cards = await Promise.all(names.map((name) => probeCard(source, path.join(root, name))));
  return cards.flat();
}

async function probeCard(source: ProbeSource, card: string): Promise<Accelerator[]> {
  const read = async (file: string): Promise<string> =>
    (await source.readText(path.join(card, 'device', file)))?.trim() ?? '';
  const [vendor, device, vram] = [
    await read('vendor'),
    await read('device'),
    await read('mem_info_vram_total'),
  ];
  switch (vendor) {
    case '0x10de':
      return [accelerator({ kind: 'nvidia', model: `NVIDIA GPU ${device}` })];
    case '0x1002':
      return integratedAmd(Number(vram))
        ? []
        : [accelerator({ kind: 'amd', model: `AMD GPU ${device}`, bytes: Number(vram) })];
    case '0x8086':
      return discreteIntel(Number(device))
        ? [accelerator({ kind: 'intel', model: `Intel GPU ${device}` })]
        : [];
    default:
      return [];
  }
}

/** A desktop CPU's own graphics have a carve-out of a few hundred MiB and serve no models. */
function integratedAmd(vramBytes: number): boolean {
  return !Number.isFinite(vramBytes) || vramBytes < 4 * 2 ** 30;
}

/** PCI ids of Arc (DG2: 56xx, Battlemage: e2xx) and of the Data Center Max series (0bdx). */
function discreteIntel(device: number): boolean {
  return device >> 8 === 0x56 || device >> 8 === 0xe2 || device >> 4 === 0x0bd;
}

function accelerator(seen: {
  kind: Accelerator['kind'];
  model: string;
  bytes?: number;
  driver?: string;
}): Accelerator {
  const memory = seen.bytes !== undefined && Number.isFinite(seen.bytes) && seen.bytes > 0;
  return {
    kind: seen.kind,
    model: text(seen.model),
    ...(memory ? { memoryBytes: seen.bytes } : {}),
    ...(seen.driver === undefined ? {} : { driver: text(seen.driver) }),
  };
}

const lines = (out: string | undefined): string[] =>
  (out ?? '').split('\n').filter((line) => line.trim() !== '');

/** The schema's bound, and no control characters: it is shown on pages and in terminals. */
const text = (value: string): string => value.replace(/\p{Cc}/gu, ' ').slice(0, 256);

const asRecord = (value: unknown): Record<string, unknown> =>
  value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : {};

function parseJson(out: string | undefined): unknown {
  try {
    return JSON.parse(out ?? '');
  } catch {
    return undefined;
  }
}
