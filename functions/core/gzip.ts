/**
 * gzip (RFC 1952) in pieces that many streams share. A piece is made once: a run of deflate blocks (RFC 1951) that looks back at nothing
 * before itself and ends on a byte, so it can be put behind anything. A stream is {@link GZIP_HEADER}, pieces, and a trailer of its own.
 * A decoder gives out all of a piece as soon as its last byte is in.
 */
import { crc32, crc32Join, crc32Shift } from "./crc32.ts";

/** Raw deflate blocks without history, none of them the last, ended by a sync flush (zlib: `Z_SYNC_FLUSH`). */
export type Deflate = (bytes: Uint8Array) => Uint8Array;

export interface GzipPiece {
  /** Whole deflate blocks. Shared: never change them. */
  readonly blocks: Uint8Array;
  /** Bytes that come out of it. */
  readonly length: number;
  /** Of the bytes that come out of it. */
  readonly crc: number;
  /** See {@link crc32Shift}. */
  readonly shift: number;
}

/** What a stream keeps of the pieces it has sent, for its trailer. */
export interface GzipSum {
  crc: number;
  /** Modulo 2^32. */
  length: number;
}

/** Ten bytes: deflate, no flags, no time, no operating system. */
export const GZIP_HEADER: Uint8Array = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff);

/**
 * Bytes from which deflate is run. What is smaller goes as it is, 5 bytes larger: one event of 160 bytes would lose 18 of them, and needs
 * its packet either way (`npm run bench`, compression).
 */
export const MIN_DEFLATE_BYTES = 256;

export function gzipPiece(bytes: Uint8Array, deflate: Deflate): GzipPiece {
  const { byteLength: length } = bytes;
  const blocks = length < MIN_DEFLATE_BYTES ? storedBlock(bytes) : deflate(bytes);
  return { blocks, length, crc: crc32(bytes), shift: crc32Shift(length) };
}

/** Takes the piece as sent behind all before it. */
export function addPiece(sum: GzipSum, piece: GzipPiece): void {
  sum.crc = crc32Join(sum.crc, piece);
  sum.length = (sum.length + piece.length) >>> 0;
}

/** The last block, which is empty, and the trailer (RFC 1952, section 2.3.1). */
export function gzipEnd({ crc, length }: GzipSum): Uint8Array {
  const end = new Uint8Array(10);
  // Fixed codes, last block, and the code for its end at once.
  end[0] = 3;
  const view = new DataView(end.buffer);
  view.setUint32(2, crc, true);
  view.setUint32(6, length, true);
  return end;
}

/** A block without compression (RFC 1951, section 3.2.4), at most 65,535 bytes. It begins and ends on a byte. */
function storedBlock(bytes: Uint8Array): Uint8Array {
  const block = new Uint8Array(5 + bytes.byteLength);
  const view = new DataView(block.buffer);
  view.setUint16(1, bytes.byteLength, true);
  view.setUint16(3, ~bytes.byteLength, true);
  block.set(bytes, 5);
  return block;
}
