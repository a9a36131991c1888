/** Whose things a route is about: of the project in its address, or of the platform. */
import type { OwnerRef } from '../../control/principal.ts';
import type { ControlCall } from './controlCall.ts';

export type OwnerOf = (call: Pick<ControlCall, 'part'>) => OwnerRef;

export const ofProject: OwnerOf = (call) => ({ kind: 'project', project: call.part('project') });

export const ofPlatform: OwnerOf = () => ({ kind: 'platform' });
