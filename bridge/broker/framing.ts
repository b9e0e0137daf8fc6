/**
 * Framed TCP: the bytes of it, without a socket.
 *
 * A client's first line says what it is, `PRODUCER` or `CONSUMER` (ended by LF or CR LF). Frames follow, in the direction the
 * line says: the length of the body as 4 bytes, big-endian, then the body, 1 byte to {@link MAX_FRAME_BYTES}.
 */
import { MillraceError } from "../../functions/core/errors.ts";
import { quote } from "../../functions/core/ids.ts";

/** Bytes of one frame's body. An event's data is at most 128 KiB; the rest is room for messages that others decode. */
export const MAX_FRAME_BYTES = 1024 * 1024;
/** Bytes before the body. */
export const HEADER_BYTES = 4;
/** Bytes of the first line, its end included: more than any line we know, little enough to keep for a stranger. */
const MAX_LINE_BYTES = 64;
/** Bytes first set aside for a body that comes in pieces; doubled as they come, so that a length alone costs nothing. */
const FIRST_PIECE_BYTES = 4096;

/** What a client is. */
export type Role = "producer" | "consumer";

/** One frame, in memory of its own. @throws MillraceError `invalid-input` when the body is empty or too large. */
export function encodeFrame(body: Uint8Array): Uint8Array {
  return encodeFrames([body]);
}

/** Frames joined for one write. @throws MillraceError `invalid-input` when a body is empty or too large. */
export function encodeFrames(bodies: readonly Uint8Array[]): Uint8Array {
  let bytes = 0;
  for (const { byteLength } of bodies) {
    if (!isFrameLength(byteLength)) throw badLength("write", byteLength);
    bytes += HEADER_BYTES + byteLength;
  }
  const joined = new Uint8Array(bytes);
  let offset = 0;
  for (const body of bodies) {
    const length = body.byteLength;
    joined[offset++] = length >>> 24;
    joined[offset++] = length >>> 16;
    joined[offset++] = length >>> 8;
    joined[offset++] = length;
    joined.set(body, offset);
    offset += length;
  }
  return joined;
}

export interface FrameDecoder {
  /**
   * The bodies that are whole with this chunk, in order, however the bytes were cut. A body may be a view of the chunk: leave
   * the chunk unchanged. Costs a copy at most, and holds no more than the one body that is not whole yet.
   * @throws MillraceError `invalid-input` naming a length of zero or over the limit, now and at every later call. Bodies that
   * came before it in the same chunk are returned first: then `failure` is set and the next call throws it.
   */
  push(chunk: Uint8Array): Uint8Array[];
  /** The bad length, once it was met. */
  readonly failure: MillraceError | undefined;
  /** Bytes held of a frame that is not whole; not 0 at the end of a connection means it was cut inside a frame. */
  readonly heldBytes: number;
}

/** One decoder for one direction of one connection. */
export function createFrameDecoder(): FrameDecoder {
  let failure: MillraceError | undefined;
  // Of the length that is being read: its bytes so far, and its value.
  let headerBytes = 0;
  let length = 0;
  // Of the body that is being read: what is here, in memory that grows with it.
  let body = new Uint8Array(0);
  let bodyBytes = 0;

  const keep = (piece: Uint8Array) => {
    const wanted = bodyBytes + piece.byteLength;
    if (wanted > body.byteLength) {
      const size = Math.min(length, Math.max(wanted, 2 * body.byteLength, FIRST_PIECE_BYTES));
      const grown = new Uint8Array(size);
      grown.set(body.subarray(0, bodyBytes));
      body = grown;
    }
    body.set(piece, bodyBytes);
    bodyBytes = wanted;
  };

  return {
    push(chunk) {
      if (failure) throw failure;
      const whole: Uint8Array[] = [];
      let offset = 0;
      while (offset < chunk.byteLength) {
        if (headerBytes < HEADER_BYTES) {
          length = length * 256 + chunk[offset++]!;
          headerBytes++;
          if (headerBytes < HEADER_BYTES || isFrameLength(length)) continue;
          failure = badLength("read", length);
          if (whole.length === 0) throw failure;
          return whole;
        }
        const piece = chunk.subarray(offset, offset + length - bodyBytes);
        offset += piece.byteLength;
        if (piece.byteLength < length) keep(piece);
        else whole.push(piece);
        if (bodyBytes > 0 && bodyBytes < length) continue;
        if (bodyBytes === length) whole.push(body);
        headerBytes = length = bodyBytes = 0;
        body = new Uint8Array(0);
      }
      return whole;
    },
    get failure() {
      return failure;
    },
    get heldBytes() {
      return headerBytes + bodyBytes;
    },
  };
}

/** The line a client begins with. */
export function encodeHandshake(role: Role): Uint8Array {
  return new TextEncoder().encode(`${role.toUpperCase()}\n`);
}

export interface HandshakeReader {
  /**
   * Undefined until the line is whole; then the role, and the bytes behind the line in the same chunk, which are frames.
   * @throws MillraceError `invalid-input` naming a line that is none of the two, or too long.
   */
  push(chunk: Uint8Array): { readonly role: Role; readonly rest: Uint8Array } | undefined;
}

/** Reads the first line of one connection. Holds at most 64 bytes. */
export function createHandshakeReader(): HandshakeReader {
  let line = "";
  return {
    push(chunk) {
      const room = MAX_LINE_BYTES - line.length;
      const end = chunk.subarray(0, room).indexOf(0x0a);
      // One character a byte: a line of anything but ASCII is refused anyway, and shows its bytes in the message.
      line += String.fromCharCode(...chunk.subarray(0, end < 0 ? room : end));
      if (end < 0 && line.length < MAX_LINE_BYTES) return undefined;
      const role = line.replace(/\r$/, "");
      if (end >= 0 && (role === "PRODUCER" || role === "CONSUMER")) {
        return { role: role === "PRODUCER" ? "producer" : "consumer", rest: chunk.subarray(end + 1) };
      }
      throw new MillraceError(
        "invalid-input",
        `Cannot read handshake ${quote(line)}: expected the line PRODUCER or CONSUMER`,
      );
    },
  };
}

function isFrameLength(length: number): boolean {
  return length >= 1 && length <= MAX_FRAME_BYTES;
}

function badLength(verb: string, length: number): MillraceError {
  return new MillraceError(
    "invalid-input",
    `Cannot ${verb} frame of length "${length}": expected 1 to ${MAX_FRAME_BYTES} bytes`,
  );
}
