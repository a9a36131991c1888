/** A project on the wire. */
import type { ProjectAnswer } from '../../api/control/projects.ts';
import type { ProjectView } from '../../control/projects/projects.ts';
import { isoTime } from '../control/isoTime.ts';

export function projectAnswer({ project, role }: ProjectView): ProjectAnswer {
  return {
    id: project.id,
    slug: project.slug,
    name: project.name,
    shared_access: project.sharedAccess,
    role,
    created_at: isoTime(project.createdAtMs),
    version: project.version,
  };
}
