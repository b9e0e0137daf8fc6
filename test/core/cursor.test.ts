import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  BEFORE_FIRST,
  comparePositions,
  cursorParts,
  formatCursor,
  GENESIS,
  NO_EPOCH,
  newEpoch,
  parseCursor,
  positionParts,
} from "../../functions/core/cursor.ts";
import { MillraceError } from "../../functions/core/errors.ts";

const half = fc.integer({ min: 0, max: 999_999_999_999_999 });
const position = fc.tuple(half, half).map(([ms, seq]) => `${ms}-${seq}`);

describe("parseCursor", () => {
  it("gives back every cursor a log makes, in at most 64 safe characters", () => {
    fc.assert(
      fc.property(position, (at) => {
        const epoch = newEpoch();
        const cursor = formatCursor(epoch, at);
        expect(parseCursor(cursor)).toBe(cursor);
        expect(cursorParts(cursor)).toEqual({ epoch, position: at });
        expect(cursor).toMatch(/^[A-Za-z0-9._-]{1,64}$/);
      }),
    );
  });

  it.each([
    "",
    "abc",
    "0-0",
    "e.1",
    "e.1-",
    "e.-1",
    "e.1-2-3",
    "e.01-0",
    "e.1-00",
    "e.1.5-0",
    "e.1e3-0",
    " e.1-0",
    "e.1-0 ",
    "e.1-0\n",
    "é.1-0",
    "e.+1-0",
    "e.-1-0",
    ".1-0",
    "e.1-1000000000000000",
    "e.1000000000000000-0",
    `${"e".repeat(25)}.1-0`,
    "e.1-0\u0000",
    "e.１-0",
    "*",
    "$",
    ">",
  ])("refuses %j and names it", (text) => {
    expect(() => parseCursor(text)).toThrow(MillraceError);
    expect(() => parseCursor(text)).toThrow(/^Cannot read cursor ".*": expected/);
  });

  it("shows no more than 80 characters of what it refuses", () => {
    expect(() => parseCursor("x".repeat(100_000))).toThrow(/^.{1,200}$/);
  });
});

describe("comparePositions", () => {
  it("orders by two integers, not as text", () => {
    const ordered = [
      "0-0",
      "0-2",
      "0-10",
      "9-999999999999999",
      "10-0",
      "999999999999998-1",
      "999999999999999-0",
    ];
    expect(ordered.toReversed().sort(comparePositions)).toEqual(ordered);
  });

  it("is exact at the largest halves", () => {
    fc.assert(
      fc.property(half, half, half, half, (aMs, aSeq, bMs, bSeq) => {
        const [a, b] = [`${aMs}-${aSeq}`, `${bMs}-${bSeq}`];
        const expected = BigInt(aMs) * 10n ** 15n + BigInt(aSeq) - (BigInt(bMs) * 10n ** 15n + BigInt(bSeq));
        expect(Math.sign(comparePositions(a, b))).toBe(expected === 0n ? 0 : expected > 0n ? 1 : -1);
        expect(positionParts(a)).toEqual([aMs, aSeq]);
      }),
    );
  });
});

describe("newEpoch", () => {
  it("is a new name every time and never the one of no log", () => {
    const epochs = new Set(Array.from({ length: 1000 }, newEpoch));
    expect(epochs.size).toBe(1000);
    for (const epoch of epochs) expect(epoch).toMatch(/^[a-z0-9]{12}$/);
    expect(epochs).not.toContain(NO_EPOCH);
    expect(parseCursor(GENESIS)).toBe(`${NO_EPOCH}.${BEFORE_FIRST}`);
  });
});
