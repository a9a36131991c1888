import type { DirectoryStore } from '../contract/directoryStore.ts';
import { changesSince, directoryHead } from '../directory/directory.ts';
import { directoryPage } from '../directory/directoryPage.ts';
import type { MethodsOf } from './method.ts';

export const directoryMethods: MethodsOf<DirectoryStore> = {
  directoryHead: { access: 'read', run: directoryHead },
  directoryPage: { access: 'read', run: directoryPage },
  changesSince: { access: 'read', run: changesSince },
};
