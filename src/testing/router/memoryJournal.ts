/** A journal folder in memory. `fault` makes writes fail, `hold` makes them hang. */
import type { JournalFile, JournalFiles } from '../../router/journal/journalFiles.ts';

export class MemoryJournal implements JournalFiles {
  readonly segments = new Map<string, Buffer>();
  fault: 'ENOSPC' | undefined;
  /** Reading fails with it. */
  readFault: 'EMFILE' | 'EIO' | undefined;
  /** Of these files alone. */
  readonly unreadable = new Set<string>();
  /** Also syncing fails while `fault` is set. */
  failSyncs = false;
  /** A full disk still takes new names. */
  createsOnFullDisk = false;
  /** Files that are open. */
  open = 0;
  /** Bytes that a failing write still leaves behind. */
  tornBytes = 0;
  private held: (() => void)[] | undefined;
  /** Set: syncs hang. */
  heldSyncs: (() => void)[] | undefined;
  writes = 0;
  syncs = 0;

  prepare(): Promise<void> {
    return Promise.resolve();
  }

  list(): Promise<{ name: string; bytes: number }[]> {
    const names = [...this.segments.keys()].filter((name) => name.endsWith('.jsonl')).toSorted();
    return Promise.resolve(
      names.map((name) => ({ name, bytes: this.segments.get(name)?.length ?? 0 })),
    );
  }

  read(name: string): Promise<Buffer | undefined> {
    const code = this.unreadable.has(name) ? 'EIO' : this.readFault;
    if (code !== undefined) return Promise.reject(Object.assign(new Error(code), { code }));
    return Promise.resolve(this.segments.get(name));
  }

  create(name: string): Promise<JournalFile> {
    const refuses = this.fault !== undefined && !this.createsOnFullDisk;
    if (refuses) return Promise.reject(new Error(this.fault));
    if (this.segments.has(name)) return Promise.reject(new Error('EEXIST'));
    this.segments.set(name, Buffer.alloc(0));
    this.open += 1;
    return Promise.resolve({
      append: (bytes) => this.append(name, bytes),
      sync: () => this.sync(),
      close: () => {
        this.open -= 1;
        return Promise.resolve();
      },
    });
  }

  remove(name: string): Promise<void> {
    this.segments.delete(name);
    return Promise.resolve();
  }

  rename(name: string, to: string): Promise<void> {
    const bytes = this.segments.get(name);
    if (bytes === undefined) return Promise.reject(new Error('ENOENT'));
    this.segments.delete(name);
    this.segments.set(to, bytes);
    return Promise.resolve();
  }

  async extend(name: string, bytes: Buffer): Promise<void> {
    if (!this.segments.has(name)) {
      const file = await this.create(name);
      await file.close();
    }
    await this.append(name, bytes);
    await this.sync();
  }

  replace(name: string, bytes: Buffer): Promise<void> {
    if (this.fault !== undefined) return Promise.reject(new Error(this.fault));
    this.segments.set(name, bytes);
    return Promise.resolve();
  }

  /** Writes hang from now on. */
  hold(): void {
    this.held = [];
  }

  /** They go on. */
  release(): void {
    const held = this.held ?? [];
    this.held = undefined;
    for (const resume of held) resume();
  }

  /** Everything that was written. */
  text(): string {
    const names = [...this.segments.keys()].toSorted();
    return names.map((name) => this.segments.get(name)?.toString('utf8')).join('');
  }

  private async sync(): Promise<void> {
    this.syncs += 1;
    if (this.heldSyncs !== undefined) {
      const { heldSyncs } = this;
      await new Promise<void>((resolve) => heldSyncs.push(resolve));
    }
    if (this.failSyncs && this.fault !== undefined) throw new Error(this.fault);
  }

  private async append(name: string, bytes: Buffer): Promise<void> {
    this.writes += 1;
    if (this.held !== undefined) {
      const { held } = this;
      await new Promise<void>((resolve) => held.push(resolve));
    }
    const failed = this.fault !== undefined;
    const kept = failed ? bytes.subarray(0, this.tornBytes) : bytes;
    this.segments.set(name, Buffer.concat([this.segments.get(name) ?? Buffer.alloc(0), kept]));
    if (failed) throw new Error(this.fault);
  }
}
