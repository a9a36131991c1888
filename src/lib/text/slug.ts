/**
 * Slugs and regions: the two kinds of name that people write into URLs and headers. A slug is fixed
 * after creation, so what is allowed here is allowed for ever.
 */

/**
 * Words that stand first in a path of ours, or may one day. A project or endpoint with such a slug
 * would take that path away.
 */
export const reservedSlugs: ReadonlySet<string> = new Set(
  [
    'api v1 v2 ui install assets static public docs openapi favicon robots well-known',
    'healthz readyz livez metrics status debug internal',
    'login logout signin signout signup register auth oauth admin account settings',
    'agents enroll management models shared',
  ].flatMap((line) => line.split(' ')),
);

/** What is wrong with a slug. */
export type SlugProblem = 'empty' | 'too_long' | 'bad_characters' | 'reserved';

const slugPattern = /^[a-z0-9](?:-?[a-z0-9]){0,39}$/;
const longestSlug = 79;

/** Undefined when `text` may be a slug: `[a-z0-9](-?[a-z0-9]){0,39}` and not reserved. */
export function slugProblem(text: string): SlugProblem | undefined {
  if (text === '') return 'empty';
  if (text.length > longestSlug) return 'too_long';
  if (!slugPattern.test(text)) {
    return text.replaceAll('-', '').length > 40 ? 'too_long' : 'bad_characters';
  }
  return reservedSlugs.has(text) ? 'reserved' : undefined;
}

/** A sentence for each problem, for an error message that says how to go on. */
export const slugProblemText: Readonly<Record<SlugProblem, string>> = {
  empty: 'it is empty; give 1 to 40 letters and digits',
  too_long: 'it has more than 40 letters and digits',
  bad_characters: 'only a-z, 0-9 and single hyphens between them are allowed',
  reserved: 'this word is reserved for addresses of the platform',
};

/**
 * Turns free text into a slug, or undefined when nothing usable remains. Not unique: the caller
 * adds a number when it is taken.
 */
export function slugFrom(text: string): string | undefined {
  const words =
    text
      .normalize('NFKD')
      .toLowerCase()
      .match(/[a-z0-9]+/g) ?? [];
  const slug = words.join('-').slice(0, 40).replace(/-$/, '');
  return slugProblem(slug) === undefined ? slug : undefined;
}

/** Undefined when `text` may be a region: 1 to 24 characters of printable ASCII without space. */
export function regionProblem(text: string): 'empty' | 'too_long' | 'bad_characters' | undefined {
  if (text === '') return 'empty';
  if (text.length > 24) return 'too_long';
  return /^[\x21-\x7e]+$/.test(text) ? undefined : 'bad_characters';
}

/** Regions keep their case and are compared without it. */
export function sameRegion(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
