import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { factsSchema, type AgentFacts } from '../../api/enrollment.ts';
import { probeHardware, thisMachine, type ProbeSource } from './hardware.ts';

/** A machine of paper: files by path, commands by name. */
function machine(
  files: Record<string, string>,
  commands: Record<string, string> = {},
): ProbeSource {
  return {
    command: (file) => Promise.resolve(commands[file]),
    readText: (file) => Promise.resolve(files[file]),
    list: (directory) =>
      Promise.resolve([
        ...new Set(
          Object.keys(files)
            .filter((file) => file.startsWith(`${directory}/`))
            .map((file) => file.slice(directory.length + 1).split('/')[0] ?? ''),
        ),
      ]),
  };
}

const cpuinfo = (vendor: string, model: string): Record<string, string> => ({
  '/proc/cpuinfo': `processor\t: 0\nvendor_id\t: ${vendor}\nmodel name\t: ${model}\n`,
});

async function probe(source: ProbeSource): Promise<AgentFacts> {
  const facts = await probeHardware({ agentVersion: '0.1.0', engine: 'url', source });
  return factsSchema.parse(facts);
}

test('a server CPU is taken for a desktop’s, or the other way round', async () => {
  const cases = [
    ['AuthenticAMD', 'AMD EPYC 7B13', 'amd', true],
    ['AuthenticAMD', 'AMD Ryzen 9 7950X 16-Core Processor', 'amd', false],
    ['GenuineIntel', 'Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz', 'intel', true],
    ['GenuineIntel', 'Intel(R) Core(TM) i7-1260P', 'intel', false],
  ] as const;
  for (const [vendorId, model, vendor, serverClass] of cases) {
    const { cpu } = await probe(machine(cpuinfo(vendorId, model)));
    assert.deepEqual([cpu.vendor, cpu.serverClass, cpu.model], [vendor, serverClass, model]);
  }
});

test('an accelerator that its driver names is missed or listed twice', async () => {
  const card = (n: number, vendor: string, device: string): Record<string, string> => ({
    [`/sys/class/drm/card${n}/device/vendor`]: `${vendor}\n`,
    [`/sys/class/drm/card${n}/device/device`]: `${device}\n`,
  });
  const nvidia = await probe(
    machine(card(0, '0x10de', '0x2330'), {
      'nvidia-smi':
        'NVIDIA H100 80GB HBM3, 81559, 550.54.15\nNVIDIA H100 80GB HBM3, 81559, 550.54.15\n',
    }),
  );
  assert.equal(nvidia.accelerators.length, 2);
  assert.deepEqual(nvidia.accelerators[0], {
    kind: 'nvidia',
    model: 'NVIDIA H100 80GB HBM3',
    memoryBytes: 81_559 * 2 ** 20,
    driver: '550.54.15',
  });
  const amd = await probe(
    machine(
      {},
      { 'rocm-smi': '{"card0":{"Card Series":"MI300X","VRAM Total Memory (B)":"1000"}}' },
    ),
  );
  assert.deepEqual(amd.accelerators, [{ kind: 'amd', model: 'MI300X', memoryBytes: 1000 }]);
  const gaudi = await probe(machine({}, { 'hl-smi': 'HL-225, 98304 MiB\n' }));
  assert.deepEqual(gaudi.accelerators, [
    { kind: 'gaudi', model: 'HL-225', memoryBytes: 98_304 * 2 ** 20 },
  ]);
  const intel = await probe(machine(card(0, '0x8086', '0x56a0')));
  assert.equal(intel.accelerators[0]?.kind, 'intel');
});

test('graphics that serve no models count as accelerators', async () => {
  const cards = await probe(
    machine({
      '/sys/class/drm/card0/device/vendor': '0x8086\n',
      '/sys/class/drm/card0/device/device': '0x46a6\n',
      '/sys/class/drm/card1/device/vendor': '0x1002\n',
      '/sys/class/drm/card1/device/device': '0x164e\n',
      '/sys/class/drm/card1/device/mem_info_vram_total': '536870912\n',
      '/sys/class/drm/card2/device/vendor': '0x1234\n',
      '/sys/class/drm/card0-HDMI-A-1/status': 'connected\n',
    }),
  );
  assert.deepEqual(cards.accelerators, []);
});

test('a driver tool that lies or babbles breaks the start', async () => {
  const facts = await probe(
    machine(cpuinfo('?', 'x'.repeat(1000)), {
      'nvidia-smi': 'No devices were found\n\u0007,,\n',
      'rocm-smi': 'not json',
      'hl-smi': ',',
    }),
  );
  assert.ok(facts.accelerators.every(({ model }) => !/\p{Cc}/u.test(model)));
  assert.equal(facts.cpu.model.length, 256);
});

test('this machine cannot be probed', async () => {
  const facts = await probe(thisMachine);
  assert.ok(facts.memoryBytes > 0 && facts.cpu.cores >= 1);
});

test('a stop that kills a process group in the place of a tool that was never there', async () => {
  const over = new AbortController();
  assert.equal(await thisMachine.command('/nowhere/nvidia-smi', [], over.signal), undefined);
  assert.equal(await thisMachine.command('true', [], over.signal), '');
  assert.deepEqual(getEventListeners(over.signal, 'abort'), []);
  const slow = thisMachine.command('sleep', ['60'], over.signal);
  over.abort();
  assert.equal(await slow, undefined);
  assert.equal(await thisMachine.command('sleep', ['60'], over.signal), undefined);
});
