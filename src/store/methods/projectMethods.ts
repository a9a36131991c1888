import type { ProjectStore } from '../contract/projectStore.ts';
import {
  deleteProject,
  insertProject,
  projectAccess,
  projectsOf,
  updateProject,
} from '../projects/projects.ts';
import type { MethodsOf } from './method.ts';

export const projectMethods: MethodsOf<ProjectStore> = {
  projectAccess: { access: 'read', run: projectAccess },
  projectsOf: { access: 'read', run: projectsOf },
  insertProject: { access: 'change', run: insertProject },
  updateProject: { access: 'change', run: updateProject },
  deleteProject: { access: 'change', run: deleteProject },
};
