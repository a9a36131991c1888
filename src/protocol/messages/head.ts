/** HEAD (agent → router): status and content type of an answer, before its first byte. */
import { z } from 'zod';

export const headSchema = z.object({
  status: z.int().min(200).max(599),
  contentType: z.string().max(128),
});
export type HeadMessage = z.infer<typeof headSchema>;
