/**
 * Framed TCP: the bytes of it, without a socket.
 *
 * A client's first line says what it is, `PRODUCER`, `CONSUMER` or `CONSUMER ACK` (ended by LF or CR LF). Frames follow, in the direction
 * the line says: the length of the body as 4 bytes, big-endian, then the body, 1 byte to {@link MAX_FRAME_BYTES}.
 *
 * `CONSUMER ACK` is answered before the first frame by a line that says what becomes of messages that are not acked, `QUEUE` (they go to
 * another consumer when the connection ends) or `BROADCAST` (they are lost, as without acks). The consumer sends acks: 4 bytes, big-endian,
 * each the number of messages, the oldest first, that it is done with since its last ack, 1 at least.
 */
import { MillraceError } from "../../functions/core/errors.ts";
import { quote } from "../../functions/core/ids.ts";

/** Bytes of one frame's body. An event's data is at most 128 KiB; the rest is room for messages that others decode. */
export const MAX_FRAME_BYTES = 1024 * 1024;
/** Bytes before the body. */
export const HEADER_BYTES = 4;
/** Bytes of one ack. */
const ACK_BYTES = 4;
/** Bytes of the first line, its end included: more than any line we know, little enough to keep for a stranger. */
const MAX_LINE_BYTES = 64;
/** Bytes first set aside for a body that comes in pieces; doubled as they come, so that a length alone costs nothing. */
const FIRST_PIECE_BYTES = 4096;

const LINES = {
  /** What a client is. */
  role: { PRODUCER: "producer", CONSUMER: "consumer", "CONSUMER ACK": "consumer-ack" },
  /** How messages are delivered. */
  mode: { QUEUE: "queue", BROADCAST: "broadcast" },
} as const;
/** What a client is; `consumer-ack`: a consumer that acks. */
export type Role = (typeof LINES.role)[keyof typeof LINES.role];
/** What a consumer that acks is answered. */
export type Mode = (typeof LINES.mode)[keyof typeof LINES.mode];

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
  return encodeLine(LINES.role, role);
}

/** The line a consumer that acks is answered. */
export function encodeMode(mode: Mode): Uint8Array {
  return encodeLine(LINES.mode, mode);
}

/** @param messages 1 at least. */
export function encodeAck(messages: number): Uint8Array {
  const bytes = new Uint8Array(ACK_BYTES);
  new DataView(bytes.buffer).setUint32(0, messages);
  return bytes;
}

export interface LineReader<Meaning> {
  /**
   * Undefined until the line is whole; then what it means, and the bytes behind it in the same chunk.
   * @throws MillraceError `invalid-input` naming a line that is none of those expected, or too long.
   */
  push(chunk: Uint8Array): { readonly meaning: Meaning; readonly rest: Uint8Array } | undefined;
}

/** Reads the first line of a client. */
export const createHandshakeReader = () => createLineReader(LINES.role, "handshake");
/** Reads the first line a consumer that acks gets. */
export const createModeReader = () => createLineReader(LINES.mode, "answer");

/** Holds at most 64 bytes. */
function createLineReader<Meaning extends string>(
  meanings: Readonly<Record<string, Meaning>>,
  what: string,
): LineReader<Meaning> {
  let line = "";
  return {
    push(chunk) {
      const room = MAX_LINE_BYTES - line.length;
      const end = chunk.subarray(0, room).indexOf(0x0a);
      // One character a byte: a line of anything but ASCII is refused anyway, and shows its bytes in the message.
      line += String.fromCharCode(...chunk.subarray(0, end < 0 ? room : end));
      if (end < 0 && line.length < MAX_LINE_BYTES) return undefined;
      const text = line.replace(/\r$/, "");
      if (end >= 0 && Object.hasOwn(meanings, text)) {
        return { meaning: meanings[text]!, rest: chunk.subarray(end + 1) };
      }
      const expected = Object.keys(meanings).join(" or ");
      throw new MillraceError(
        "invalid-input",
        `Cannot read ${what} ${quote(line)}: expected the line ${expected}`,
      );
    },
  };
}

function encodeLine(meanings: Readonly<Record<string, string>>, meaning: string): Uint8Array {
  const [line] = Object.entries(meanings).find(([, its]) => its === meaning)!;
  return new TextEncoder().encode(`${line}\n`);
}

/** The counts of acks that are whole with this chunk, in order, however the bytes were cut. */
export function createAckReader(): (chunk: Uint8Array) => number[] {
  let value = 0;
  let bytes = 0;
  return (chunk) => {
    const counts: number[] = [];
    for (const byte of chunk) {
      value = value * 256 + byte;
      if (++bytes < ACK_BYTES) continue;
      counts.push(value);
      value = bytes = 0;
    }
    return counts;
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
