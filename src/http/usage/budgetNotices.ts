/** Which budgets of the caller's projects are near their end: shown wherever the status is. */
import type { StatusAnswer } from '../../api/control/status.ts';
import { costText } from '../../domain/metering/price.ts';
import type { LiveView } from '../live/liveView.ts';

export function budgetNotices(
  views: readonly { project: { id: string; slug: string } }[],
  router: Pick<LiveView, 'budgetsOf'>,
): StatusAnswer['notices'] {
  return views.flatMap(({ project }) =>
    router.budgetsOf(project.id).flatMap(({ entry, spentMicros, state }) => {
      if (state === 'ok') return [];
      const { apiKeyId, amountMicros } = entry;
      const whose =
        apiKeyId === null
          ? `The project '${project.slug}'`
          : `The API key ${apiKeyId} of the project '${project.slug}'`;
      const amounts = `${costText(spentMicros)} of ${costText(amountMicros)}`;
      const now = {
        warning: 'is near the end of its monthly budget',
        used_up: 'has used up its monthly budget',
        stopped: 'has used up its monthly budget, and what would cost more is refused',
      }[state];
      return [{ code: `budget_${state}`, message: `${whose} ${now}: ${amounts} are spent.` }];
    }),
  );
}
