/**
 * What a data request is about: project, endpoint and model, from the address (or the body's
 * `model` on the root address) and from the key. What is missing and what is another's get the
 * same words.
 */
import type { ErrorName } from '../../api/errors.ts';
import type {
  ApiKeyEntry,
  EndpointEntry,
  ModelEntry,
  ProjectEntry,
} from '../../domain/directory.ts';
import type { Directory } from '../../router/directory.ts';
import { longestShownName } from '../limits.ts';
import type { RouteParams } from '../exchanges/routeMatcher.ts';

export type TargetDirectory = Pick<Directory, 'project' | 'endpoint' | 'endpointsOf' | 'model'>;

export type Refused = {
  ok: false;
  name: ErrorName;
  message: string;
  param?: string;
};

export type ProjectTarget = { ok: true; project: ProjectEntry } | Refused;
export type EndpointTarget = { ok: true; endpoint: EndpointEntry } | Refused;
export type ModelTarget = { ok: true; model: ModelEntry } | Refused;

/** The project of the address, or of the key where the address names none. */
export function projectTarget(
  directory: TargetDirectory,
  caller: { params: RouteParams; key: ApiKeyEntry },
): ProjectTarget {
  const named = caller.params['project'];
  const project = directory.project(named ?? caller.key.projectId);
  if (project === undefined || project.id !== caller.key.projectId) {
    const which = named === undefined ? 'of this key' : quoted(named);
    return {
      ok: false,
      name: 'project_not_found',
      message: `The project ${which} does not exist or this key has no access to it.`,
    };
  }
  return { ok: true, project };
}

/**
 * An endpoint by slug or id; `param` is there when the body named it (then it is a model to
 * OpenAI).
 */
export function endpointTarget(
  directory: TargetDirectory,
  wanted: { project: ProjectEntry; key: ApiKeyEntry; name: string; param?: 'model' },
): EndpointTarget {
  const { project, key, name, param } = wanted;
  const endpoint = directory.endpoint(project.id, name);
  if (endpoint === undefined) {
    const thing = param === undefined ? 'endpoint' : 'model';
    return {
      ok: false,
      name: param === undefined ? 'endpoint_not_found' : 'model_not_found',
      message: `The ${thing} ${quoted(name)} does not exist or this key has no access to it.`,
      ...(param === undefined ? {} : { param }),
    };
  }
  if (key.endpointId !== null && key.endpointId !== endpoint.id) {
    return {
      ok: false,
      name: 'insufficient_permissions',
      message: `This API key is pinned to another endpoint than ${quoted(name)}.`,
    };
  }
  return { ok: true, endpoint };
}

/** The model of an endpoint that takes requests. */
export function modelTarget(directory: TargetDirectory, endpoint: EndpointEntry): ModelTarget {
  if (!endpoint.active) {
    return {
      ok: false,
      name: 'endpoint_inactive',
      message: `The endpoint ${quoted(endpoint.slug)} is switched off.`,
    };
  }
  const model = directory.model(endpoint.modelId);
  if (model === undefined) {
    return {
      ok: false,
      name: 'model_not_found',
      message: `The model of the endpoint ${quoted(endpoint.slug)} does not exist any more.`,
    };
  }
  return { ok: true, model };
}

/** A name from outside, as a message may repeat it. */
export function quoted(name: string): string {
  return `'${name.length > longestShownName ? `${name.slice(0, longestShownName)}…` : name}'`;
}
