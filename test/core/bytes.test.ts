import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeText, joinBytes } from "../../functions/core/bytes.ts";

describe("joinBytes", () => {
  it("is the bytes one after the other", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array(), { minLength: 0, maxLength: 8 }), (chunks) => {
        expect([...joinBytes(chunks)]).toEqual(chunks.flatMap((chunk) => [...chunk]));
      }),
    );
  });

  it("copies nothing when there is one", () => {
    const one = encodeText("x");
    expect(joinBytes([one])).toBe(one);
  });
});
