/** One field of a wish that cannot be; the message names the knob, its value and the limit. */
export interface InvalidField<Param extends string = string> {
  ok: false;
  reason: 'invalid_value';
  /** As on the wire. */
  param: Param;
  message: string;
}

export function invalidField<Param extends string>(
  param: Param,
  message: string,
): InvalidField<Param> {
  return { ok: false, reason: 'invalid_value', param, message };
}

/** The same with the parameter's name before what is wrong with it. */
export function invalidParam<Param extends string>(
  param: Param,
  problem: string,
): InvalidField<Param> {
  return invalidField(param, `'${param}' ${problem}.`);
}

/** A text from outside as a message may repeat it. */
export function shown(text: string): string {
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text);
}
