/**
 * Who gets what from each row of the route table, written by hand and not derived from it: a row
 * without a line here fails, and so does a line without a row.
 *
 * `in` means that the caller gets past every question of who it is; what it is told then is the
 * handler's. Everything else is the refusal's status and code.
 */
import type { CastName } from '../../src/testing/cast.ts';

export type Verdict = 'in' | `${number} ${string}`;
export type Verdicts = Readonly<Record<CastName, Verdict>>;

const signIn = '401 not_signed_in';
const badKey = '401 invalid_api_key';
const noKey = '401 null';
const denied = '403 insufficient_permissions';
const changeFirst = '403 password_change_required';
const hidden = '404 project_not_found';
const crossSite = '403 cross_site_request';

/** Nobody is asked who they are. */
const anybody: Verdicts = {
  none: 'in',
  member: 'in',
  owner: 'in',
  admin: 'in',
  stranger: 'in',
  expiredSession: 'in',
  oneTimeOwner: 'in',
  managementKey: 'in',
  inferenceKey: 'in',
  strangerKey: 'in',
  strangerInferenceKey: 'in',
  expiredKey: 'in',
  revokedKey: 'in',
  agent: 'in',
};

/** Only from a page of ours: a browser sends its origin, and a program has no business here. */
const pagesOfOurs: Verdicts = {
  ...anybody,
  managementKey: crossSite,
  inferenceKey: crossSite,
  strangerKey: crossSite,
  strangerInferenceKey: crossSite,
  expiredKey: crossSite,
  revokedKey: crossSite,
  agent: crossSite,
};

/** Whoever may look at the project. */
const members: Verdicts = {
  none: signIn,
  member: 'in',
  owner: 'in',
  admin: 'in',
  stranger: hidden,
  expiredSession: signIn,
  oneTimeOwner: changeFirst,
  managementKey: 'in',
  inferenceKey: denied,
  strangerKey: hidden,
  strangerInferenceKey: denied,
  expiredKey: badKey,
  revokedKey: badKey,
  agent: badKey,
};

/** Whoever may change the project. */
const owners: Verdicts = { ...members, member: denied };

/** Operators. */
const operators: Verdicts = {
  ...members,
  member: denied,
  owner: denied,
  stranger: denied,
  managementKey: denied,
  strangerKey: denied,
};

/** Everybody who is somebody: the answer is about the caller alone. */
const known: Verdicts = { ...members, stranger: 'in', strangerKey: 'in' };

/** A person in a browser. No key. */
const people: Verdicts = {
  none: signIn,
  member: 'in',
  owner: 'in',
  admin: 'in',
  stranger: 'in',
  expiredSession: signIn,
  oneTimeOwner: changeFirst,
  managementKey: signIn,
  inferenceKey: signIn,
  strangerKey: signIn,
  strangerInferenceKey: signIn,
  expiredKey: signIn,
  revokedKey: signIn,
  agent: signIn,
};

/** The same, and one who must first change the password. */
const evenOneTime: Verdicts = { ...people, oneTimeOwner: 'in' };

/** People of the project, and what is theirs alone: no key. */
const memberPeople: Verdicts = { ...people, stranger: hidden };
const ownerPeople: Verdicts = { ...memberPeople, member: denied };

/** What only an operator does, as a person. */
const operatorPeople: Verdicts = { ...people, member: denied, owner: denied, stranger: denied };

/** The source platform's addresses: owners by key; no cookie is looked at. */
const ownersByKey: Verdicts = {
  ...members,
  none: noKey,
  member: noKey,
  owner: noKey,
  admin: noKey,
  stranger: noKey,
  expiredSession: noKey,
  oneTimeOwner: noKey,
};

/** The same where the key names the project. */
const ownersOwn: Verdicts = { ...ownersByKey, strangerKey: 'in' };

/** The data plane below a project: keys of scope inference alone. */
const inference: Verdicts = {
  ...ownersByKey,
  managementKey: denied,
  inferenceKey: 'in',
  strangerKey: denied,
  strangerInferenceKey: hidden,
};

