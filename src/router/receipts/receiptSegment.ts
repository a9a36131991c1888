/**
 * Some thousand receipts in one piece: the records, what they name by number, and a table of
 * contents of two numbers for each. As a file, from its beginning to its end:
 *
 *     records │ names, JSON │ hashes of ids │ offsets │ footer: offset of the names, count, magic
 *
 * The numbers are of 32 bits, lowest byte first.
 */
import { maxReceiptRecordBytes, receiptSegmentBytes } from '../limits.ts';
import { ByteReader, ByteWriter } from './packedBytes.ts';
import type { Receipt } from './receipt.ts';
import { readReceipt, writeReceipt, type EndedRequest, type Surroundings } from './receiptCodec.ts';
import { SegmentNames, type NamesRecord } from './segmentNames.ts';

const magic = 0x3143_5258;
const footerBytes = 12;
/** Names of this size make a segment full, too. */
const maxNamesBytes = receiptSegmentBytes / 2;

/** Where the receipts of a closed segment are. */
export interface Contents {
  hashes: Uint32Array;
  offsets: Uint32Array;
}

/** Ids of one hash may be different ones. */
export function idHash(id: string): number {
  let hash = 0x811c9dc5;
  // Ids sort by time: their ends tell them apart.
  for (let at = Math.max(0, id.length - 12); at < id.length; at += 1) {
    hash = Math.imul(hash ^ id.charCodeAt(at), 0x01000193);
  }
  return hash >>> 0;
}

/** The segment that grows. */
export class OpenSegment {
  private readonly out = new ByteWriter(receiptSegmentBytes + maxReceiptRecordBytes);
  private readonly names = new SegmentNames();
  private hashes: number[] = [];
  private offsets: number[] = [];

  get count(): number {
    return this.offsets.length;
  }

  get isFull(): boolean {
    return this.out.room < maxReceiptRecordBytes || this.names.bytes > maxNamesBytes;
  }

  /** The bound of a record is checked by its parts: it cannot be longer. */
  add(ended: EndedRequest, around: Surroundings): void {
    const { at } = this.out;
    writeReceipt(this.out, this.names, { ended, around });
    this.hashes.push(idHash(ended.record.requestId));
    this.offsets.push(at);
  }

  contents(): Contents {
    return { hashes: Uint32Array.from(this.hashes), offsets: Uint32Array.from(this.offsets) };
  }

  /** As a file holds it. */
  toBytes(): Buffer {
    const records = this.out.bytes.subarray(0, this.out.at);
    const names = Buffer.from(JSON.stringify(this.names.record));
    const table = Buffer.allocUnsafe(this.count * 8 + footerBytes);
    let at = 0;
    for (const hash of this.hashes) at = table.writeUInt32LE(hash, at);
    for (const offset of this.offsets) at = table.writeUInt32LE(offset, at);
    at = table.writeUInt32LE(records.length, at);
    at = table.writeUInt32LE(this.count, at);
    table.writeUInt32LE(magic, at);
    return Buffer.concat([records, names, table]);
  }

  /** One of its own. */
  read(offset: number): Receipt {
    return readReceipt(new ByteReader(this.out.bytes, offset), this.names.record);
  }
}

/** A segment that was read; null: it is none, or not a whole one. */
export function parseSegment(
  bytes: Buffer,
): { contents: Contents; read: (offset: number) => Receipt } | null {
  const end = bytes.length - footerBytes;
  if (end < 0 || bytes.readUInt32LE(end + 8) !== magic) return null;
  const namesAt = bytes.readUInt32LE(end);
  const count = bytes.readUInt32LE(end + 4);
  const tableAt = end - count * 8;
  if (tableAt < namesAt) return null;
  const numbers = Uint32Array.from({ length: count * 2 }, (_, at) =>
    bytes.readUInt32LE(tableAt + at * 4),
  );
  const contents = { hashes: numbers.slice(0, count), offsets: numbers.slice(count) };
  const records = bytes.subarray(0, namesAt);
  let names: NamesRecord | undefined;
  return {
    contents,
    read(offset) {
      names ??= JSON.parse(bytes.toString('utf8', namesAt, tableAt)) as NamesRecord;
      return readReceipt(new ByteReader(records, offset), names);
    },
  };
}

/** A receipt of a request as it is now, over or not. */
export function receiptNow(ended: EndedRequest, around: Surroundings): Receipt {
  const out = new ByteWriter(maxReceiptRecordBytes);
  const names = new SegmentNames();
  writeReceipt(out, names, { ended, around });
  return readReceipt(new ByteReader(out.bytes), names.record);
}
