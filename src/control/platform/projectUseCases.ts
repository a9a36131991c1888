/** Projects and what they show. */
import { listProjects, projectOf } from '../projects/projects.ts';
import { recentRequests } from './projects.ts';

export const projectUseCases = {
  projects: listProjects,
  project: projectOf,
  recentRequests,
};
