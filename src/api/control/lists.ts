/**
 * Lists of the control routes. What holds for all of `api/control/`: times are ISO 8601 in UTC,
 * sizes are bytes, spans carry their unit in the name. Unknown is null, never 0.
 */

/** A list that is answered whole. */
export interface ListAnswer<Item> {
  data: Item[];
}

/** A list in pieces: `?after=` with the cursor gives the next one. */
export interface PageAnswer<Item> extends ListAnswer<Item> {
  has_more: boolean;
  next_cursor: string | null;
}
