import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseServiceStatus } from "../../functions/core/service-status.ts";

const ts = "2026-01-31T12:00:00.000Z";

describe("parseServiceStatus", () => {
  it("what a service says", () => {
    const progress = { done: 3, total: 10 };
    const said = {
      service: "sms",
      state: "Running",
      queueSize: 3,
      processed: 120,
      progress,
      interval: 30,
      lastRun: ts,
      ts,
    };
    const { service, ...rest } = said;
    expect(parseServiceStatus(said)).toEqual({ ...rest, name: service, state: "running", sms: undefined });
  });

  it("what it does not say is undefined, its name and its time what is given for them", () => {
    const status = parseServiceStatus({}, { service: "sms", ts });
    expect(status).toMatchObject({ name: "sms", state: "unknown", ts });
    expect(JSON.parse(JSON.stringify(status))).toEqual({ name: "sms", state: "unknown", ts });
    expect(parseServiceStatus({ name: "by name" })?.name).toBe("by-name");
  });

  it.each([
    [0.4, { done: 0.4, total: 1 }],
    [1, { done: 1, total: 1 }],
    [40, { done: 40, total: 100 }],
    [
      { done: 4, total: 10 },
      { done: 4, total: 10 },
    ],
    [{ done: 4 }, undefined],
    ["40 %", undefined],
    [-1, undefined],
  ])("progress %j is %j", (progress, expected) => {
    expect(parseServiceStatus({ progress })?.progress).toEqual(expected);
  });

  it("interval: seconds above 0, else none", () => {
    const intervalOf = (interval: unknown) => parseServiceStatus({ interval })?.interval;
    expect([30, 0.5, 0, -1, "30"].map(intervalOf)).toEqual([30, 0.5, undefined, undefined, undefined]);
  });

  it("sms: counts, by provider too", () => {
    const counts = { sent: 5, delivered: 4, failed: 1 };
    const smsOf = (sms: unknown) => parseServiceStatus({ sms })?.sms;
    expect(smsOf(counts)).toEqual({ ...counts, providers: {} });
    expect(smsOf({ ...counts, providers: { a: counts, b: 7 } })).toEqual({
      ...counts,
      providers: { a: counts },
    });
    expect(smsOf({ sent: 5 })).toBeUndefined();
  });

  it("whatever comes: a status where it is an object", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
        expect(parseServiceStatus(value) !== undefined).toBe(isObject);
      }),
    );
  });
});
