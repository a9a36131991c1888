/** What the owner of an endpoint should know of its settings, though nothing forbids them. */
import { isolationMeanings } from '../../domain/agents/isolation.ts';
import { fallbackTier, isOpenToShared, mayHold } from '../../domain/agents/matching.ts';
import type { EndpointView } from './endpointView.ts';

export function endpointWarnings(view: EndpointView): string[] {
  return [...isolationWarnings(view), ...fallbackWarnings(view), ...bindingWarnings(view)];
}

/** Until the levels exist, shared agents offer `none`. */
function isolationWarnings({ endpoint }: EndpointView): string[] {
  const { minimumIsolation: level } = endpoint;
  if (level === null || level === 'none') return [];
  const meaning = `minimum_isolation is ${level}: ${isolationMeanings[level]}.`;
  if (level === 'microvm') return [meaning];
  return [
    `${meaning} Shared agents offer none at present, so only agents of this project, and shared ` +
      'ones that are bound to this endpoint alone, serve it.',
  ];
}

function fallbackWarnings({ endpoint, model, project }: EndpointView): string[] {
  if (!endpoint.fallback.enabled) return [];
  const nothing = { id: '', region: null, abilities: [], bodyBytes: 0, maxTokens: null, key: null };
  const request = { ...nothing, project, endpoint, model };
  if (fallbackTier(request) !== null) return [];
  if (!project.sharedAccess) {
    return ['fallback.enabled is true, but shared_access of the project is off.'];
  }
  if (isOpenToShared(model)) return [];
  return [
    'fallback.enabled is true, but the model is the project’s own: shared agents serve it only ' +
      'when an operator has approved its sha256.',
  ];
}

function bindingWarnings({ endpoint, model, boundAgents }: EndpointView): string[] {
  return boundAgents.flatMap((agent) => {
    const { id, projectId, effectiveTiers } = agent;
    if (!effectiveTiers.includes(endpoint.tier)) {
      return [`The bound agent ${id} does not carry ${endpoint.tier} and will not serve.`];
    }
    return mayHold({ projectId }, model)
      ? []
      : [`The bound agent ${id} is shared and may not have this model; it will not serve.`];
  });
}
