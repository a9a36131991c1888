/**
 * Numbers of variable length, seven bits a byte, the lowest first; texts behind their length.
 * Everything that is written is a whole number of at least 0 and below 2⁵³.
 */
export class ByteWriter {
  readonly bytes: Buffer;
  at = 0;

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafe(size);
  }

  /** What is left, in bytes. */
  get room(): number {
    return this.bytes.length - this.at;
  }

  number(value: number): void {
    const { bytes } = this;
    let { at } = this;
    // Bit operations hold for 31 bits only.
    let large = value;
    for (; large >= 0x4000_0000; large = Math.floor(large / 0x80)) {
      bytes[at] = (Math.floor(large) % 0x80) | 0x80;
      at += 1;
    }
    let rest = large > 0 ? (large + 0.5) | 0 : 0;
    for (; rest >= 0x80; rest >>>= 7) {
      bytes[at] = (rest & 0x7f) | 0x80;
      at += 1;
    }
    bytes[at] = rest;
    this.at = at + 1;
  }

  /** Null becomes 0. */
  orNull(value: number | null): void {
    this.number(value === null ? 0 : Math.max(0, Math.round(value)) + 1);
  }

  /** Tenths of a ms. */
  ms(value: number): void {
    this.number(value * 10);
  }

  msOrNull(value: number | null): void {
    this.orNull(value === null ? null : value * 10);
  }

  /** Latin letters only. */
  text(value: string): void {
    this.number(value.length);
    this.at += this.bytes.write(value, this.at, 'latin1');
  }

  /** A number of 48 bits, always six bytes. */
  block(value: number): void {
    this.bytes.writeUIntLE(value, this.at, 6);
    this.at += 6;
  }
}

/** Reads what a `ByteWriter` wrote. Throws a RangeError where the bytes end too early. */
export class ByteReader {
  private readonly bytes: Buffer;
  private at: number;

  constructor(bytes: Buffer, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  number(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.bytes.readUInt8(this.at);
      this.at += 1;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
  }

  orNull(): number | null {
    const value = this.number();
    return value === 0 ? null : value - 1;
  }

  ms(): number {
    return this.number() / 10;
  }

  msOrNull(): number | null {
    const value = this.orNull();
    return value === null ? null : value / 10;
  }

  text(): string {
    const length = this.number();
    this.at += length;
    if (this.at > this.bytes.length) throw new RangeError('a text ends behind the bytes');
    return this.bytes.toString('latin1', this.at - length, this.at);
  }

  block(): number {
    this.at += 6;
    return this.bytes.readUIntLE(this.at - 6, 6);
  }

  /** A list behind its length. */
  list<Item>(read: () => Item): Item[] {
    const length = this.number();
    // Each item has a byte at least: a length that was made up allocates nothing.
    if (length > this.bytes.length - this.at) throw new RangeError('a list ends behind the bytes');
    return Array.from({ length }, read);
  }
}
