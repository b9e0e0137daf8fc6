import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  createAckReader,
  createFrameDecoder,
  createHandshakeReader,
  createModeReader,
  encodeAck,
  encodeFrame,
  encodeFrames,
  encodeHandshake,
  encodeMode,
  HEADER_BYTES,
  MAX_FRAME_BYTES,
} from "../../bridge/broker/framing.ts";
import { MillraceError } from "../../functions/core/errors.ts";

/** Cuts bytes at the given places (fractions of the length). */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const ends = [...places.map((place) => Math.floor(place * bytes.length)), bytes.length].sort(
    (a, b) => a - b,
  );
  return ends.map((end, index) => bytes.slice(index === 0 ? 0 : ends[index - 1], end));
}

/** Everything a decoder makes of the pieces: bodies as hex, then the error's message. */
function decode(pieces: readonly Uint8Array[]): { bodies: string[]; error: string | undefined } {
  const decoder = createFrameDecoder();
  const bodies: string[] = [];
  for (const piece of pieces) {
    try {
      bodies.push(...decoder.push(piece).map((body) => Buffer.from(body).toString("hex")));
    } catch (error) {
      expect(error).toBeInstanceOf(MillraceError);
      break;
    }
    expect(decoder.heldBytes).toBeLessThan(HEADER_BYTES + MAX_FRAME_BYTES);
  }
  return { bodies, error: decoder.failure?.message };
}

// `size`, or fast-check makes ten of anything at most.
const body = fc.uint8Array({ minLength: 1, maxLength: 300, size: "max" });
const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20, size: "max" });

describe("createFrameDecoder", () => {
  test("gives the same frames however the bytes are cut", () => {
    fc.assert(
      fc.property(fc.array(body, { maxLength: 20, size: "max" }), cuts, (bodies, places) => {
        const { bodies: decoded, error } = decode(cut(encodeFrames(bodies), places));
        expect(error).toBeUndefined();
        expect(decoded).toEqual(bodies.map((one) => Buffer.from(one).toString("hex")));
      }),
    );
  });

  test("makes the same of any bytes however they are cut, and fails in no other way than by a MillraceError", () => {
    // Small numbers make lengths that pass; the rest is garbage.
    const garbage = fc.array(fc.oneof(fc.constant(0), fc.nat(3), fc.nat(255)), {
      maxLength: 400,
      size: "max",
    });
    fc.assert(
      fc.property(garbage, cuts, (numbers, places) => {
        const bytes = Uint8Array.from(numbers);
        expect(decode(cut(bytes, places))).toEqual(decode([bytes]));
      }),
    );
  });

  test("takes the largest frame byte by byte at a linear cost", () => {
    const frame = encodeFrame(new Uint8Array(MAX_FRAME_BYTES).fill(7));
    const decoder = createFrameDecoder();
    const bodies: Uint8Array[] = [];
    for (let at = 0; at < frame.length; at++) bodies.push(...decoder.push(frame.subarray(at, at + 1)));
    expect(bodies.map((one) => one.byteLength)).toEqual([MAX_FRAME_BYTES]);
    expect(bodies[0]!.every((byte) => byte === 7)).toBe(true);
    expect(decoder.heldBytes).toBe(0);
  });

  test.each([
    [0, [0, 0, 0, 0]],
    [MAX_FRAME_BYTES + 1, [0, 16, 0, 1]],
    [0xffffffff, [255, 255, 255, 255]],
  ])("refuses length %d by name, without waiting for the body, and for good", (length, header) => {
    const decoder = createFrameDecoder();
    const expected = `Cannot read frame of length "${length}": expected 1 to 1048576 bytes`;
    expect(() => decoder.push(Uint8Array.from(header))).toThrow(expected);
    expect(() => decoder.push(encodeFrame(Uint8Array.of(1)))).toThrow(expected);
  });

  test("gives the frames before a bad length first", () => {
    const decoder = createFrameDecoder();
    const good = encodeFrame(Uint8Array.of(1, 2));
    expect(decoder.push(Uint8Array.of(...good, 0, 0, 0, 0)).map((one) => [...one])).toEqual([[1, 2]]);
    expect(decoder.failure?.code).toBe("invalid-input");
    expect(() => decoder.push(new Uint8Array())).toThrow('length "0"');
  });

  test("says how many bytes it holds of a frame that was cut", () => {
    const decoder = createFrameDecoder();
    decoder.push(encodeFrame(Uint8Array.of(1, 2, 3)).subarray(0, 6));
    expect(decoder.heldBytes).toBe(6);
  });
});

describe("encodeFrame", () => {
  test("puts the length before the body, big-endian", () => {
    expect([...encodeFrame(new Uint8Array(0x010203)).subarray(0, 5)]).toEqual([0, 1, 2, 3, 0]);
  });

  test.each([0, MAX_FRAME_BYTES + 1])("refuses a body of %d bytes by name", (length) => {
    expect(() => encodeFrame(new Uint8Array(length))).toThrow(`Cannot write frame of length "${length}"`);
  });
});

describe("createAckReader", () => {
  test("reads what encodeAck writes, however it is cut", () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 0xffffffff })), cuts, (counts, places) => {
        const read = createAckReader();
        const bytes = Uint8Array.of(...counts.flatMap((count) => [...encodeAck(count)]));
        expect(cut(bytes, places).flatMap(read)).toEqual(counts);
      }),
    );
  });
});

describe("createHandshakeReader", () => {
  test.each([
    ["PRODUCER\n", "producer"],
    ["CONSUMER\r\n", "consumer"],
    ["CONSUMER ACK\n", "consumer-ack"],
  ])("reads %j however it is cut, and leaves what follows", (line, role) => {
    fc.assert(
      fc.property(cuts, fc.uint8Array({ maxLength: 30 }), (places, rest) => {
        const reader = createHandshakeReader();
        const seen: number[] = [];
        let read: string | undefined;
        for (const piece of cut(Uint8Array.of(...Buffer.from(line), ...rest), places)) {
          if (read !== undefined) seen.push(...piece);
          else {
            const hello = reader.push(piece);
            read = hello?.meaning;
            seen.push(...(hello?.rest ?? []));
          }
        }
        expect(read).toBe(role);
        expect(seen).toEqual([...rest]);
      }),
    );
  });

  test("reads what encodeHandshake writes", () => {
    for (const role of ["producer", "consumer", "consumer-ack"] as const) {
      expect(createHandshakeReader().push(encodeHandshake(role))?.meaning).toBe(role);
    }
    for (const mode of ["queue", "broadcast"] as const) {
      expect(createModeReader().push(encodeMode(mode))?.meaning).toBe(mode);
    }
  });

  test.each([
    "GET / HTTP/1.1\r\n",
    "producer\n",
    "\n",
    "PRODUCER \n",
    "CONSUMER  ACK\n",
    "toString\n",
    "x".repeat(64),
  ])("refuses %j", (line) => {
    expect(() => createHandshakeReader().push(Buffer.from(line))).toThrow(/^Cannot read handshake "/);
  });

  test("refuses an endless line after 64 bytes, also one that comes byte by byte", () => {
    const reader = createHandshakeReader();
    let taken = 0;
    expect(() => {
      for (; taken < 1000; taken++) reader.push(Uint8Array.of(0xff));
    }).toThrow("Cannot read handshake");
    expect(taken).toBe(63);
  });
});
