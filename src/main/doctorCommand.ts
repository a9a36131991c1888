/** `xim doctor`, with the hardware as an agent sees it. */
import { createDoctor } from '../cli/doctor/doctor.ts';
import { thisMachine } from '../cli/doctor/machine.ts';
import { version } from './process/version.ts';

export const doctorCommand = createDoctor(async () => {
  const { probeHardware } = await import('../agent/joining/hardware.ts');
  return {
    machine: thisMachine(),
    hardware: () => probeHardware({ agentVersion: version, engine: '' }),
    version,
  };
});
