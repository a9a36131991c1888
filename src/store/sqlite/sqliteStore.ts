/**
 * The embedded store: one file, one worker thread that writes and one that reads. The main thread
 * sends calls and gets answers; it never touches the file.
 */
import type { Logger } from '../../lib/log.ts';
import { createListeners } from '../listeners.ts';
import { methods, methodsOver } from '../methods.ts';
import type { Store } from '../store.ts';
import { createWorkerLane } from './workerLane.ts';

/** `path`: the database file; made with its directory when it is missing. */
export function createSqliteStore({ path, log }: { path: string; log: Logger }): Store {
  const listeners = createListeners(log);
  const lane = (role: 'writer' | 'reader') =>
    createWorkerLane({ file: path, role, log, onChange: listeners.call });
  const writer = lane('writer');
  const reader = lane('reader');
  return {
    ...methodsOver((call) =>
      methods[call.name].access === 'read' ? reader.call(call) : writer.call(call),
    ),
    async open() {
      // Both start at once; the reader opens the file when the writer has made and migrated it.
      const written = writer.open();
      try {
        await Promise.all([written, reader.open(written)]);
      } catch (error) {
        await reader.close();
        await writer.close();
        throw error;
      }
    },
    async close() {
      // Last, the writer: closing the last connection moves the log into the file.
      await reader.close();
      await writer.close();
    },
    onChange: listeners.add,
  };
}
