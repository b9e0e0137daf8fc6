import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatCursor } from "../../functions/core/cursor.ts";
import { encodeRecord } from "../../functions/core/event.ts";
import { type EventType, parseCompanyId } from "../../functions/core/ids.ts";
import { MAX_DATA_BYTES } from "../../functions/core/limits.ts";
import { createRecents } from "../../functions/counters/recents.ts";
import { event } from "../contracts/event-log-support.ts";

const [acme, globex] = ["acme", "globex"].map(parseCompanyId) as [never, never];
const A = "a" as EventType;
const entry = (company: never, ms: number, { type = "a", pad = "" } = {}) => ({
  cursor: formatCursor(`epochof${company}`, `${ms}-0`),
  record: encodeRecord(event(company, ms, { type, dataText: JSON.stringify({ ms, pad }) })),
});
const times = (payloads: readonly string[]) =>
  payloads.map((payload) => (JSON.parse(payload) as { ms: number }).ms);

describe("createRecents", () => {
  it("has the newest of each type once, oldest first, however they come", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.constantFrom(acme, globex),
            fc.integer({ min: 0, max: 40 }),
            fc.constantFrom("a", "b", "c"),
          ),
        ),
        (added) => {
          const recents = createRecents([A, "b" as EventType], 5);
          for (const [company, ms, type] of added) recents.add(company, [entry(company, ms, { type })]);
          for (const type of ["a", "b"]) {
            const distinct = new Set(
              added
                .filter(([, , of]) => of === type)
                .map(([company, ms]) => ms * 10 + (company === acme ? 0 : 1)),
            );
            // An entry has one type; the same place with another type is another log's.
            const expected = [...distinct].map((key) => Math.floor(key / 10)).sort((a, b) => a - b);
            expect(times(recents.of(type as EventType))).toEqual(expected.slice(-5));
          }
          expect(recents.of("c" as EventType)).toEqual([]);
        },
      ),
    );
  });

  it("forgets one company and keeps the other", () => {
    const recents = createRecents([A], 10);
    recents.add(acme, [entry(acme, 1), entry(acme, 3)]);
    recents.add(globex, [entry(globex, 2)]);
    recents.forget(acme);
    expect(times(recents.of(A))).toEqual([2]);
    recents.add(acme, [entry(acme, 1)]);
    expect(times(recents.of(A))).toEqual([1, 2]);
  });

  it("gives fewer where they are large, the newest always", () => {
    const recents = createRecents([A], 10);
    const pad = "x".repeat(MAX_DATA_BYTES / 3);
    recents.add(
      acme,
      [1, 2, 3, 4].map((ms) => entry(acme, ms, { pad })),
    );
    expect(times(recents.of(A))).toEqual([3, 4]);
    recents.add(acme, [entry(acme, 5, { pad: "x".repeat(MAX_DATA_BYTES - 100) })]);
    expect(times(recents.of(A))).toEqual([5]);
  });
});
