/** What to do after a refusal, by its code; the sentence before it is the server's. */
import type { ContextAuth } from './contextStore.ts';

export interface Refusal {
  status: number;
  code: string | null;
  message: string;
}

export interface Refused {
  auth: ContextAuth | null;
  /** First word of the command, e.g. `keys`: its list shows what there is. */
  topic: string;
  /** Of the command, e.g. `keys create`. */
  name: string;
}

/** The refusal and the next step, as one text. */
export function refusalText(refusal: Refusal, refused: Refused): string {
  const { message } = refusal;
  const sentence = /[.!?]$/.test(message) ? message : `${message}.`;
  const next = nextStep(refusal, refused);
  return next === undefined ? sentence : `${sentence} ${next}`;
}

const signInAgain = 'Sign in again: xim login';
const asPerson = 'Sign in as a person: xim login URL';

function nextStep({ status, code }: Refusal, { auth, topic, name }: Refused): string | undefined {
  switch (code) {
    case 'not_signed_in':
      if (auth?.kind === 'key') return asPerson;
      return auth?.kind === 'session' ? `The session has ended. ${signInAgain}` : signInAgain;
    case 'password_change_required':
      return 'xim login asks for a new one.';
    case 'insufficient_permissions':
      return auth?.kind === 'key'
        ? `A management key manages its own project alone. ${asPerson}`
        : 'Ask an owner of the project, or an operator.';
    case 'cross_site_request':
      return 'Use the address that the server calls its own, or a key: xim login --key';
    case 'project_not_found':
      return 'See those that are open to you: xim projects list';
    case 'endpoint_not_found':
      return 'See those there are: xim endpoints list';
    case 'model_not_found':
      return 'See those there are: xim models list';
    case 'not_found':
      if (topic === 'explain') return 'See those there are: xim requests list';
      return topic === 'login' ? undefined : `See those there are: xim ${topic} list`;
    case 'missing_required_parameter':
    case 'unsupported_parameter':
    case 'invalid_type':
    case 'invalid_value':
    case 'unsupported_value':
      return `Help: xim ${name} --help`;
    case 'rate_limit_exceeded':
    case 'concurrency_exceeded':
    case 'queue_full':
      return 'Wait a little, then run it again.';
    default:
      return byStatus({ status }, auth);
  }
}

function byStatus({ status }: { status: number }, auth: ContextAuth | null): string | undefined {
  if (status === 401 && auth?.kind === 'key') {
    return 'The key does not fit this server: name the right context with --context, or xim login.';
  }
  if (status >= 500) return 'Run it again in a moment; xim status says how the server is.';
  return undefined;
}
