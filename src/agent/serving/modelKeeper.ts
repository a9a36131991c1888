/**
 * Keeps the engine loaded with what the router asks for (CONFIG), last used first: file to the
 * disk, file into the engine, one model at a time. What fails is tried again where time may cure
 * it.
 *
 * Invariants
 * M1 A model is `ready` exactly while the engine offers it.
 * M2 One model is fetched or loaded at a time; a change of wishes ends work that nobody wants.
 */
import { createBackoff, type Backoff } from '../../lib/backoff.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import type { ModelState } from '../../protocol/messages/agentControl.ts';
import type { DesiredModel } from '../../protocol/messages/routerControl.ts';
import type { Engine, FetchProgress, ModelEnsurer, ModelFile } from '../engines/engine.ts';
import { maxModelErrorCharacters, modelRetryFirstMs, modelRetryLongestMs } from '../limits.ts';

export interface ModelKeeperParts {
  engine: Engine;
  /** Null where the engine needs no files. */
  ensurer: ModelEnsurer | null;
  clock: Clock;
  random: Random;
  log: Logger;
  /** A model went on (`progressed: false`), or further within the same stage. */
  onStage: (change: { desired: DesiredModel; stage: ModelStage; progressed: boolean }) => void;
}

export type ModelStage =
  /** Waits for its turn. */
  | { kind: 'wanted' }
  | { kind: 'fetching'; progress: FetchProgress }
  /** `fraction` in [0, 1]. */
  | { kind: 'loading'; fraction: number }
  | { kind: 'ready' }
  /** `tried`: one line per source. */
  | { kind: 'failed'; message: string; tried: readonly string[]; retry: Timer | undefined };

interface Entry {
  desired: DesiredModel;
  stage: ModelStage;
  backoff: Backoff;
  /** Logged once, however often it comes back. */
  lastFailure: string | undefined;
}

export class ModelKeeper {
  private readonly parts: ModelKeeperParts;
  /** In the order of the wishes. */
  private entries = new Map<string, Entry>();
  private maxSlots = 0;
  private working: { entry: Entry; abort: AbortController } | undefined;
  private unloading: Promise<void> = Promise.resolve();
  private stopped = false;

  constructor(parts: ModelKeeperParts) {
    this.parts = parts;
  }

  /** What the router wants held now; replaces the last wishes. */
  configure(config: { models: readonly DesiredModel[]; maxConcurrentRequests: number }): void {
    if (this.stopped) return;
    this.maxSlots = config.maxConcurrentRequests;
    const old = this.entries;
    this.entries = new Map(
      config.models.map((desired) => {
        const known = old.get(desired.modelId);
        const keeps = known !== undefined && sameFile(known.desired, desired);
        if (keeps) known.desired = desired;
        return [desired.modelId, keeps ? known : this.newEntry(desired)];
      }),
    );
    this.parts.ensurer?.setInUse([...this.entries.keys()]);
    for (const entry of old.values()) {
      if (this.entries.get(entry.desired.modelId) !== entry) this.abandon(entry);
    }
    this.work();
  }

  /**
   * The engine's offers have changed: what it lost is loaded again. An engine that is only attached
   * may have come back, so that what failed may work now.
   */
  onOffersChange(): void {
    if (this.stopped) return;
    const offered = this.offered();
    for (const entry of this.entries.values()) {
      const { kind } = entry.stage;
      if (offered.has(entry.desired.modelId)) {
        if (kind !== 'ready' && this.working?.entry !== entry) this.enter(entry, { kind: 'ready' });
      } else if (kind === 'ready' || (kind === 'failed' && !this.parts.engine.needsFiles)) {
        this.enter(entry, { kind: 'wanted' }, { tell: false });
      }
    }
    this.work();
  }

  /** For HEARTBEAT. */
  states(): ModelState[] {
    return [...this.entries.values()].map((entry) => this.stateOf(entry));
  }

  stop(): void {
    this.stopped = true;
    this.working?.abort.abort();
    for (const { stage } of this.entries.values())
      if (stage.kind === 'failed') stage.retry?.cancel();
  }

  private newEntry(desired: DesiredModel): Entry {
    const backoff = createBackoff({
      random: this.parts.random,
      firstMs: modelRetryFirstMs,
      longestMs: modelRetryLongestMs,
    });
    return { desired, stage: { kind: 'wanted' }, backoff, lastFailure: undefined };
  }

  private abandon(entry: Entry): void {
    if (entry.stage.kind === 'failed') entry.stage.retry?.cancel();
    if (this.working?.entry === entry) this.working.abort.abort();
    const { modelId } = entry.desired;
    // Also what is not offered now: an attached engine would offer it when it comes back.
    this.unloading = this.unloading.then(() => this.parts.engine.unload(modelId));
  }

