import type { ProjectStore } from '../contract/projectStore.ts';
import { apiKeysOf, revokeApiKey } from '../queries/apiKeys.ts';
import { projects } from '../queries/projects.ts';
import type { MethodsOf } from './method.ts';

export const projectMethods: MethodsOf<ProjectStore> = {
  projects: { access: 'read', run: projects },
  apiKeysOf: { access: 'read', run: apiKeysOf },
  revokeApiKey: { access: 'write', run: revokeApiKey },
};
