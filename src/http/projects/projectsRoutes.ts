/** Projects: list, look, create, change, delete. */
import type { projectContracts } from '../../api/control/projects.ts';
import type { Control } from '../../control/control.ts';
import { pageAnswer } from '../control/controlCall.ts';
import { projectAnswer } from './projectAnswer.ts';
import type { TopicHandlers } from '../control/topicHandlers.ts';

export function createProjectsRoutes(
  control: Pick<
    Control,
    'projects' | 'project' | 'createProject' | 'updateProject' | 'deleteProject'
  >,
): TopicHandlers<typeof projectContracts> {
  return {
    async projects(call) {
      const outcome = await control.projects(call);
      if (!outcome.ok) return call.refuse(outcome);
      const { projects: items, next } = outcome;
      return call.json(pageAnswer({ items, next }, projectAnswer));
    },
    async project(call) {
      const outcome = await control.project({ caller: call.caller, project: call.part('project') });
      return outcome.ok ? call.json(projectAnswer(outcome)) : call.refuse(outcome);
    },
    async createProject(call) {
      const { name, slug, shared_access: sharedAccess } = call.body;
      const { caller } = call;
      const outcome = await control.createProject({ caller, name, slug, sharedAccess });
      return outcome.ok ? call.json(projectAnswer(outcome)) : call.refuse(outcome);
    },
    async updateProject(call) {
      const { caller, body, expectedVersion } = call;
      const outcome = await control.updateProject({
        caller,
        project: call.part('project'),
        expectedVersion,
        name: body.name,
        sharedAccess: body.shared_access,
      });
      return outcome.ok ? call.json(projectAnswer(outcome)) : call.refuse(outcome);
    },
    async deleteProject(call) {
      const outcome = await control.deleteProject({
        caller: call.caller,
        project: call.part('project'),
      });
      return outcome.ok ? call.json({ id: outcome.id, deleted: true }) : call.refuse(outcome);
    },
  };
}
