/** Accelerators, and whether their drivers let this user at them. */
import type { AgentFacts } from '../../api/enrollment.ts';
import { sizeText } from '../textTable.ts';
import { finding, ok, type Finding } from './finding.ts';
import type { Machine } from './machine.ts';

type Accelerator = AgentFacts['accelerators'][number];

export async function checkAccelerators(
  machine: Machine,
  { accelerators, cpu }: Pick<AgentFacts, 'accelerators' | 'cpu'>,
): Promise<Finding[]> {
  if (accelerators.length === 0) return [withoutAny(cpu)];
  const findings = await Promise.all(accelerators.map((card) => checkCard(machine, card)));
  // Eight cards of a kind have one driver: what is wrong with it is said once.
  return findings.filter((one, at) => findings.findIndex((other) => same(one, other)) === at);
}

function withoutAny({ vendor, serverClass }: AgentFacts['cpu']): Finding {
  const tier = vendor === 'amd' ? 'cpu_amd_optimized' : 'cpu_intel_optimized';
  const serves = serverClass ? `${tier} and self_hosted` : 'self_hosted';
  return finding('note', 'Accelerator', {
    found: `none; an agent here serves ${serves} on the processor`,
    next: null,
  });
}

const same = (one: Finding, other: Finding): boolean =>
  one.check === other.check && one.found === other.found && one.level === other.level;

function checkCard(machine: Machine, card: Accelerator): Promise<Finding> {
  switch (card.kind) {
    case 'nvidia':
      return Promise.resolve(checkNvidia(card));
    case 'amd':
      return checkAmd(machine, card);
    case 'intel':
      return checkIntel(machine, card);
    case 'gaudi':
      return Promise.resolve(ok('Accelerator', nameOf(card)));
  }
}

function nameOf({ model, memoryBytes, driver }: Accelerator): string {
  const facts = [
    ...(memoryBytes === undefined ? [] : [sizeText(memoryBytes)]),
    ...(driver === undefined ? [] : [`driver ${driver}`]),
  ];
  return facts.length === 0 ? model : `${model} (${facts.join(', ')})`;
}

/** Its own tool says the driver; without the tool only the kernel knows of the card. */
function checkNvidia(card: Accelerator): Finding {
  if (card.driver !== undefined) return ok('Accelerator', nameOf(card));
  return finding('warning', 'Accelerator', {
    found: `${card.model} is there, but nvidia-smi does not answer`,
    next:
      'Install the NVIDIA driver of your distribution and start the machine again; in a ' +
      'container, give it the GPU (--gpus all).',
  });
}

async function checkAmd(machine: Machine, card: Accelerator): Promise<Finding> {
  if ((await machine.status('/dev/kfd')) === undefined) {
    return finding('warning', 'Accelerator', {
      found: `${card.model} is there, but ROCm’s driver is not (/dev/kfd)`,
      next: 'Install ROCm; in a container, give it /dev/kfd and /dev/dri.',
    });
  }
  return openTo(machine, { card, device: '/dev/kfd' });
}

async function checkIntel(machine: Machine, card: Accelerator): Promise<Finding> {
  const nodes = (await machine.list('/dev/dri')).filter((name) => name.startsWith('renderD'));
  const [first] = nodes;
  if (first === undefined) {
    return finding('warning', 'Accelerator', {
      found: `${card.model} is there, but its driver is not (/dev/dri)`,
      next: 'Install Intel’s GPU driver and oneAPI; in a container, give it /dev/dri.',
    });
  }
  return openTo(machine, { card, device: `/dev/dri/${first}` });
}

async function openTo(
  machine: Machine,
  { card, device }: { card: Accelerator; device: string },
): Promise<Finding> {
  if (await machine.mayUse(device)) return ok('Accelerator', nameOf(card));
  return finding('warning', 'Accelerator', {
    found: `${card.model} is closed to ${machine.userName} (${device})`,
    next: `Let the user in, and sign in again: sudo usermod -aG render,video ${machine.userName}`,
  });
}
