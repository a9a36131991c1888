/** HEAD (agent → router): status and content type of an answer, before its first byte. */
import { z } from 'zod';

/** An answer without a body, by HTTP's rules: what followed would be read as the next answer. */
const bodiless = new Set([204, 205, 304]);

export const headSchema = z.object({
  status: z
    .int()
    .min(200)
    .max(599)
    .refine((status) => !bodiless.has(status)),
  /** Becomes a header as it is: printable ASCII only, or writing it would throw. */
  contentType: z
    .string()
    .max(128)
    .regex(/^[\x20-\x7e]*$/),
});
export type HeadMessage = z.infer<typeof headSchema>;
