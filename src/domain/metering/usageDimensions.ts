/** By what usage is summed. */
export const usageDimensions = [
  'hour',
  'day',
  'endpoint',
  'model',
  'api_key',
  'agent',
  'tier',
] as const;

export type UsageDimension = (typeof usageDimensions)[number];
