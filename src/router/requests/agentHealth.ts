/** What the way in which an attempt ended says of its agent: the penalty box goes by it. */
import type { Health } from '../../domain/failures/failureBook.ts';
import type { ResetCode } from '../../protocol/link.ts';
import type { EndMessage } from '../../protocol/messages/end.ts';
import type { HeadMessage } from '../../protocol/messages/head.ts';

/** A link that was lost says nothing more: the agent begins a new life with the next one. */
const ownFaults: ReadonlySet<ResetCode> = new Set([
  'engine_failed',
  'engine_unreachable',
  'internal',
]);

/** Of an attempt that the agent broke off. */
export function healthOfBreak(code: ResetCode): Health {
  return ownFaults.has(code) ? 'bad' : undefined;
}

/** Of an attempt whose time was over. An engine that is slow with this one answers others. */
export function healthOfTimeout({ isEngineSilent }: { isEngineSilent: boolean }): Health {
  return isEngineSilent ? 'silent' : undefined;
}

/** Of an answer that came to its end. An engine that says no to a request is well. */
export function healthOfAnswer({ status }: HeadMessage, end: EndMessage | undefined): Health {
  return status < 500 && end?.outcome === 'completed' ? 'good' : undefined;
}
