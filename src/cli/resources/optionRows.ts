/** Rows of options that many settings have. */

interface RowTexts {
  flag: string;
  placeholder: string;
  help: string;
  group?: string;
}

/** A text that nobody has to give. */
export function textRow<const Texts extends RowTexts>(texts: Texts) {
  return { type: 'text', default: undefined, ...texts } as const;
}

/** Texts divided by commas. */
export function listRow<const Texts extends RowTexts>(texts: Texts) {
  return { type: 'list', default: undefined, ...texts } as const;
}

/** On, off, or as it is. */
export function switchRow<const Texts extends Omit<RowTexts, 'placeholder'>>(texts: Texts) {
  return { type: 'switch', default: undefined, ...texts } as const;
}
