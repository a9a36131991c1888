/** Every order by its name on the command line. */
import { fcfs } from './fcfs.ts';
import type { Order } from './order.ts';
import type { OrderName } from './orderNames.ts';
import { roundRobinTenant } from './roundRobinTenant.ts';
import { vtc } from './vtc.ts';
import { xim } from './xim.ts';

export const orders: Readonly<Record<OrderName, () => Order>> = {
  fcfs,
  'round-robin-tenant': roundRobinTenant,
  vtc,
  xim,
};
