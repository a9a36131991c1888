/** Users and their sessions. */

export interface UserRow {
  id: string;
  email: string;
  passwordHash: string;
  role: 'admin' | 'user';
  mustChangePassword: boolean;
  createdAtMs: number;
}

export interface SessionRow {
  tokenSha256: string;
  userId: string;
  createdAtMs: number;
  expiresAtMs: number;
}

export interface PeopleStore {
  userByEmail(email: string): Promise<UserRow | null>;
  userById(id: string): Promise<UserRow | null>;
  insertSession(row: SessionRow): Promise<void>;
  sessionByHash(
    tokenSha256: string,
    nowMs: number,
  ): Promise<(SessionRow & { user: UserRow }) | null>;
  deleteSession(tokenSha256: string): Promise<void>;
  deleteExpiredSessions(nowMs: number): Promise<void>;
}
