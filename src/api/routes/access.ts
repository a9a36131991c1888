/** Who may call a row of the route table. */

/** Who may call. Which project and which role is then checked by the use-case. */
export type Access =
  | { by: 'anyone' }
  /** `Authorization: Bearer` with an API key that has the scope. Cookies are not read. */
  | { by: 'api_key'; scope: 'inference' | 'management' }
  /** A signed-in browser, or an API key with the scope `management`. */
  | { by: 'session_or_key'; role: 'member' | 'owner' | 'admin' }
  /** A person in a browser. `evenOneTime`: also one who must first change the password. */
  | { by: 'session'; evenOneTime?: true }
  /** Credentials travel in the body and are signed (join key, rotation token). */
  | { by: 'signed_body' }
  /** The link's own handshake (CHALLENGE, HELLO). */
  | { by: 'agent' }
  /** A connection from this machine, or an API key with the scope `management`. */
  | { by: 'loopback_or_key' };

export const anyone = { by: 'anyone' } as const;
export const inference = { by: 'api_key', scope: 'inference' } as const;
export const management = { by: 'api_key', scope: 'management' } as const;
export const member = { by: 'session_or_key', role: 'member' } as const;
export const owner = { by: 'session_or_key', role: 'owner' } as const;
export const admin = { by: 'session_or_key', role: 'admin' } as const;
export const session = { by: 'session' } as const;
export const sessionEvenOneTime = { by: 'session', evenOneTime: true } as const;
export const signedBody = { by: 'signed_body' } as const;
export const agent = { by: 'agent' } as const;
export const loopbackOrKey = { by: 'loopback_or_key' } as const;
