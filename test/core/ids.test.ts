import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MillraceError } from "../../functions/core/errors.ts";
import {
  isCompanyId,
  isEventType,
  OPERATIONS_COMPANY,
  parseCompanyId,
  parseEventType,
  quote,
} from "../../functions/core/ids.ts";

describe("parseCompanyId", () => {
  it.each(["a", "Acme", "A.b_c-9", "0", "__proto__", OPERATIONS_COMPANY, "x".repeat(64)])(
    "takes %j",
    (text) => {
      expect(parseCompanyId(text)).toBe(text);
    },
  );

  it.each(["", "x".repeat(65), "a b", "a\n", "a\r", "{a}", "a:b", "a/b", "a*", "é", "a\u0000", "ａ", "a%"])(
    "refuses %j and names it",
    (text) => {
      expect(() => parseCompanyId(text)).toThrow(MillraceError);
      expect(() => parseCompanyId(text)).toThrow(/^Cannot read companyId ".*": expected 1-64 characters/);
    },
  );
});

describe("parseEventType", () => {
  it.each(["a", "metric_updated", "orders.created.v2", "x".repeat(64)])("takes %j", (text) => {
    expect(parseEventType(text)).toBe(text);
  });

  it.each(["", "A", "x".repeat(65), "a b", "a\nid: 1", "a\rb", "a:b", "a,b", "\ud800"])(
    "refuses %j",
    (text) => {
      expect(() => parseEventType(text)).toThrow(/^Cannot read event type ".*": expected 1-64 characters/);
    },
  );
});

describe("isCompanyId, isEventType", () => {
  it("are false for whatever is not text", () => {
    for (const value of [undefined, null, 5, true, {}, ["a"], Symbol("a")]) {
      expect(isCompanyId(value)).toBe(false);
      expect(isEventType(value)).toBe(false);
    }
  });
});

describe("quote", () => {
  it("lets no control character through and keeps messages short", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
        const quoted = quote(text);
        expect(quoted).not.toMatch(/[\u0000-\u001f]/);
        expect((JSON.parse(quoted) as string).length).toBeLessThanOrEqual(81);
      }),
    );
  });
});
