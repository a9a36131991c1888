/** Sign-in, and who is signed in. */
import { z } from 'zod';
import type { ProjectAnswer } from './projects.ts';

/** `GET /api/v1/session`, and the answer of `POST /api/v1/sign-in` `{email, password}`. */
export interface SessionAnswer {
  user: { id: string; email: string; role: 'admin' | 'user' };
  /** True until the one-time password was changed. */
  must_change_password: boolean;
  projects: ProjectAnswer[];
  expires_at: string;
}

export const signInSchema = z.strictObject({
  email: z.string().min(1).max(254),
  password: z.string().min(1).max(1024),
});
