/**
 * Lists of the control routes. What holds for all of `api/control/`: times are ISO 8601 in UTC,
 * sizes are bytes, spans carry their unit in the name. Unknown is null, never 0.
 */
import { z } from 'zod';

/** Lists answer `{"data": [...]}`. */
export interface ListAnswer<Item> {
  data: Item[];
}

/** `?limit=` of lists. */
export const listQuerySchema = z.object({
  limit: z.coerce.number().int().min(1).max(500).default(50),
});
