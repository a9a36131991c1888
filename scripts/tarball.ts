/**
 * A gzipped ustar archive that is the same bytes for the same files: fixed times and owners, names
 * in order. Small files with short names only, which is all that an npm-style package needs.
 */
import { gzipSync } from 'node:zlib';

export interface PackedFile {
  /** Path in the archive, at most 100 bytes, e.g. `package/bin/xim`. */
  name: string;
  data: Buffer;
  mode: number;
}

const blockBytes = 512;
/** 26 October 1985: what npm writes, so that some tools do not complain of a zero. */
const modifiedSeconds = 499_162_500;

/** The archive's bytes. Throws when a name is too long for ustar. */
export function tarball(files: readonly PackedFile[]): Buffer {
  const blocks = files
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((file) => [header(file), file.data, padding(file.data.length)]);
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(2 * blockBytes)]), { level: 9 });
}

function padding(length: number): Buffer {
  return Buffer.alloc((blockBytes - (length % blockBytes)) % blockBytes);
}

/** POSIX.1-1988 ustar header, as `pax(1)` describes it. */
function header({ name, data, mode }: PackedFile): Buffer {
  if (Buffer.byteLength(name) > 100) throw new Error(`${name} is too long a name for ustar`);
  const block = Buffer.alloc(blockBytes);
  const octal = (value: number, at: number, size: number): void => {
    block.write(value.toString(8).padStart(size - 1, '0'), at, size - 1, 'latin1');
  };
  block.write(name, 0);
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(data.length, 124, 12);
  octal(modifiedSeconds, 136, 12);
  block.fill(' ', 148, 156);
  block.write('0', 156);
  block.write('ustar\u000000', 257);
  const checksum = block.reduce((sum, byte) => sum + byte, 0);
  block.write(`${checksum.toString(8).padStart(6, '0')}\u0000 `, 148, 'latin1');
  return block;
}
