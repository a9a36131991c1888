/** Where the model hub is: huggingface.co, or the mirror that `HF_ENDPOINT` names. */
import { StartupError } from './startupError.ts';

const defaultHub = 'https://huggingface.co';

/**
 * The hub's base URL without a slash at the end. Throws a `StartupError` when the variable holds
 * no address.
 */
export function hubAddress(env: Readonly<Record<string, string | undefined>>): string {
  const text = env['HF_ENDPOINT'] || defaultHub;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain = url !== undefined && url.search === '' && url.hash === '';
  if (plain && ['http:', 'https:'].includes(url.protocol)) return text.replace(/\/+$/, '');
  throw new StartupError(
    'usage',
    `HF_ENDPOINT: ${JSON.stringify(text)} is no address of a hub; give one such as ` +
      `${defaultHub}, or unset it.`,
  );
}
