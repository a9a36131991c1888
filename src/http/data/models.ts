/** `GET …/v1/models` and `…/v1/models/{model}`: the endpoints that a key may call, as models. */
import type { ApiKeyEntry, EndpointEntry, ProjectEntry } from '../../domain/directory.ts';
import type { Exchange } from '../exchanges/exchange.ts';
import type { ApiKeyAuth } from './apiKeyAuth.ts';
import { endpointTarget, projectTarget, type Refused, type TargetDirectory } from './target.ts';

/** One entry of the list, in OpenAI's shape. */
interface ModelObject {
  id: string;
  object: 'model';
  /** Seconds since the epoch. */
  created: number;
  owned_by: string;
}

export interface ModelHandlers {
  models(exchange: Exchange): void;
  model(exchange: Exchange): void;
}

type Reach =
  | { ok: true; project: ProjectEntry; key: ApiKeyEntry; endpoints: readonly EndpointEntry[] }
  | Refused;

export function createModelHandlers(options: {
  directory: TargetDirectory;
  auth: ApiKeyAuth;
}): ModelHandlers {
  const { directory } = options;

  /** The endpoints below the address that the key may call. */
  function reach(exchange: Exchange): Reach {
    const { authorization } = exchange.request.headers;
    const { address, params } = exchange;
    const caller = options.auth.authenticate({ authorization, address, scope: 'inference' });
    if (!caller.ok) return caller;
    const { key } = caller;
    const found = projectTarget(directory, { params, key });
    if (!found.ok) return found;
    const { project } = found;
    const named = params['endpoint'];
    if (named === undefined) {
      const all = directory.endpointsOf(project.id);
      const callable =
        key.endpointId === null ? all : all.filter(({ id }) => id === key.endpointId);
      return { ok: true, project, key, endpoints: callable.filter(({ active }) => active) };
    }
    const one = endpointTarget(directory, { project, key, name: named });
    return one.ok ? { ok: true, project, key, endpoints: [one.endpoint] } : one;
  }

  return {
    models(exchange) {
      const reached = reach(exchange);
      if (!reached.ok) return refuse(exchange, reached);
      const data = reached.endpoints.map((endpoint) => modelObject(endpoint, reached.project));
      exchange.json(200, { object: 'list', data });
    },
    model(exchange) {
      const reached = reach(exchange);
      if (!reached.ok) return refuse(exchange, reached);
      const name = exchange.params['model'] ?? '';
      const endpoint = reached.endpoints.find(({ slug, id }) => slug === name || id === name);
      if (endpoint === undefined) {
        const { project, key } = reached;
        // Only to word the refusal: it is either missing or pinned away.
        const missing = endpointTarget(directory, { project, key, name, param: 'model' });
        const message = `The model '${name}' is not served at this address.`;
        return refuse(
          exchange,
          missing.ok ? { ok: false, name: 'model_not_found', message } : missing,
        );
      }
      exchange.json(200, modelObject(endpoint, reached.project));
    },
  };
}

function refuse(exchange: Exchange, refused: Refused): void {
  exchange.refuse(refused.name, refused.message, { param: refused.param ?? null });
}

function modelObject(endpoint: EndpointEntry, project: ProjectEntry): ModelObject {
  const created = Math.floor(endpoint.createdAtMs / 1000);
  return { id: endpoint.slug, object: 'model', created, owned_by: project.slug };
}
