/**
 * How the machine is now: memory and temperature of accelerators and processor. From the drivers'
 * tools where they are (NVIDIA, Gaudi, AMD without the kernel's files), from the kernel otherwise.
 * What nobody says is absent, never 0.
 */
import path from 'node:path';
import type { HeartbeatMessage } from '../../protocol/messages/agentControl.ts';
import type { ProbeSource } from '../joining/hardware.ts';

export type AcceleratorHealth = NonNullable<HeartbeatMessage['accelerators']>[number];

export interface MachineHealth {
  accelerators: AcceleratorHealth[];
  /** Of the processor, in °C. */
  temperatureC?: number;
}

/** As many as the machine's facts name. */
const mostAccelerators = 64;

/** Asks everything at once. Never rejects; `source` bounds what a tool may take. */
export async function readMachineHealth(source: ProbeSource): Promise<MachineHealth> {
  const [nvidia, amd, gaudi, temperatureC] = await Promise.all([
    readNvidia(source),
    readAmd(source),
    readGaudi(source),
    readProcessorTemperature(source),
  ]);
  const accelerators = [...nvidia, ...amd, ...gaudi].slice(0, mostAccelerators);
  return { accelerators, ...(temperatureC === undefined ? {} : { temperatureC }) };
}

async function readNvidia(source: ProbeSource): Promise<AcceleratorHealth[]> {
  const fields = 'name,memory.used,memory.total,utilization.gpu,temperature.gpu,power.draw';
  const out = await source.command('nvidia-smi', [
    `--query-gpu=${fields}`,
    '--format=csv,noheader,nounits',
  ]);
  return rows(out).map(([name = '', used, total, busy, temperature, power]) =>
    accelerator({
      name,
      memoryUsedBytes: mebibytes(used),
      memoryTotalBytes: mebibytes(total),
      utilization: percent(busy),
      temperatureC: number(temperature),
      powerW: number(power),
    }),
  );
}

/** Units stand behind the numbers (`1234 MiB`, `12 %`, `45 C`). */
async function readGaudi(source: ProbeSource): Promise<AcceleratorHealth[]> {
  const fields = 'name,memory.used,memory.total,utilization.aip,temperature.aip';
  const out = await source.command('hl-smi', ['-Q', fields, '-f', 'csv,noheader']);
  return rows(out).map(([name = '', used, total, busy, temperature]) =>
    accelerator({
      name,
      memoryUsedBytes: mebibytes(used),
      memoryTotalBytes: mebibytes(total),
      utilization: percent(busy),
      temperatureC: number(temperature),
    }),
  );
}

/** The kernel's files cost nothing; `rocm-smi` is asked where they are missing. */
async function readAmd(source: ProbeSource): Promise<AcceleratorHealth[]> {
  const root = '/sys/class/drm';
  const names = (await source.list(root)).filter((name) => /^card\d+$/.test(name));
  const cards = await Promise.all(
    names.slice(0, mostAccelerators).map((name) => readAmdCard(source, path.join(root, name))),
  );
  const seen = cards.flat();
  return seen.length > 0 ? seen : readRocm(source);
}

async function readAmdCard(source: ProbeSource, card: string): Promise<AcceleratorHealth[]> {
  const read = async (file: string): Promise<string | undefined> =>
    (await source.readText(path.join(card, 'device', file)))?.trim();
  if ((await read('vendor')) !== '0x1002') return [];
  const memoryTotalBytes = number(await read('mem_info_vram_total'));
  // The graphics of a desktop's processor, or a driver that says nothing.
  if (memoryTotalBytes === undefined || memoryTotalBytes < 4 * 2 ** 30) return [];
  return [
    accelerator({
      name: (await read('product_name')) || `AMD GPU ${(await read('device')) ?? ''}`.trim(),
      memoryUsedBytes: number(await read('mem_info_vram_used')),
      memoryTotalBytes,
      utilization: percent(await read('gpu_busy_percent')),
      temperatureC: await hottest(source, path.join(card, 'device', 'hwmon')),
    }),
  ];
}

