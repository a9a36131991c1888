/** Node, the system, memory, disk, the processor, open files, the service manager. */
import { sizeText } from '../textTable.ts';
import { finding, ok, type Finding } from './finding.ts';
import type { Machine } from './machine.ts';
import { compareVersions } from './versions.ts';

const oldestNode = '20.18.1';
const gib = 2 ** 30;
/** The default model with its context, in bytes. */
const leastMemoryBytes = 2 * gib;
/** Below it nothing fits; below the other, few models do. */
const leastDiskBytes = gib;
const tightDiskBytes = 20 * gib;
/** Sockets of clients and agents, files of models and the database. */
const leastOpenFiles = 4096;

export function checkNode({ nodeVersion }: Machine): Finding[] {
  if (compareVersions(nodeVersion, oldestNode) >= 0) return [ok('Node', nodeVersion)];
  const found = `${nodeVersion} is too old`;
  return [finding('error', 'Node', { found, next: `Install Node ${oldestNode} or newer.` })];
}

export function checkSystem({ platform, arch, glibcVersion }: Machine): Finding[] {
  const name = `${platform} on ${arch}`;
  if (platform !== 'linux') {
    const next = 'Servers and agents run on Linux; on other systems this program manages them.';
    return [finding('warning', 'System', { found: name, next })];
  }
  if (arch !== 'x64' && arch !== 'arm64') {
    const next = 'The embedded engine has no binaries for it; attach one with --engine-url.';
    return [finding('warning', 'System', { found: name, next })];
  }
  if (glibcVersion === null) {
    const found = `${name}, without glibc`;
    const next =
      'The embedded engine is compiled at its first start: it takes cmake and a compiler.';
    return [finding('note', 'System', { found, next })];
  }
  return [ok('System', `${name}, glibc ${glibcVersion}`)];
}

export function checkMemory(machine: Machine): Finding[] {
  const { totalBytes, availableBytes } = machine.memory();
  const found = `${sizeText(availableBytes)} of ${sizeText(totalBytes)} available`;
  if (availableBytes >= leastMemoryBytes) return [ok('Memory', found)];
  const next = 'The default model takes about 1 GB; end other programs, or serve smaller models.';
  return [finding('warning', 'Memory', { found, next })];
}

export async function checkDisk(
  machine: Machine,
  directories: Readonly<Record<string, string>>,
): Promise<Finding[]> {
  const findings = Object.entries(directories).map(async ([what, directory]) => {
    const disk = await machine.disk(directory);
    const check = `Disk of ${what}`;
    if (disk === undefined) {
      const next = `Make a directory that this user may write: ${directory}`;
      return finding('error', check, { found: `${directory} cannot be made`, next });
    }
    const found = `${sizeText(disk.freeBytes)} free at ${directory}`;
    if (disk.freeBytes >= tightDiskBytes) return ok(check, found);
    const level = disk.freeBytes >= leastDiskBytes ? 'note' : 'error';
    const next = 'Models are large; make room, or choose another directory.';
    return finding(level, check, { found, next });
  });
  return Promise.all(findings);
}

export async function checkProcessor(machine: Machine, model: string): Promise<Finding[]> {
  const flags = await processorFlags(machine);
  const useful = ['avx2', 'avx512f', 'avx512_bf16', 'amx_bf16'].filter((flag) => flags.has(flag));
  const found = useful.length === 0 ? model : `${model} (${useful.join(', ')})`;
  if (machine.arch !== 'x64' || flags.size === 0 || flags.has('avx2')) {
    return [ok('Processor', found)];
  }
  const next = 'Without AVX2, models on the processor are very slow; serve from an accelerator.';
  return [finding('warning', 'Processor', { found: `${model}, without AVX2`, next })];
}

/** Empty where the system does not say. */
export async function processorFlags(machine: Machine): Promise<ReadonlySet<string>> {
  const info = (await machine.readText('/proc/cpuinfo')) ?? '';
  const line = /^(?:flags|Features)\s*:(.*)$/m.exec(info)?.[1] ?? '';
  return new Set(
    line
      .trim()
      .split(/\s+/)
      .filter((flag) => flag !== ''),
  );
}

export async function checkOpenFiles(machine: Machine): Promise<Finding[]> {
  const limits = await machine.readText('/proc/self/limits');
  const [, most] = /^Max open files\s+(\d+|unlimited)/m.exec(limits ?? '') ?? [];
  if (most === undefined) return [];
  if (most === 'unlimited' || Number(most) >= leastOpenFiles) {
    return [ok('Open files', `${most} at once`)];
  }
  const next =
    'A server with many clients needs more: ulimit -n 65536 before it starts, or ' +
    'LimitNOFILE=65536 in its systemd unit.';
  return [finding('warning', 'Open files', { found: `${most} at once`, next })];
}

/** A user's services end with the last session, unless somebody said otherwise. */
export async function checkService(machine: Machine): Promise<Finding[]> {
  const { uid, userName } = machine;
  const systemd = (await machine.status('/run/systemd/system')) !== undefined;
  if (!systemd || uid === 0 || uid === null) return [];
  if ((await machine.status(`/var/lib/systemd/linger/${userName}`)) !== undefined) {
    return [ok('Service', `services of ${userName} outlive the session`)];
  }
  return [
    finding('note', 'Service', {
      found: `services of ${userName} end with the session`,
      next: 'For an agent that stays: loginctl enable-linger',
    }),
  ];
}
