/**
 * The session's cookie: only the control routes get it (`Path`), no script reads it (`HttpOnly`),
 * no other site sends it (`SameSite=Strict`), and over TLS it never travels in the clear
 * (`Secure`).
 */
import { deleteCookie, getCookie, setCookie } from 'hono/cookie';
import type { ControlContext } from '../control/controlContext.ts';

const name = 'xim_session';
const path = '/api/v1';

export function readSessionCookie(context: ControlContext): string | undefined {
  return getCookie(context, name);
}

export function writeSessionCookie(
  context: ControlContext,
  cookie: { token: string; expiresAtMs: number; secure: boolean },
): void {
  const { token, expiresAtMs, secure } = cookie;
  const expires = new Date(expiresAtMs);
  setCookie(context, name, token, { path, httpOnly: true, sameSite: 'Strict', secure, expires });
}

export function clearSessionCookie(context: ControlContext, options: { secure: boolean }): void {
  deleteCookie(context, name, { path, secure: options.secure });
}
