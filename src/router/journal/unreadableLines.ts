/** Lines of the journal that cannot be read: counted, told, and kept for whoever can. */
import type { Logger } from '../../lib/log.ts';
import { maxUnreadableBytes, maxUnreadableTold } from '../limits.ts';
import type { JournalFiles } from './journalFiles.ts';

/** In the journal's folder; nothing here reads it. */
const keptIn = 'unreadable.txt';

export class UnreadableLines {
  /** Since the start. */
  count = 0;
  private readonly files: JournalFiles;
  private readonly log: Logger;
  /** Of the file; undefined: nobody has looked. */
  private bytes: number | undefined;

  constructor({ files, log }: { files: JournalFiles; log: Logger }) {
    this.files = files;
    this.log = log;
  }

  /** Never rejects: lines that the disk does not take are in the log alone. */
  async keep(file: string, lines: readonly string[]): Promise<void> {
    if (lines.length === 0) return;
    this.count += lines.length;
    const begins = lines.slice(0, maxUnreadableTold).map((line) => line.slice(0, 1000));
    const told = { file, unreadable: lines.length, begins };
    try {
      this.bytes ??= (await this.files.read(keptIn))?.length ?? 0;
      const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
      if (this.bytes + bytes.length > maxUnreadableBytes) {
        this.log.error(told, 'lines of the journal cannot be read; there is no room to keep them');
        return;
      }
      await this.files.extend(keptIn, bytes);
      this.bytes += bytes.length;
      this.log.error({ ...told, keptIn }, 'lines of the journal cannot be read, and are kept');
    } catch (error) {
      this.log.error({ ...told, err: error }, 'lines of the journal can be neither read nor kept');
    }
  }
}
