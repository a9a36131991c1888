/** Things by the name that people know them by; the server wants most of them by their id. */
import type { ListAnswer } from '../../api/control/lists.ts';
import { isId } from '../../lib/ids.ts';
import { endCommand, platformScope, type ServerSession } from '../connection/withServer.ts';
import { exitCodes } from '../exitCodes.ts';

export interface Reference<Item> {
  /** As in "there is no agent lab-3". */
  what: string;
  /** The list, below the scope; and its topic, whose `list` shows them. */
  list: string;
  topic: string;
  /** Whether the list comes in pages. */
  paged: boolean;
  idOf(item: Item): string;
  nameOf(item: Item): string;
  /** Of the platform, and so out of reach below a project, whose list shows it all the same. */
  ofPlatform?(item: Item): boolean;
  /** Each project has its own: below the platform nothing is known by its name. */
  ofProjects?: boolean;
  /** A name means what is alive; only where nothing of this name is, what is over. */
  isAlive?(item: Item): boolean;
}

/** A page of a list; the whole of it, where it does not come in pages. */
export type ListedPage<Item> = ListAnswer<Item> & {
  has_more?: boolean;
  next_cursor?: string | null;
};

/** Most rows of a page, which the server allows. */
const pageRows = 500;
/** A list is gone through for a name this far. */
const mostPages = 40;

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** The id of the thing with this id or name. Ends the command when there is none, or several. */
export async function idOf<Item>(
  reference: Reference<Item>,
  text: string,
  { session, scope }: { session: ServerSession; scope: string },
): Promise<string> {
  if (isId(text) || uuid.test(text)) return text;
  if (scope === platformScope && reference.ofProjects === true) {
    const how = `With --platform, give the id of the ${reference.what}.`;
    endCommand(`"${text}" is a slug, and each project has its own. ${how}`, exitCodes.usage);
  }
  const named = (await allOf(reference, { session, scope })).filter(
    (item) => reference.idOf(item) === text || reference.nameOf(item) === text,
  );
  const alive = named.filter((item) => reference.isAlive?.(item) !== false);
  const found = alive.length > 0 ? alive : named;
  const [first, ...others] = found;
  const { what, topic } = reference;
  if (first === undefined) {
    endCommand(
      `there is no ${what} "${text}". See those there are: xim ${topic} list`,
      exitCodes.refused,
    );
  }
  if (others.length > 0) {
    const ids = found.map((item) => reference.idOf(item)).join(', ');
    endCommand(`"${text}" names more than one ${what}. Give the id: ${ids}`, exitCodes.usage);
  }
  if (reference.ofPlatform?.(first) === true && scope !== platformScope) {
    endCommand(
      `"${text}" is the platform’s, not the project’s. Operators name it with --platform.`,
      exitCodes.usage,
    );
  }
  return reference.idOf(first);
}

async function allOf<Item>(
  { list, paged }: Reference<Item>,
  { session, scope }: { session: ServerSession; scope: string },
): Promise<Item[]> {
  const path = `${scope}${list}`;
  if (!paged) return (await session.call<ListedPage<Item>>({ method: 'GET', path })).data;
  const wanted = pageRows * mostPages;
  return (await readPages<Item>(session, { path, query: {}, limit: wanted })).data;
}

/** The first `limit` rows of a list that comes in pages. */
export async function readPages<Item>(
  session: ServerSession,
  list: { path: string; query: Readonly<Record<string, string | undefined>>; limit: number },
): Promise<{ data: Item[]; has_more: boolean; next_cursor: string | null }> {
  const data: Item[] = [];
  let after: string | undefined;
  for (;;) {
    const limit = Math.min(pageRows, list.limit - data.length);
    const query = { ...list.query, limit, after };
    const page = await session.call<ListedPage<Item>>({ method: 'GET', path: list.path, query });
    data.push(...page.data);
    const next = page.next_cursor ?? null;
    const more = page.has_more === true && next !== null;
    if (!more || data.length >= list.limit) return { data, has_more: more, next_cursor: next };
    after = next;
  }
}
