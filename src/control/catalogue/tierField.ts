/** A tier's slug from outside: deprecated ones are replaced, and warned of. */
import { resolveTierSlug, tierSlugs, type TierSlug } from '../../domain/tiers/tiers.ts';
import { invalidField, shown, type InvalidField } from '../invalidField.ts';

export type TierField = { ok: true; tier: TierSlug; warnings: string[] } | InvalidField;

/** `param`: the field, as on the wire. */
export function tierField(param: string, slug: string): TierField {
  const resolved = resolveTierSlug(slug);
  if (!resolved.ok) {
    const message = `${param} is ${shown(slug)}; tiers are: ${tierSlugs.join(', ')}.`;
    return invalidField(param, message);
  }
  const { slug: tier, deprecated } = resolved;
  const warnings =
    deprecated === undefined
      ? []
      : [
          `${param}: ${deprecated} is deprecated and was stored as ${tier}. To have agents to ` +
            'yourself, bind them to the endpoint.',
        ];
  return { ok: true, tier, warnings };
}
