/** Orders, as they are called on the command line; `orders.ts` has one for each. */
export const orderNames = ['fcfs', 'round-robin-tenant', 'vtc', 'xim'] as const;

export type OrderName = (typeof orderNames)[number];
