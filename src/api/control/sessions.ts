/** Sign-in, who is signed in, and what a person does about their own account. */
import { z } from 'zod';
import { contract, isoTimeSchema } from '../contract.ts';
import { projectRoleSchema, projectSchema } from './projects.ts';
import { userRoleSchema } from './users.ts';

const sessionSchema = z
  .strictObject({
    user: z.strictObject({
      id: z.string(),
      email: z.string(),
      role: userRoleSchema,
      /** False: signs in with the identity provider alone. */
      has_password: z.boolean(),
      /** Whether a code is asked for at the sign-in. */
      second_factor: z.boolean(),
    }),
    /** True until the one-time password was changed; until then, nothing else can be done. */
    must_change_password: z.boolean(),
    /** The first 500 of them. */
    projects: z.array(projectSchema),
    expires_at: isoTimeSchema,
  })
  .meta({ id: 'Session' });
export type SessionAnswer = z.infer<typeof sessionSchema>;

const passwordSchema = z.string().min(1).max(1024);
const codeSchema = z
  .string()
  .min(1)
  .max(64)
  .describe('Six digits of the authenticator app, or a recovery code');
const tokenSchema = z.string().min(1).max(128);

const signInSchema = z.strictObject({
  email: z.string().min(1).max(254),
  password: passwordSchema,
  code: codeSchema.optional(),
});

const optionsSchema = z
  .strictObject({
    /** Null: there is none. */
    oidc: z.strictObject({ name: z.string(), start: z.string() }).nullable(),
  })
  .meta({ id: 'SignInOptions' });
export type SignInOptionsAnswer = z.infer<typeof optionsSchema>;

const termsSchema = z
  .strictObject({
    email: z.string(),
    /** Null: an account of the platform, and no project yet. */
    project: z.strictObject({ name: z.string(), role: projectRoleSchema }).nullable(),
    expires_at: isoTimeSchema,
    /** True: sign in to accept. False: choose a password. */
    has_account: z.boolean(),
  })
  .meta({ id: 'InvitationTerms' });
export type InvitationTermsAnswer = z.infer<typeof termsSchema>;

const statusSchema = z
  .strictObject({ enabled: z.boolean(), recovery_codes_left: z.int() })
  .meta({ id: 'SecondFactor' });

const begunSchema = z
  .strictObject({
    /** For apps that take it by hand. */
    secret: z.string(),
    /** For apps that scan it. */
    otpauth_uri: z.string(),
  })
  .meta({ id: 'BegunSecondFactor' });
export type BegunSecondFactorAnswer = z.infer<typeof begunSchema>;

/** The only time that they are shown. */
const codesSchema = z
  .strictObject({ recovery_codes: z.array(z.string()) })
  .meta({ id: 'RecoveryCodes' });

const guessing = ['rate_limited_requests', 'invalid_credentials'] as const;
const proving = ['rate_limited_requests', 'second_factor_invalid', 'conflict'] as const;

const signingIn = {
  signInOptions: contract({ answer: optionsSchema, status: 200, refusals: [] }),
  signIn: contract({
    body: signInSchema,
    answer: sessionSchema,
    status: 200,
    refusals: [...guessing, 'second_factor_required', 'second_factor_invalid', 'account_disabled'],
  }),
  beginOidc: contract({ answer: { redirect: true }, status: 302, refusals: [] }),
  endOidc: contract({
    // What the provider sends; which of them come is its own affair.
    query: z.looseObject({ code: z.string().optional(), state: z.string().optional() }),
    answer: { redirect: true },
    status: 302,
    refusals: [],
  }),
  invitationTerms: contract({
    body: z.strictObject({ token: tokenSchema }),
    answer: termsSchema,
    status: 200,
    refusals: ['not_found', 'rate_limited_requests'],
  }),
  signUp: contract({
    body: z.strictObject({ token: tokenSchema, password: passwordSchema }),
    answer: sessionSchema,
    status: 201,
    refusals: ['not_found', 'conflict', 'rate_limited_requests', 'insufficient_permissions'],
  }),
};

const ownAccount = {
  signOut: contract({
    answer: z.strictObject({ signed_out: z.literal(true) }),
    status: 200,
    refusals: [],
  }),
  session: contract({ answer: sessionSchema, status: 200, refusals: [] }),
  changePassword: contract({
    body: z.strictObject({ old_password: passwordSchema, new_password: passwordSchema }),
    answer: sessionSchema,
    status: 200,
    refusals: [...guessing, 'conflict'],
  }),
  acceptInvitation: contract({
    body: z.strictObject({ token: tokenSchema }),
    answer: sessionSchema,
    status: 200,
    refusals: ['not_found', 'conflict', 'rate_limited_requests', 'insufficient_permissions'],
  }),
  secondFactor: contract({ answer: statusSchema, status: 200, refusals: [] }),
  beginSecondFactor: contract({
    body: z.strictObject({ password: passwordSchema.optional() }),
    answer: begunSchema,
    status: 200,
    refusals: [...guessing, 'conflict'],
  }),
  confirmSecondFactor: contract({
    body: z.strictObject({ code: codeSchema }),
    answer: codesSchema,
    status: 200,
    refusals: proving,
  }),
  renewRecoveryCodes: contract({
    body: z.strictObject({ code: codeSchema }),
    answer: codesSchema,
    status: 200,
    refusals: proving,
  }),
  turnOffSecondFactor: contract({
    body: z.strictObject({ code: codeSchema }),
    answer: statusSchema,
    status: 200,
    refusals: proving,
  }),
};

export const sessionContracts = { ...signingIn, ...ownAccount };
