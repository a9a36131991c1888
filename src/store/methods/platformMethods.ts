import type { PlatformStore } from '../contract/platformStore.ts';
import { bootstrap } from '../queries/bootstrap.ts';
import { isBootstrapped } from '../people/people.ts';
import { setting, settingOrInsert } from '../queries/settings.ts';
import type { MethodsOf } from './method.ts';

export const platformMethods: MethodsOf<PlatformStore> = {
  isBootstrapped: { access: 'read', run: isBootstrapped },
  bootstrap: { access: 'write', run: bootstrap },
  setting: { access: 'read', run: setting },
  settingOrInsert: { access: 'write', run: settingOrInsert },
};
