/** The messages between the two halves of the bare relay. */
const headBytes = 5;

export function framed(id: number, what: { isLast: boolean; parts: readonly Buffer[] }): Buffer {
  const head = Buffer.allocUnsafe(headBytes);
  head.writeUInt32BE(id, 0);
  head.writeUInt8(what.isLast ? 1 : 0, 4);
  return Buffer.concat([head, ...what.parts]);
}

export function read(message: Buffer): { id: number; isLast: boolean; bytes: Buffer } {
  return {
    id: message.readUInt32BE(0),
    isLast: message.readUInt8(4) === 1,
    bytes: message.subarray(headBytes),
  };
}
