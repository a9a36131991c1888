/** One request: why it went where it went. And those that wait or run now. */
import type { requestContracts } from '../../api/control/requests.ts';
import type { Control } from '../../control/control.ts';
import type { Clock } from '../../lib/clock.ts';
import type { LiveView } from '../live/liveView.ts';
import type { TopicHandlers } from '../control/topicHandlers.ts';
import { jsonLinesAnswer } from './csvAnswer.ts';
import { activeAnswer, receiptAnswer, recordAnswer } from './receiptAnswer.ts';

type Contracts = Pick<typeof requestContracts, 'receipt' | 'activeRequests' | 'platformReceipts'>;

export function createReceiptRoutes(options: {
  control: Pick<Control, 'request' | 'project' | 'mayExportReceipts'>;
  router: Pick<LiveView, 'receiptView' | 'directory'>;
  clock: Clock;
}): TopicHandlers<Contracts> {
  const { control, router, clock } = options;
  return {
    async receipt(call) {
      const requestId = call.part('request');
      const { caller } = call;
      const found = await control.request({ caller, project: call.part('project'), requestId });
      if (!found.ok) return call.refuse(found);
      const { projectId, request } = found;
      const state = await router.receiptView.of(requestId);
      // P1: what is another project's is as if it did not exist.
      if (state !== undefined && state.receipt.projectId === projectId) {
        return call.json(receiptAnswer(state, request));
      }
      return request === null
        ? call.refuse({ reason: 'not_found' })
        : call.json(recordAnswer(request));
    },
    async activeRequests(call) {
      const { caller } = call;
      const found = await control.project({ caller, project: call.part('project') });
      if (!found.ok) return call.refuse(found);
      const { id: projectId } = found.project;
      const { requests, more } = router.receiptView.active(projectId);
      const agentName = (agentId: string): string => {
        const agent = router.directory.agent(agentId);
        return agent?.projectId === projectId ? agent.name : 'shared';
      };
      const nowMs = clock.now();
      const data = requests.map((one) => activeAnswer(one, { nowMs, agentName }));
      return call.json({ data, has_more: more });
    },
    platformReceipts(call) {
      const { caller, query } = call;
      const allowed = control.mayExportReceipts({ caller });
      if (!allowed.ok) return call.refuse(allowed);
      const fromMs = query.from === undefined ? 0 : Date.parse(query.from);
      const toMs = query.to === undefined ? Infinity : Date.parse(query.to);
      return jsonLinesAnswer('receipts', router.receiptView.exported({ fromMs, toMs }));
    },
  };
}