async function readRocm(source: ProbeSource): Promise<AcceleratorHealth[]> {
  const args = ['--showproductname', '--showmeminfo', 'vram', '--showuse', '--showtemp', '--json'];
  const out = await source.command('rocm-smi', args);
  return Object.entries(recordIn(out)).flatMap(([key, value]) => {
    if (!key.startsWith('card')) return [];
    const card = value as Record<string, unknown>;
    const say = (...names: string[]): string | undefined =>
      names.map((name) => card[name]).find((one) => typeof one === 'string');
    return [
      accelerator({
        name: say('Card Series', 'Card series', 'Card Model') ?? 'AMD GPU',
        memoryUsedBytes: number(say('VRAM Total Used Memory (B)')),
        memoryTotalBytes: number(say('VRAM Total Memory (B)')),
        utilization: percent(say('GPU use (%)')),
        temperatureC: number(
          say('Temperature (Sensor junction) (C)', 'Temperature (Sensor edge) (C)'),
        ),
      }),
    ];
  });
}

/** Drivers of processors' own sensors. */
const processorSensors = new Set(['coretemp', 'k10temp', 'zenpower', 'cpu_thermal']);

async function readProcessorTemperature(source: ProbeSource): Promise<number | undefined> {
  const root = '/sys/class/hwmon';
  for (const name of (await source.list(root)).slice(0, 64)) {
    const driver = (await source.readText(path.join(root, name, 'name')))?.trim() ?? '';
    if (processorSensors.has(driver)) return hottestIn(source, path.join(root, name));
  }
  return undefined;
}

/** The highest of all sensors below a directory of `hwmon*`. */
async function hottest(source: ProbeSource, directory: string): Promise<number | undefined> {
  const [name] = await source.list(directory);
  return name === undefined ? undefined : hottestIn(source, path.join(directory, name));
}

async function hottestIn(source: ProbeSource, sensors: string): Promise<number | undefined> {
  const files = (await source.list(sensors)).filter((file) => /^temp\d+_input$/.test(file));
  const texts = await Promise.all(
    files.slice(0, 256).map((file) => source.readText(path.join(sensors, file))),
  );
  // In thousandths of a degree.
  const all = texts.flatMap((text) => number(text) ?? []).map((value) => value / 1000);
  return all.length === 0 ? undefined : Math.max(...all);
}

/** Only what was said, within the bounds of HEARTBEAT. */
function accelerator(seen: {
  name: string;
  memoryUsedBytes?: number | undefined;
  memoryTotalBytes?: number | undefined;
  utilization?: number | undefined;
  temperatureC?: number | undefined;
  powerW?: number | undefined;
}): AcceleratorHealth {
  const name = seen.name.replace(/\p{Cc}/gu, ' ').slice(0, 128);
  const { utilization, temperatureC, ...amounts } = seen;
  const said = Object.entries(amounts).filter(
    ([, value]) => typeof value === 'number' && value >= 0,
  );
  return {
    ...(Object.fromEntries(said) as Omit<AcceleratorHealth, 'name'>),
    name,
    ...(utilization === undefined ? {} : { utilization: Math.min(1, Math.max(0, utilization)) }),
    ...(temperatureC === undefined ? {} : { temperatureC: clamp(temperatureC) }),
  };
}

const clamp = (degrees: number): number => Math.min(1_000, Math.max(-273, degrees));

const rows = (out: string | undefined): string[][] =>
  (out ?? '')
    .split('\n')
    .filter((line) => line.includes(','))
    .map((line) => line.split(',').map((cell) => cell.trim()));

/** The number at the beginning; undefined for `[N/A]`, `N/A` and nothing. */
function number(text: string | undefined): number | undefined {
  const value = Number.parseFloat(text ?? '');
  return Number.isFinite(value) ? value : undefined;
}

function mebibytes(text: string | undefined): number | undefined {
  const value = number(text);
  return value === undefined ? undefined : value * 2 ** 20;
}

function percent(text: string | undefined): number | undefined {
  const value = number(text);
  return value === undefined ? undefined : value / 100;
}

function recordIn(out: string | undefined): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(out ?? '');
    return value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
