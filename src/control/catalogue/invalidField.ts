/** One field that cannot be; the message names the knob, its value and the limit. */
export interface InvalidField {
  ok: false;
  reason: 'invalid_value';
  /** As on the wire. */
  param: string;
  message: string;
}

export function invalidField(param: string, message: string): InvalidField {
  return { ok: false, reason: 'invalid_value', param, message };
}

/** A text from outside as a message may repeat it. */
export function shown(text: string): string {
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text);
}
