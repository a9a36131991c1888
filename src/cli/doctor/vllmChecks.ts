/**
 * Whether vLLM can run here: what its documentation asks for (Linux, glibc, Python, a GPU or a
 * processor that it supports), and whether it is installed. Where it was asked for, what is missing
 * is an error; else it is a note.
 */
import type { AgentFacts } from '../../api/enrollment.ts';
import { sizeText } from '../textTable.ts';
import { finding, ok, type Finding } from './finding.ts';
import { processorFlags } from './hostChecks.ts';
import type { Machine } from './machine.ts';
import { compareVersions } from './versions.ts';

const [oldestPython, newestPython] = ['3.10', '3.13'];
/** Its wheels are built for it. */
const oldestGlibc = '2.28';
const oldestRocmGlibc = '2.35';
const oldestRocm = '6.3';
/** The first driver of CUDA 12. */
const oldestNvidiaDriver = '525.60';
const oldestCapability = '7.5';
/** A small model in half precision with its cache, in bytes. */
const leastMemoryBytes = 8 * 2 ** 30;
/** Processes of one engine share memory here. */
const leastSharedBytes = 2 ** 30;

interface Need {
  found: string;
  next: string;
}

export interface VllmWish {
  wanted: boolean;
  /** The Python that has it, or shall have it. */
  python: string;
}

export async function checkVllm(
  machine: Machine,
  facts: Pick<AgentFacts, 'accelerators'>,
  { wanted, python }: VllmWish,
): Promise<Finding[]> {
  const version = pythonVersion(await machine.command(python, ['--version']));
  const needs = [
    ...systemNeeds(machine),
    ...pythonNeeds(python, version),
    ...(await deviceNeeds(machine, facts)),
    ...(await memoryNeeds(machine)),
    ...(await packageNeeds(machine, python, version)),
  ];
  if (needs.length === 0)
    return [ok('vLLM', `Python ${version} has it, and what it needs is here`)];
  const level = wanted ? 'error' : 'note';
  return needs.map((need) => finding(level, 'vLLM', need));
}

const pythonVersion = (out: string | undefined): string | undefined =>
  /Python (\d+\.\d+\.\d+)/.exec(out ?? '')?.[1];

function systemNeeds({ platform, glibcVersion }: Machine): Need[] {
  if (platform !== 'linux') {
    return [{ found: `does not run on ${platform}`, next: 'Take a machine with Linux.' }];
  }
  if (glibcVersion !== null && compareVersions(glibcVersion, oldestGlibc) >= 0) return [];
  const found = `needs glibc ${oldestGlibc}; here is ${glibcVersion ?? 'another C library'}`;
  return [{ found, next: 'Take a newer distribution, or vLLM’s container image.' }];
}

function pythonNeeds(python: string, version: string | undefined): Need[] {
  const wish = `Python ${oldestPython} to ${newestPython}`;
  const next = `Install ${wish}, or name it with --python FILE.`;
  if (version === undefined) return [{ found: `needs ${wish}; ${python} does not answer`, next }];
  const fits =
    compareVersions(version, oldestPython) >= 0 &&
    compareVersions(minorOf(version), newestPython) <= 0;
  return fits ? [] : [{ found: `needs ${wish}; here is ${version}`, next }];
}

const minorOf = (version: string): string => version.split('.').slice(0, 2).join('.');

async function deviceNeeds(
  machine: Machine,
  { accelerators }: Pick<AgentFacts, 'accelerators'>,
): Promise<Need[]> {
  const kinds = new Set(accelerators.map(({ kind }) => kind));
  if (kinds.has('nvidia')) return nvidiaNeeds(machine);
  if (kinds.has('amd')) return rocmNeeds(machine);
  return kinds.size > 0 ? [] : processorNeeds(machine);
}

async function nvidiaNeeds(machine: Machine): Promise<Need[]> {
  const query = ['--query-gpu=compute_cap,driver_version', '--format=csv,noheader'];
  const out = await machine.command('nvidia-smi', query);
  const [capability, driver] =
    (out ?? '')
      .split('\n')[0]
      ?.split(',')
      .map((cell) => cell.trim()) ?? [];
  if (capability === undefined || driver === undefined) {
    const next = 'Install the NVIDIA driver; nvidia-smi shows when it works.';
    return [{ found: 'needs the NVIDIA driver, which does not answer', next }];
  }
  const needs: Need[] = [];
  if (compareVersions(driver, oldestNvidiaDriver) < 0) {
    const found = `needs NVIDIA’s driver ${oldestNvidiaDriver} or newer; here is ${driver}`;
    needs.push({ found, next: 'Update the driver.' });
  }
  if (compareVersions(capability, oldestCapability) < 0) {
    const found = `needs compute capability ${oldestCapability}; this GPU has ${capability}`;
    needs.push({ found, next: 'Serve with the embedded engine, llama-server or Ollama instead.' });
  }
  return needs;
}

async function rocmNeeds(machine: Machine): Promise<Need[]> {
  const needs: Need[] = [];
  const version = (await machine.readText('/opt/rocm/.info/version'))?.trim();
  if (version === undefined || compareVersions(version, oldestRocm) < 0) {
    const found = `needs ROCm ${oldestRocm} or newer; here is ${version ?? 'none'}`;
    needs.push({ found, next: 'Install ROCm, or take vLLM’s container image for ROCm.' });
  }
  const { glibcVersion } = machine;
  if (glibcVersion !== null && compareVersions(glibcVersion, oldestRocmGlibc) < 0) {
    const found = `needs glibc ${oldestRocmGlibc} with ROCm; here is ${glibcVersion}`;
    needs.push({ found, next: 'Take a newer distribution, or vLLM’s container image for ROCm.' });
  }
  return needs;
}

async function processorNeeds(machine: Machine): Promise<Need[]> {
  const flags = await processorFlags(machine);
  if (machine.arch !== 'x64' || flags.size === 0 || flags.has('avx512f')) return [];
  const found = 'runs on processors with AVX-512 at best; this one has none, and no GPU is here';
  return [{ found, next: 'Serve with the embedded engine or llama-server instead.' }];
}

async function memoryNeeds(machine: Machine): Promise<Need[]> {
  const needs: Need[] = [];
  const { availableBytes } = machine.memory();
  if (availableBytes < leastMemoryBytes) {
    const here = `available is ${sizeText(availableBytes)}`;
    const found = `needs ${sizeText(leastMemoryBytes)} of memory; ${here}`;
    needs.push({ found, next: 'End other programs, or serve with the embedded engine.' });
  }
  const shared = await machine.disk('/dev/shm');
  if (shared !== undefined && shared.totalBytes < leastSharedBytes) {
    const found = `needs shared memory; /dev/shm has ${sizeText(shared.totalBytes)}`;
    needs.push({ found, next: 'In a container, start it with --ipc=host or --shm-size=8g.' });
  }
  return needs;
}

async function packageNeeds(
  machine: Machine,
  python: string,
  version: string | undefined,
): Promise<Need[]> {
  if (version === undefined) return [];
  const program = 'import importlib.metadata as m; print(m.version("vllm"))';
  const out = await machine.command(python, ['-c', program]);
  if (/^\d+\.\d+/.test(out ?? '')) return [];
  const install = `${python} -m venv vllm && vllm/bin/pip install vllm`;
  const next = `Install it in an environment of its own: ${install}`;
  return [{ found: `is not installed for ${python}`, next }];
}
