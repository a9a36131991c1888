import type { ReceiptFiles } from '../../router/receipts/receiptFiles.ts';

/** Receipts in memory. `fault` makes writes fail. */
export class MemoryReceipts implements ReceiptFiles {
  readonly segments = new Map<string, Buffer>();
  fault: 'ENOSPC' | undefined;

  list(): Promise<string[]> {
    return Promise.resolve([...this.segments.keys()].toSorted());
  }

  read(name: string): Promise<Buffer> {
    const bytes = this.segments.get(name);
    return bytes === undefined ? Promise.reject(new Error('ENOENT')) : Promise.resolve(bytes);
  }

  write(name: string, bytes: Buffer): Promise<void> {
    if (this.fault !== undefined) return Promise.reject(new Error(this.fault));
    this.segments.set(name, Buffer.from(bytes));
    return Promise.resolve();
  }

  remove(name: string): Promise<void> {
    this.segments.delete(name);
    return Promise.resolve();
  }
}
