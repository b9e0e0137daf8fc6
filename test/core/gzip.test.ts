import { constants, deflateRawSync, gunzipSync, crc32 as zlibCrc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { crc32, crc32Join, crc32Shift } from "../../functions/core/crc32.ts";
import {
  addPiece,
  GZIP_HEADER,
  type GzipPiece,
  gzipEnd,
  gzipPiece,
  MIN_DEFLATE_BYTES,
} from "../../functions/core/gzip.ts";
import { deflate } from "../../functions/runtimes/zlib.ts";

const text = (value: string) => new TextEncoder().encode(value);
const anyBytes = (maxLength: number) => fc.uint8Array({ maxLength });
const whole = (chunks: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(chunks));

/** Everything a decoder can know from the bytes so far. */
const decodedSoFar = (chunks: readonly Uint8Array[]) =>
  new Uint8Array(gunzipSync(whole(chunks), { finishFlush: constants.Z_SYNC_FLUSH }));

describe("crc32", () => {
  it("is zlib's", () => {
    expect(crc32(text("123456789"))).toBe(0xcbf43926);
    expect(crc32(new Uint8Array(0))).toBe(0);
    fc.assert(fc.property(anyBytes(300), (bytes) => crc32(bytes) === zlibCrc32(bytes)));
  });

  it("looks at the part of a buffer it is given", () => {
    const part = new Uint8Array(text("ab123456789cd").buffer, 2, 9);
    expect(crc32(part)).toBe(0xcbf43926);
  });
});

describe("crc32Join", () => {
  it("is the CRC of both", () => {
    fc.assert(
      fc.property(anyBytes(200), anyBytes(200), (before, bytes) => {
        const piece = { crc: crc32(bytes), shift: crc32Shift(bytes.byteLength) };
        return crc32Join(crc32(before), piece) === zlibCrc32(whole([before, bytes]));
      }),
    );
  });

  it.each([1, 65_535, 65_536, 1_048_577, 2 ** 24 + 3])("takes %i bytes behind", (length) => {
    const bytes = new Uint8Array(length).fill(0x5a);
    const joined = crc32Join(crc32(text("before")), { crc: crc32(bytes), shift: crc32Shift(length) });
    expect(joined).toBe(zlibCrc32(whole([text("before"), bytes])));
  });
});

describe("gzipPiece", () => {
  it("runs deflate from the least that pays, and stores what is smaller", () => {
    let runs = 0;
    const counting = (bytes: Uint8Array) => {
      runs++;
      return deflate(bytes);
    };
    const small = gzipPiece(new Uint8Array(MIN_DEFLATE_BYTES - 1), counting);
    expect(runs).toBe(0);
    expect(small.blocks.byteLength).toBe(MIN_DEFLATE_BYTES - 1 + 5);
    const large = gzipPiece(new Uint8Array(MIN_DEFLATE_BYTES), counting);
    expect(runs).toBe(1);
    expect(large.blocks.byteLength).toBeLessThan(20);
  });

  it("has a piece decoded whole when its last byte is in, whatever came before", () => {
    const frame = text(`event: a\nid: 1\ndata: ${"x".repeat(400)}\n\n`);
    const piece = gzipPiece(frame, deflate).blocks;
    expect(decodedSoFar([GZIP_HEADER, piece])).toEqual(frame);
    expect(decodedSoFar([GZIP_HEADER, piece, piece])).toEqual(whole([frame, frame]));
  });

  it("of no bytes says nothing", () => {
    const nothing = gzipPiece(new Uint8Array(0), deflate);
    expect(decodedSoFar([GZIP_HEADER, nothing.blocks, nothing.blocks])).toEqual(new Uint8Array(0));
    expect(nothing).toMatchObject({ length: 0, crc: 0 });
  });
});

describe("a stream of pieces", () => {
  /** Half of them as repetitive as frames are, half of them such as cannot be compressed. */
  const batch = fc.oneof(
    anyBytes(700),
    fc
      .tuple(fc.string({ unit: "binary", maxLength: 40 }), fc.integer({ min: 1, max: 40 }))
      .map(([line, times]) => text(`data: ${line}\n\n`.repeat(times))),
  );

  it("inflates to the same bytes, by any way through shared pieces, at every point, with a right trailer", () => {
    fc.assert(
      fc.property(
        fc.array(batch, { minLength: 1, maxLength: 8 }),
        fc.array(fc.array(fc.nat(7), { maxLength: 12 }), { minLength: 1, maxLength: 4 }),
        (batches, streams) => {
          const pieces: GzipPiece[] = batches.map((bytes) => gzipPiece(bytes, deflate));
          for (const way of streams) {
            const sum = { crc: 0, length: 0 };
            const plain: Uint8Array[] = [];
            const sent = [GZIP_HEADER];
            for (const step of way) {
              const at = step % batches.length;
              plain.push(batches[at]!);
              sent.push(pieces[at]!.blocks);
              addPiece(sum, pieces[at]!);
              expect(decodedSoFar(sent)).toEqual(whole(plain));
            }
            sent.push(gzipEnd(sum));
            // Throws when the trailer is missing or wrong.
            expect(new Uint8Array(gunzipSync(whole(sent)))).toEqual(whole(plain));
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  it("takes batches of any size a write may have", () => {
    const random = (length: number) => {
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length; at += 65_536)
        crypto.getRandomValues(bytes.subarray(at, Math.min(length, at + 65_536)));
      return bytes;
    };
    const batches = [65_535, 65_536, 140_000].map(random);
    const sum = { crc: 0, length: 0 };
    const sent = [GZIP_HEADER];
    for (const bytes of batches) {
      const piece = gzipPiece(bytes, deflate);
      sent.push(piece.blocks);
      addPiece(sum, piece);
    }
    sent.push(gzipEnd(sum));
    expect(new Uint8Array(gunzipSync(whole(sent)))).toEqual(whole(batches));
  });

  it("keeps its length modulo 2^32, as the trailer has it", () => {
    const sum = { crc: 0, length: 2 ** 32 - 2 };
    addPiece(sum, gzipPiece(text("abc"), deflateRawSync));
    expect(sum.length).toBe(1);
    expect(new DataView(gzipEnd(sum).buffer).getUint32(6, true)).toBe(1);
  });
});
