/** Projects and what they show. */
import { listProjects, projectOf } from '../projects/projects.ts';
import { listEndpoints, recentRequests } from './projects.ts';

export const projectUseCases = {
  projects: listProjects,
  project: projectOf,
  endpoints: listEndpoints,
  recentRequests,
};
