import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LOG_LEVELS, MAX_MESSAGE_BYTES, parseLogLine } from "../../functions/core/log-line.ts";
import { serviceOfChannel, toServiceName } from "../../functions/core/service-name.ts";

const TS = "2026-01-31T12:00:00.000Z";
const line = { ts: TS, level: "info", service: "balance-sync", message: "synced" } as const;

describe("parseLogLine", () => {
  it("a line is given back as it is, with what else is in it", () => {
    const said = { ...line, runId: 7 };
    expect(parseLogLine(said)).toBe(said);
  });

  it.each([
    ["DEBUG", "debug"],
    ["trace", "debug"],
    ["Warning", "warn"],
    [" warn ", "warn"],
    ["fatal", "error"],
    ["CRITICAL", "error"],
    ["notice", "info"],
    [undefined, "info"],
    // 30 is info to one logger and warning to another.
    [30, "info"],
    ["__proto__", "info"],
  ])("level %j is %s", (given, level) => {
    expect(parseLogLine({ ...line, level: given }).level).toBe(level);
  });

  it.each([
    ["2026-01-31T12:00:00+05:00", "2026-01-31T12:00:00+05:00"],
    [Date.parse(TS), TS],
    // Seconds, and no time at all.
    [Date.parse(TS) / 1000, "2026-02-01T00:00:00Z"],
    ["yesterday", "2026-02-01T00:00:00Z"],
    [1e300, "2026-02-01T00:00:00Z"],
  ])("ts %j is %s", (ts, expected) => {
    expect(parseLogLine({ ...line, ts }, { ts: "2026-02-01T00:00:00Z" }).ts).toBe(expected);
  });

  it("ts: another member that is one, before what is unsaid, before now", () => {
    expect(parseLogLine({ message: "m", time: TS }, { ts: "2026-02-01T00:00:00Z" }).ts).toBe(TS);
    expect(Math.abs(Date.parse(parseLogLine("m").ts) - Date.now())).toBeLessThan(60_000);
  });

  it("message: text as it came, anything else as JSON, what is no object as a whole", () => {
    const messageOf = (value: unknown) => parseLogLine(value).message;
    expect(messageOf({ message: { a: [1] } })).toBe('{"a":[1]}');
    expect(messageOf({ msg: "as pino says it" })).toBe("as pino says it");
    expect(messageOf({ a: 1 })).toBe('{"a":1}');
    expect(messageOf("plain")).toBe("plain");
    expect(messageOf([1, 2])).toBe("[1,2]");
    expect(messageOf(null)).toBe("null");
    expect(messageOf({ message: "" })).toBe("");
  });

  it("message: a long one is cut between characters, and says by how much", () => {
    const { message } = parseLogLine({ ...line, message: "é€😀".repeat(10_000) });
    expect(new TextEncoder().encode(message).byteLength).toBeLessThanOrEqual(MAX_MESSAGE_BYTES);
    const [, kept, cut] = /^((?:é€😀)*é?€?)… \[(\d+) characters cut\]$/u.exec(message)!;
    expect(kept!.length + Number(cut)).toBe(40_000);
    const fits = "é".repeat(MAX_MESSAGE_BYTES / 2);
    expect(parseLogLine({ message: fits }).message).toBe(fits);
  });

  it("service: without one what is unsaid, else unknown", () => {
    expect(parseLogLine({ message: "m" }, { service: "sms" }).service).toBe("sms");
    expect(parseLogLine({ message: "m", service: 5 }).service).toBe("unknown");
  });

  it("whatever comes is a line, and twice is once", () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.jsonValue(), fc.record({ message: fc.jsonValue(), level: fc.string() })),
        (value) => {
          const once = parseLogLine(value);
          expect(LOG_LEVELS).toContain(once.level);
          expect(once.service).toMatch(/^[A-Za-z0-9._-]{1,64}$/);
          expect(parseLogLine(JSON.parse(JSON.stringify(once)))).toEqual(once);
        },
      ),
    );
  });
});

describe("toServiceName", () => {
  it.each([
    ["balance-sync", "balance-sync"],
    ["Balance Sync (EU)", "Balance-Sync-EU-"],
    [" sms ", "sms"],
    ["x".repeat(500), "x".repeat(64)],
    ["", undefined],
    ["  ", undefined],
    [7, undefined],
  ])("%j is %j", (given, name) => {
    expect(toServiceName(given)).toBe(name);
  });

  it("serviceOfChannel is what follows the first colon, but for all", () => {
    expect(serviceOfChannel("logs:sms:eu")).toBe("sms-eu");
    expect(serviceOfChannel("logs:all")).toBeUndefined();
    expect(serviceOfChannel("logs:")).toBeUndefined();
  });
});
