import assert from 'node:assert/strict';
import { test } from 'node:test';
import { heartbeatSchema } from '../../protocol/messages/agentControl.ts';
import { FakeClock } from '../../testing/fakeClock.ts';
import type { ProbeSource } from '../joining/hardware.ts';
import { healthIntervalMs, healthStaleMs, missingToolRetryMs } from '../limits.ts';
import { HealthProbe } from './healthProbe.ts';
import { readMachineHealth, type MachineHealth } from './machineHealth.ts';

/** A machine of paper: files by path, commands by name. */
function machine(
  files: Record<string, string>,
  commands: Record<string, string | undefined> = {},
): ProbeSource {
  const below = (directory: string): string[] =>
    Object.keys(files)
      .filter((file) => file.startsWith(`${directory}/`))
      .map((file) => file.slice(directory.length + 1).split('/')[0] ?? '');
  return {
    command: (file) => Promise.resolve(commands[file]),
    readText: (file) => Promise.resolve(files[file]),
    list: (directory) => Promise.resolve([...new Set(below(directory))]),
  };
}

/** What is read always fits HEARTBEAT. */
async function read(source: ProbeSource): Promise<MachineHealth> {
  const health = await readMachineHealth(source);
  heartbeatSchema.parse({ type: 'heartbeat', models: [], engines: [], ...health });
  return health;
}

test('an NVIDIA card’s numbers are swapped, or N/A is taken for a number', async () => {
  const out =
    'NVIDIA H100 80GB HBM3, 40960, 81559, 87, 61, 512.30\n' +
    'NVIDIA GB10, [N/A], [N/A], 3, 41, [Not Supported]\n';
  const { accelerators } = await read(machine({}, { 'nvidia-smi': out }));
  assert.deepEqual(accelerators, [
    {
      name: 'NVIDIA H100 80GB HBM3',
      memoryUsedBytes: 40_960 * 2 ** 20,
      memoryTotalBytes: 81_559 * 2 ** 20,
      utilization: 0.87,
      temperatureC: 61,
      powerW: 512.3,
    },
    { name: 'NVIDIA GB10', utilization: 0.03, temperatureC: 41 },
  ]);
});

test('an AMD card needs a tool, or a desktop’s graphics count as one', async () => {
  const card = (n: number, totalBytes: number): Record<string, string> => {
    const device = `/sys/class/drm/card${n}/device`;
    return {
      [`${device}/vendor`]: '0x1002\n',
      [`${device}/device`]: '0x74a1\n',
      [`${device}/mem_info_vram_total`]: `${totalBytes}\n`,
      [`${device}/mem_info_vram_used`]: '1000000\n',
      [`${device}/gpu_busy_percent`]: '55\n',
      [`${device}/hwmon/hwmon3/temp1_input`]: '45000\n',
      [`${device}/hwmon/hwmon3/temp2_input`]: '61500\n',
    };
  };
  const { accelerators } = await read(machine({ ...card(0, 192e9), ...card(1, 512e6) }));
  assert.deepEqual(accelerators, [
    {
      name: 'AMD GPU 0x74a1',
      memoryUsedBytes: 1e6,
      memoryTotalBytes: 192e9,
      utilization: 0.55,
      temperatureC: 61.5,
    },
  ]);
  const rocm = JSON.stringify({
    card0: {
      'Card Series': 'AMD Instinct MI300X',
      'VRAM Total Memory (B)': '205000000000',
      'VRAM Total Used Memory (B)': '5000000000',
      'GPU use (%)': '12',
      'Temperature (Sensor junction) (C)': '48.0',
    },
    system: {},
  });
  const tool = await read(machine({}, { 'rocm-smi': rocm }));
  assert.deepEqual(tool.accelerators, [
    {
      name: 'AMD Instinct MI300X',
      memoryUsedBytes: 5e9,
      memoryTotalBytes: 205e9,
      utilization: 0.12,
      temperatureC: 48,
    },
  ]);
});

test('a Gaudi card’s units are read as numbers', async () => {
  const out = 'HL-225, 768 MiB, 98304 MiB, 7 %, 31 C\n';
  const { accelerators } = await read(machine({}, { 'hl-smi': out }));
  assert.deepEqual(accelerators, [
    {
      name: 'HL-225',
      memoryUsedBytes: 768 * 2 ** 20,
      memoryTotalBytes: 98_304 * 2 ** 20,
      utilization: 0.07,
      temperatureC: 31,
    },
  ]);
});

test('a disk’s or a network card’s temperature is taken for the processor’s', async () => {
  const sensors = {
    '/sys/class/hwmon/hwmon0/name': 'nvme\n',
    '/sys/class/hwmon/hwmon0/temp1_input': '80000\n',
    '/sys/class/hwmon/hwmon1/name': 'k10temp\n',
    '/sys/class/hwmon/hwmon1/temp1_input': '52125\n',
    '/sys/class/hwmon/hwmon1/temp3_input': '55000\n',
  };
  assert.equal((await read(machine(sensors))).temperatureC, 55);
});

test('a machine without sensors has 0 degrees, and nonsense breaks HEARTBEAT', async () => {
  assert.deepEqual(await read(machine({})), { accelerators: [] });
  const nonsense = 'x'.repeat(500) + '\u001b, -3, 1e99, 500, 99999, -1\n,,,,\n';
  const files = {
    '/sys/class/hwmon/hwmon1/name': 'coretemp',
    '/sys/class/hwmon/hwmon1/temp1_input': 'hot',
  };
  const { accelerators, temperatureC } = await read(machine(files, { 'nvidia-smi': nonsense }));
  assert.equal(temperatureC, undefined);
  assert.equal(accelerators[0]?.utilization, 1);
  assert.equal(accelerators[0]?.memoryUsedBytes, undefined);
});

test('a missing tool is started again and again, or never again', async () => {
  const clock = new FakeClock();
  let asked = 0;
  const source = machine({});
  source.command = (file) => {
    if (file === 'nvidia-smi') asked += 1;
    return Promise.resolve(undefined);
  };
  const over = new AbortController();
  const running = new HealthProbe({ clock, source }).run(over.signal);
  await clock.advanceAsync(missingToolRetryMs - healthIntervalMs);
  assert.equal(asked, 1);
  await clock.advanceAsync(2 * healthIntervalMs);
  assert.equal(asked, 2);
  over.abort();
  await running;
});

test('a tool that hangs freezes the last numbers for ever, or the agent’s end', async () => {
  const clock = new FakeClock();
  let hang = false;
  const source = machine({});
  source.command = (file, _args, signal) => {
    if (file !== 'nvidia-smi') return Promise.resolve(undefined);
    if (!hang) return Promise.resolve('card, 1, 2, 3, 4, 5\n');
    return new Promise((resolve) => {
      signal?.addEventListener('abort', () => resolve(undefined));
    });
  };
  const over = new AbortController();
  const probe = new HealthProbe({ clock, source });
  const running = probe.run(over.signal);
  await clock.advanceAsync(1);
  assert.equal(probe.latest().accelerators.length, 1);
  hang = true;
  await clock.advanceAsync(healthStaleMs + 1);
  assert.equal(probe.latest().accelerators.length, 0);
  over.abort();
  await running;
});
