/**
 * The only file that talks to the network. Answers are typed by the server's own shapes; a refusal
 * is an `ApiError` with its stable code, never a text to match on.
 */
import type {
  CreatedJoinKeyAnswer,
  CreateJoinKeyRequest,
  JoinKeyAnswer,
} from '../../src/api/control/joinKeys.ts';
import type { ListAnswer } from '../../src/api/control/lists.ts';
import type {
  InvitationTermsAnswer,
  SessionAnswer,
  SignInOptionsAnswer,
} from '../../src/api/control/sessions.ts';
import type { LiveSnapshot } from '../../src/api/control/status.ts';
import type { ErrorEnvelope } from '../../src/api/errors.ts';

const base = '/api/v1';

/** A refusal of the server, or its absence (`status` 0). */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string | null;

  constructor(status: number, code: string | null, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

async function call<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
  let response: Response;
  try {
    response = await fetch(base + path, {
      method,
      credentials: 'same-origin',
      headers: { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    throw new ApiError(0, null, 'The server does not answer. Check that it runs.');
  }
  const text = await response.text();
  const parsed: unknown = text === '' ? null : JSON.parse(text);
  if (response.ok) return parsed as Answer;
  const { error } = parsed as ErrorEnvelope;
  throw new ApiError(response.status, error.code, error.message);
}

export const client = {
  /** Null when nobody is signed in. */
  async session(): Promise<SessionAnswer | null> {
    try {
      return await call<SessionAnswer>('GET', '/session');
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return null;
      throw error;
    }
  },
  signInOptions: (): Promise<SignInOptionsAnswer> => call('GET', '/sign-in/options'),
  /** `code_needed`: the password was right, and the account asks for a code too. */
  async signIn(credentials: {
    email: string;
    password: string;
    code?: string;
  }): Promise<SessionAnswer | 'code_needed'> {
    try {
      return await call<SessionAnswer>('POST', '/sign-in', credentials);
    } catch (error) {
      if (error instanceof ApiError && error.code === 'second_factor_required') {
        return 'code_needed';
      }
      throw error;
    }
  },
  changePassword: (change: {
    old_password: string;
    new_password: string;
  }): Promise<SessionAnswer> => call('POST', '/session/password', change),
  invitationTerms: (token: string): Promise<InvitationTermsAnswer> =>
    call('POST', '/sign-up/terms', { token }),
  signUp: (account: { token: string; password: string }): Promise<SessionAnswer> =>
    call('POST', '/sign-up', account),
  acceptInvitation: (token: string): Promise<SessionAnswer> =>
    call('POST', '/session/invitations', { token }),
  signOut: (): Promise<null> => call('POST', '/sign-out', {}),
  createJoinKey: (project: string, request: CreateJoinKeyRequest): Promise<CreatedJoinKeyAnswer> =>
    call('POST', `/projects/${project}/join-keys`, request),
  joinKeys: (project: string): Promise<ListAnswer<JoinKeyAnswer>> =>
    call('GET', `/projects/${project}/join-keys`),
  revokeJoinKey: (project: string, id: string): Promise<unknown> =>
    call('DELETE', `/projects/${project}/join-keys/${id}`),
  /** Follows the live snapshots of a project until the returned function is called. */
  follow(
    project: string,
    handlers: { onSnapshot: (snapshot: LiveSnapshot) => void; onGap: () => void },
  ): () => void {
    const source = new EventSource(`${base}/projects/${project}/live`);
    source.addEventListener('snapshot', (event: MessageEvent<string>) => {
      handlers.onSnapshot(JSON.parse(event.data) as LiveSnapshot);
    });
    source.addEventListener('error', () => handlers.onGap());
    return () => source.close();
  },
};
