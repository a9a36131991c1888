/** Bounds of the simulator (R6). Times in ms, sizes in bytes unless the name says otherwise. */

/** A trace that is read into memory. */
export const maxTraceBytes = 256 * 1024 * 1024;

/** Requests of one run. */
export const maxRequests = 2_000_000;

/** Machines of one fleet. */
export const maxMachines = 10_000;

/** Tenants of one `--tenants`. */
export const maxTenants = 10_000;

/** Requests that a run takes of a ServeGen folder, whose day has more than a million. */
export const serveGenRequests = 12_000;

/** How long arrivals of `--tenants` go on when no window of the spec ends: s. */
export const tenantsDurationS = 1_200;

/** How long they go on after the last window of the spec has ended: s. */
export const tenantsAfterWindowS = 300;

/** From an engine's event until the router knows of it: what a router sees is this old. */
export const roundTripMs = 5;

/** How often a machine says how it is. */
export const heartbeatMs = 5_000;

// The engine (an A100 with Llama-3-8B in 16 bits)

/** Tokens of keys and values that fit into the machine. */
export const kvTokens = 430_000;

/** Sequences that run at once. */
export const maxSequences = 256;

/** Tokens of one step, decoding and prefill together. */
export const maxStepTokens = 2_048;

/** Tokens of a prefix block in a trace. */
export const blockTokens = 512;

/** Tenants up to which service gaps are counted, which is work for every two that wait. */
export const maxGapTenants = 256;

// What is measured

/** A first token that comes sooner than this counts as prompt. */
export const promptFirstTokenMs = 5_000;

/** Prompts with more tokens are shown apart. */
export const longPromptTokens = 16_000;

/** Tenants that are shown to a person. */
export const tenantsShown = 20;