/** The same where the key names the project. */
const inferenceOwn: Verdicts = { ...inference, strangerInferenceKey: 'in' };

/** From this machine without a key, otherwise with a good one. */
const metrics: Verdicts = {
  ...anybody,
  inferenceKey: denied,
  strangerInferenceKey: denied,
  expiredKey: badKey,
  revokedKey: badKey,
  agent: badKey,
};

const project = '/api/v1/projects/{project}';
const platform = '/api/v1/platform';
const management = '/{project}/v1/management';

export const matrix: Readonly<Record<string, Verdicts>> = {
  'POST /v1/chat/completions': inferenceOwn,
  'POST /{project}/{endpoint}/v1/chat/completions': inference,
  'GET /v1/models': inferenceOwn,
  'GET /{project}/v1/models': inference,
  'GET /{project}/{endpoint}/v1/models': inference,
  'GET /v1/models/{model}': inferenceOwn,
  'GET /{project}/v1/models/{model}': inference,
  'GET /{project}/{endpoint}/v1/models/{model}': inference,

  'GET /v1/enroll/nonce': anybody,
  'POST /v1/enroll': anybody,
  'POST /v1/enroll/refresh': anybody,
  'GET /v1/agents/link': anybody,

  'GET /api/v1/openapi.json': anybody,
  'GET /api/v1/sign-in/options': anybody,
  'POST /api/v1/sign-in': pagesOfOurs,
  'POST /api/v1/sign-up': pagesOfOurs,
  'POST /api/v1/sign-up/terms': pagesOfOurs,
  'GET /api/v1/oidc/start': anybody,
  'GET /api/v1/oidc/callback': anybody,
  'POST /api/v1/sign-out': evenOneTime,
  'GET /api/v1/session': evenOneTime,
  'POST /api/v1/session/password': evenOneTime,
  'POST /api/v1/session/invitations': people,
  'GET /api/v1/session/second-factor': people,
  'POST /api/v1/session/second-factor': people,
  'POST /api/v1/session/second-factor/confirm': people,
  'POST /api/v1/session/second-factor/recovery-codes': people,
  'POST /api/v1/session/second-factor/turn-off': people,
  'GET /api/v1/status': known,
  'GET /api/v1/projects': known,
  'GET /api/v1/tiers': known,

  'POST /api/v1/projects': operatorPeople,
  [`GET ${project}`]: members,
  [`PATCH ${project}`]: owners,
  [`DELETE ${project}`]: owners,
  [`GET ${project}/members`]: memberPeople,
  [`POST ${project}/members`]: operatorPeople,
  [`PUT ${project}/members/{member}`]: ownerPeople,
  [`DELETE ${project}/members/{member}`]: ownerPeople,
  [`GET ${project}/invitations`]: ownerPeople,
  [`POST ${project}/invitations`]: ownerPeople,
  [`DELETE ${project}/invitations/{invitation}`]: ownerPeople,
  [`GET ${project}/api-keys`]: owners,
  [`POST ${project}/api-keys`]: owners,
  [`GET ${project}/api-keys/{key}`]: owners,
  [`PATCH ${project}/api-keys/{key}`]: owners,
  [`DELETE ${project}/api-keys/{key}`]: owners,
  [`POST ${project}/api-keys/{key}/rotate`]: owners,
  [`GET ${project}/live`]: members,
  [`GET ${project}/endpoints`]: members,
  [`POST ${project}/endpoints`]: owners,
  [`GET ${project}/endpoints/{endpoint}`]: members,
  [`PATCH ${project}/endpoints/{endpoint}`]: owners,
  [`DELETE ${project}/endpoints/{endpoint}`]: owners,
  [`GET ${project}/models`]: members,
  [`POST ${project}/models`]: owners,
  [`GET ${project}/models/{model}`]: members,
  [`PATCH ${project}/models/{model}`]: owners,
  [`DELETE ${project}/models/{model}`]: owners,
  [`GET ${project}/requests`]: members,
  [`GET ${project}/requests/active`]: members,
  [`GET ${project}/requests/{request}`]: members,
  [`GET ${project}/usage`]: members,
  [`GET ${project}/usage/records`]: members,
  [`GET ${project}/usage/summary.csv`]: members,
  [`GET ${project}/usage/records.csv`]: members,
  [`GET ${project}/budgets`]: members,
  [`GET ${project}/budgets/{budget}`]: members,
  [`PUT ${project}/budgets/{budget}`]: owners,
  [`DELETE ${project}/budgets/{budget}`]: owners,
  'GET /{project}/v1/requests': ownersByKey,
  'GET /{project}/v1/requests/active': ownersByKey,
  'GET /{project}/v1/requests/{request}': ownersByKey,
  'GET /{project}/v1/usage': ownersByKey,
  'GET /{project}/v1/usage/records': ownersByKey,
  'GET /{project}/v1/usage/summary.csv': ownersByKey,
  'GET /{project}/v1/usage/records.csv': ownersByKey,
  [`GET ${project}/agents`]: members,
  [`GET ${project}/agents/{agent}`]: members,
  [`PATCH ${project}/agents/{agent}`]: owners,
  [`GET ${project}/agents/{agent}/events`]: members,
  [`GET ${project}/agents/{agent}/health`]: members,
  [`GET ${project}/agents/{agent}/logs`]: members,
  [`POST ${project}/agents/{agent}/suspend`]: owners,
  [`POST ${project}/agents/{agent}/resume`]: owners,
  [`DELETE ${project}/agents/{agent}`]: owners,
  [`POST ${project}/agents/{agent}/revoke-credentials`]: owners,
  [`GET ${project}/logs`]: members,
  [`GET ${project}/join-keys`]: owners,
  [`POST ${project}/join-keys`]: owners,
  [`GET ${project}/join-keys/{key}`]: owners,
  [`DELETE ${project}/join-keys/{key}`]: owners,
  [`GET ${project}/audit`]: owners,

  [`GET ${platform}/users`]: operators,
  [`POST ${platform}/users`]: operators,
  [`GET ${platform}/users/{user}`]: operators,
  [`PATCH ${platform}/users/{user}`]: operators,
  [`POST ${platform}/users/{user}/reset-password`]: operators,
  [`DELETE ${platform}/users/{user}/second-factor`]: operators,
  [`GET ${platform}/invitations`]: operators,
  [`POST ${platform}/invitations`]: operators,
  [`DELETE ${platform}/invitations/{invitation}`]: operators,
  [`GET ${platform}/agents`]: operators,
  [`GET ${platform}/agents/{agent}`]: operators,
  [`PATCH ${platform}/agents/{agent}`]: operators,
  [`GET ${platform}/agents/{agent}/events`]: operators,
  [`GET ${platform}/agents/{agent}/health`]: operators,
  [`GET ${platform}/agents/{agent}/logs`]: operators,
  [`POST ${platform}/agents/{agent}/suspend`]: operators,
  [`POST ${platform}/agents/{agent}/resume`]: operators,
  [`DELETE ${platform}/agents/{agent}`]: operators,
  [`POST ${platform}/agents/{agent}/revoke-credentials`]: operators,
  [`GET ${platform}/join-keys`]: operators,
  [`POST ${platform}/join-keys`]: operators,
  [`GET ${platform}/join-keys/{key}`]: operators,
  [`DELETE ${platform}/join-keys/{key}`]: operators,
  [`GET ${platform}/models`]: operators,
  [`POST ${platform}/models`]: operators,
  [`GET ${platform}/models/{model}`]: operators,
  [`PATCH ${platform}/models/{model}`]: operators,
  [`DELETE ${platform}/models/{model}`]: operators,
  [`GET ${platform}/model-approvals`]: operators,
  [`POST ${platform}/model-approvals`]: operators,
  [`DELETE ${platform}/model-approvals/{sha256}`]: operators,
  [`PATCH ${platform}/tiers/{tier}`]: operators,
  [`GET ${platform}/regions`]: operators,
  [`PUT ${platform}/regions`]: operators,
  [`GET ${platform}/audit`]: operators,
  [`GET ${platform}/receipts`]: operators,

  [`GET ${management}/agents`]: ownersByKey,
  [`GET ${management}/agents/{agent}`]: ownersByKey,
  [`PATCH ${management}/agents/{agent}`]: ownersByKey,
  [`GET ${management}/agents/{agent}/events`]: ownersByKey,
  [`GET ${management}/agents/{agent}/health`]: ownersByKey,
  [`GET ${management}/agents/{agent}/logs`]: ownersByKey,
  [`POST ${management}/agents/{agent}/suspend`]: ownersByKey,
  [`POST ${management}/agents/{agent}/resume`]: ownersByKey,
  [`DELETE ${management}/agents/{agent}`]: ownersByKey,
  [`POST ${management}/agents/{agent}/revoke-credentials`]: ownersByKey,
  [`GET ${management}/api-keys`]: ownersByKey,
  [`POST ${management}/api-keys`]: ownersByKey,
  [`GET ${management}/api-keys/{key}`]: ownersByKey,
  [`PATCH ${management}/api-keys/{key}`]: ownersByKey,
  [`DELETE ${management}/api-keys/{key}`]: ownersByKey,
  [`POST ${management}/api-keys/{key}/rotate`]: ownersByKey,
  [`GET ${management}/join-keys`]: ownersByKey,
  [`POST ${management}/join-keys`]: ownersByKey,
  [`GET ${management}/join-keys/{key}`]: ownersByKey,
  [`DELETE ${management}/join-keys/{key}`]: ownersByKey,

  'GET /v1/requests': ownersOwn,
  'GET /v1/requests/active': ownersOwn,
  'GET /v1/requests/{request}': ownersOwn,
  'GET /v1/usage': ownersOwn,
  'GET /v1/usage/records': ownersOwn,
  'GET /v1/usage/summary.csv': ownersOwn,
  'GET /v1/usage/records.csv': ownersOwn,
  'GET /v1/management/agents': ownersOwn,
  'GET /v1/management/agents/{agent}': ownersOwn,
  'PATCH /v1/management/agents/{agent}': ownersOwn,
  'GET /v1/management/agents/{agent}/events': ownersOwn,
  'GET /v1/management/agents/{agent}/health': ownersOwn,
  'GET /v1/management/agents/{agent}/logs': ownersOwn,
  'POST /v1/management/agents/{agent}/suspend': ownersOwn,
  'POST /v1/management/agents/{agent}/resume': ownersOwn,
  'DELETE /v1/management/agents/{agent}': ownersOwn,
  'POST /v1/management/agents/{agent}/revoke-credentials': ownersOwn,
  'GET /v1/management/api-keys': ownersOwn,
  'POST /v1/management/api-keys': ownersOwn,
  'GET /v1/management/api-keys/{key}': ownersOwn,
  'PATCH /v1/management/api-keys/{key}': ownersOwn,
  'DELETE /v1/management/api-keys/{key}': ownersOwn,
  'POST /v1/management/api-keys/{key}/rotate': ownersOwn,
  'GET /v1/management/join-keys': ownersOwn,
  'POST /v1/management/join-keys': ownersOwn,
  'GET /v1/management/join-keys/{key}': ownersOwn,
  'DELETE /v1/management/join-keys/{key}': ownersOwn,

  'GET /': anybody,
  'GET /ui': anybody,
  'GET /ui/{rest*}': anybody,
  'GET /install.sh': anybody,
  'GET /install/xim.tgz': anybody,
  'GET /healthz': anybody,
  'GET /readyz': anybody,
  'GET /metrics': metrics,
};
