/** What an operator says of a tier, free-form, with every figure in it marked for what it is. */

/** Nothing that is said there was measured, or is promised. */
export const targetLabel = 'target, not measured';

export type Features = { readonly [name: string]: unknown };

/**
 * The same with each figure (a number, or a text that has a digit in it) as `{value, label}`.
 */
export function labelledFeatures(features: Features): Record<string, unknown> {
  return labelled(features) as Record<string, unknown>;
}

function labelled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(labelled);
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, labelled(one)]));
  }
  const isFigure = typeof value === 'number' || (typeof value === 'string' && /\p{N}/u.test(value));
  return isFigure ? { value, label: targetLabel } : value;
}
