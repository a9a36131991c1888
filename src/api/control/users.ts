/** Accounts, for operators. */
import { z } from 'zod';
import { contract, isoTimeSchema, pagedList } from '../contract.ts';

export const userRoleSchema = z.enum(['admin', 'user']);
export const emailSchema = z.string().min(1).max(320);

const userSchema = z
  .strictObject({
    id: z.string(),
    email: z.string(),
    role: userRoleSchema,
    disabled_at: isoTimeSchema.nullable(),
    /** False: signs in with the identity provider alone. */
    has_password: z.boolean(),
    /** True until the one-time password was changed. */
    must_change_password: z.boolean(),
    /** Whether a code is asked for at the sign-in. */
    second_factor: z.boolean(),
    last_sign_in_at: isoTimeSchema.nullable(),
    created_at: isoTimeSchema,
    version: z.int(),
  })
  .meta({ id: 'User' });
export type UserAnswer = z.infer<typeof userSchema>;

/** The only time that the password is shown. */
const createdUserSchema = z
  .strictObject({ ...userSchema.shape, one_time_password: z.string() })
  .meta({ id: 'CreatedUser' });

const createUserSchema = z
  .strictObject({ email: emailSchema, role: userRoleSchema.optional() })
  .meta({ id: 'CreateUser' });
export type CreateUserRequest = z.infer<typeof createUserSchema>;

const updateUserSchema = z
  .strictObject({
    role: userRoleSchema.optional(),
    /** Disabling ends the sessions at once. */
    disabled: z.boolean().optional(),
  })
  .meta({ id: 'UpdateUser' });
export type UpdateUserRequest = z.infer<typeof updateUserSchema>;

export const userContracts = {
  users: pagedList({ item: userSchema, place: ['number', 'string'], refusals: [] }),
  user: contract({ answer: userSchema, status: 200, refusals: ['not_found'], versioned: true }),
  createUser: contract({
    body: createUserSchema,
    answer: createdUserSchema,
    status: 201,
    refusals: ['conflict'],
    creates: true,
  }),
  updateUser: contract({
    body: updateUserSchema,
    answer: userSchema,
    status: 200,
    refusals: ['not_found', 'conflict'],
    versioned: true,
  }),
  resetPassword: contract({
    answer: z.strictObject({ id: z.string(), one_time_password: z.string() }),
    status: 200,
    refusals: ['not_found', 'insufficient_permissions'],
    creates: true,
  }),
  dropSecondFactor: contract({
    answer: z.strictObject({ id: z.string(), second_factor: z.literal(false) }),
    status: 200,
    refusals: ['not_found', 'insufficient_permissions'],
  }),
};
