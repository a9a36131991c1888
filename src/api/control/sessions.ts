/** Sign-in, and who is signed in. */
import { z } from 'zod';
import { contract, isoTimeSchema } from '../contract.ts';
import { projectSchema } from './projects.ts';

const sessionSchema = z
  .strictObject({
    user: z.strictObject({
      id: z.string(),
      email: z.string(),
      role: z.enum(['admin', 'user']),
    }),
    /** True until the one-time password was changed. */
    must_change_password: z.boolean(),
    projects: z.array(projectSchema),
    expires_at: isoTimeSchema,
  })
  .meta({ id: 'Session' });
export type SessionAnswer = z.infer<typeof sessionSchema>;

const signInSchema = z.strictObject({
  email: z.string().min(1).max(254),
  password: z.string().min(1).max(1024),
});

export const sessionContracts = {
  signIn: contract({
    body: signInSchema,
    answer: sessionSchema,
    status: 200,
    refusals: [
      'invalid_credentials',
      'second_factor_required',
      'second_factor_invalid',
      'account_disabled',
      'rate_limited_requests',
    ],
  }),
  signOut: contract({
    answer: z.strictObject({ signed_out: z.literal(true) }),
    status: 200,
    refusals: [],
  }),
  session: contract({ answer: sessionSchema, status: 200, refusals: [] }),
};
