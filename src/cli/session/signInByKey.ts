/** Sign-in with a management key of one project, read from a terminal or standard input. */
import type { ListAnswer } from '../../api/control/lists.ts';
import type { ProjectAnswer } from '../../api/control/projects.ts';
import type { CommandContext } from '../command.ts';
import { callServer } from '../connection/callServer.ts';
import { refusalText } from '../connection/nextStep.ts';
import type { ServerAddress } from '../connection/openRequest.ts';
import { endCommand } from '../connection/withServer.ts';
import { exitCodes } from '../exitCodes.ts';
import { answerTo, type SignedIn } from './signInAsPerson.ts';

export async function signInByKey(signing: {
  address: ServerAddress;
  context: CommandContext;
}): Promise<SignedIn> {
  const { address, context } = signing;
  const { clock, random } = context;
  const auth = {
    kind: 'key',
    key: (await answerTo('Management key: ', signing, { secret: true })).trim(),
  } as const;
  const call = { method: 'GET', path: '/api/v1/projects' } as const;
  const parts = { address, auth, clock, random };
  const outcome = await callServer<ListAnswer<ProjectAnswer>>(parts, call);
  if (outcome.kind === 'unreachable') endCommand(outcome.message, exitCodes.unreachable);
  if (outcome.kind === 'refused') {
    const refused = { auth: null, topic: 'login', name: 'login' };
    endCommand(
      `${refusalText(outcome, refused)} A key of scope management is needed; an owner makes one ` +
        'with: xim keys create NAME --scopes management',
      exitCodes.refused,
    );
  }
  return { auth, projects: outcome.answer.data.map(({ slug }) => slug) };
}
