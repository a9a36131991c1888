/** Status of the server, and what its live stream shows of a project. */
import { openApiDocument } from '../../api/openapi/openApiDocument.ts';
import type { RequestAnswer } from '../../api/control/requests.ts';
import type { StatusAnswer, statusContracts } from '../../api/control/status.ts';
import type { Control } from '../../control/control.ts';
import type { RequestView } from '../../control/usage/recentRequests.ts';
import type { Caller } from '../../control/principal.ts';
import type { Clock } from '../../lib/clock.ts';
import { budgetNotices } from '../usage/budgetNotices.ts';
import { isoTime } from '../control/isoTime.ts';
import type { LiveView } from '../live/liveView.ts';
import { requestAnswer } from '../usage/requestAnswer.ts';
import type { TopicHandlers } from '../control/topicHandlers.ts';

/** What an operator should know, e.g. that shared agents run without a sandbox. */
export type Notices = () => StatusAnswer['notices'];

export interface ProjectAnswers {
  status(caller: Caller): Promise<StatusAnswer>;
  requests(views: readonly RequestView[]): RequestAnswer[];
}

export interface ProjectAnswerOptions {
  control: Pick<Control, 'projects'>;
  router: LiveView;
  clock: Clock;
  version: string;
  notices: Notices;
  /** Base for links that leave the server, without a slash at the end. */
  publicBase: () => string;
}

export function createProjectAnswers(options: ProjectAnswerOptions): ProjectAnswers {
  const { control, router, clock, publicBase } = options;
  const startedAt = isoTime(clock.now());

  return {
    async status(caller) {
      const listed = await control.projects({ caller });
      const views = listed.ok ? listed.projects : [];
      const loads = views
        .flatMap(({ project }) => router.directory.endpointsOf(project.id))
        .map(({ id }) => router.endpointStats(id));
      return {
        version: options.version,
        started_at: startedAt,
        now: isoTime(clock.now()),
        running: loads.reduce((sum, { running }) => sum + running, 0),
        waiting: loads.reduce((sum, { waiting }) => sum + waiting, 0),
        journal: router.stats().journal,
        notices: [...options.notices(), ...budgetNotices(views, router)],
        base_url: publicBase(),
      };
    },
    requests: (views) => views.map(requestAnswer),
  };
}

export function createProjectRoutes(options: {
  answers: ProjectAnswers;
}): TopicHandlers<Pick<typeof statusContracts, 'openApi' | 'status'>> {
  const { answers } = options;
  const document = openApiText();
  return {
    openApi: ({ context }) => context.body(document(), 200, { 'content-type': 'application/json' }),
    status: async (call) => call.json(await answers.status(call.caller)),
  };
}

/** Made when somebody asks for it first: it takes some ms, and most servers are never asked. */
function openApiText(): () => string {
  let text: string | undefined;
  return () => (text ??= JSON.stringify(openApiDocument()));
}
