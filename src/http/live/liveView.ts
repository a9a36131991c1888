/** What the control routes show of the data plane: links and counters as they are now. */
import type { ReceiptView } from '../../router/receipts/receiptView.ts';
import type { Router } from '../../router/router.ts';

export type LiveView = Pick<
  Router,
  | 'agent'
  | 'agentHealth'
  | 'onAgentChange'
  | 'linkedAgentIds'
  | 'logs'
  | 'endpointStats'
  | 'budgetsOf'
  | 'stats'
  | 'directory'
> & { receiptView: Pick<ReceiptView, 'of' | 'active' | 'exported'> };
