/** The first page of a list, for tests whose lists are short. */
import type { Page } from '../../lib/page.ts';

export const firstPage: Page = { after: null, limit: 500 };