  /** Takes the next model that wants work (M2). */
  private work(): void {
    if (this.working !== undefined || this.stopped) return;
    const entry = [...this.entries.values()].find(({ stage }) => stage.kind === 'wanted');
    if (entry === undefined) return;
    const abort = new AbortController();
    this.working = { entry, abort };
    // Handled: `bring` turns every expected failure into a stage.
    void this.bring(entry, abort.signal).finally(() => {
      this.working = undefined;
      this.work();
    });
  }

  private async bring(entry: Entry, signal: AbortSignal): Promise<void> {
    const file = await this.fetch(entry, signal);
    if (file === 'over' || signal.aborted) return;
    this.enter(entry, { kind: 'loading', fraction: 0 });
    // What goes leaves first: two models may not fit.
    await this.unloading;
    if (signal.aborted) return;
    const outcome = await this.parts.engine.load(
      { desired: entry.desired, file, maxSlots: this.maxSlots },
      { progress: (fraction) => this.onLoading(entry, fraction), signal },
    );
    if (signal.aborted) return;
    if (outcome.kind === 'failed') return this.fail(entry, outcome);
    if (outcome.kind === 'cancelled') return this.enter(entry, { kind: 'wanted' });
    if (!this.offered().has(entry.desired.modelId)) {
      return this.fail(entry, { message: 'The engine lost the model again.', retry: true });
    }
    entry.backoff.reset();
    entry.lastFailure = undefined;
    this.enter(entry, { kind: 'ready' });
  }

  /** The checked file, undefined where none is needed, `over` when this attempt has ended. */
  private async fetch(entry: Entry, signal: AbortSignal): Promise<ModelFile | undefined | 'over'> {
    const { engine, ensurer } = this.parts;
    if (!engine.needsFiles) return undefined;
    if (ensurer === null) throw new Error('an engine that needs files needs a model cache');
    this.enter(entry, { kind: 'fetching', progress: {} });
    const outcome = await ensurer.ensure(entry.desired, {
      signal,
      progress: (progress) => this.onProgress(entry, progress),
    });
    if (signal.aborted || outcome.kind === 'cancelled') return 'over';
    if (outcome.kind === 'ready') return { path: outcome.path, sha256: outcome.sha256 };
    this.fail(entry, outcome);
    return 'over';
  }

  private onProgress(entry: Entry, progress: FetchProgress): void {
    if (entry.stage.kind !== 'fetching') return;
    entry.stage.progress = progress;
    this.tell(entry, true);
  }

  private onLoading(entry: Entry, fraction: number): void {
    if (entry.stage.kind !== 'loading') return;
    entry.stage.fraction = fraction;
    this.tell(entry, true);
  }

  private fail(
    entry: Entry,
    failure: { message: string; retry: boolean; tried?: readonly string[] },
  ): void {
    const { message, tried = [] } = failure;
    if (entry.lastFailure !== message) {
      this.parts.log.warn(
        { model: entry.desired.name, detail: message, tried },
        'model not served',
      );
    }
    entry.lastFailure = message;
    const retry = failure.retry
      ? this.parts.clock.setTimer(entry.backoff.nextMs(), () => {
          this.enter(entry, { kind: 'wanted' }, { tell: false });
          this.work();
        })
      : undefined;
    this.enter(entry, { kind: 'failed', message, tried, retry });
  }

  private enter(entry: Entry, stage: ModelStage, { tell } = { tell: true }): void {
    if (entry.stage.kind === 'failed') entry.stage.retry?.cancel();
    entry.stage = stage;
    if (tell) this.tell(entry, false);
  }

  private tell(entry: Entry, progressed: boolean): void {
    if (this.entries.get(entry.desired.modelId) !== entry) return;
    this.parts.onStage({ desired: entry.desired, stage: entry.stage, progressed });
  }

  private stateOf({ desired, stage }: Entry): ModelState {
    const { modelId } = desired;
    switch (stage.kind) {
      case 'wanted':
      case 'loading':
        return { modelId, state: 'loading' };
      case 'fetching':
        return { modelId, state: 'fetching', ...stage.progress };
      case 'ready':
        return { modelId, state: 'ready' };
      case 'failed': {
        const error = [stage.message, ...stage.tried].join(' ').slice(0, maxModelErrorCharacters);
        return { modelId, state: 'failed', error };
      }
    }
  }

  private offered(): ReadonlySet<string> {
    return new Set(this.parts.engine.offers().map(({ modelId }) => modelId));
  }
}

/** Whether a change of wishes leaves what is loaded as it is. */
function sameFile(one: DesiredModel, other: DesiredModel): boolean {
  return (
    one.source === other.source &&
    one.sha256 === other.sha256 &&
    one.format === other.format &&
    one.task === other.task &&
    one.contextLength === other.contextLength &&
    one.name === other.name
  );
}
