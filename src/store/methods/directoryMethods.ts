import type { DirectoryStore } from '../contract/directoryStore.ts';
import { changesSince, directory } from '../queries/directory.ts';
import type { MethodsOf } from './method.ts';

export const directoryMethods: MethodsOf<DirectoryStore> = {
  directory: { access: 'read', run: directory },
  changesSince: { access: 'read', run: changesSince },
};
