import { describe, expect, it } from "vitest";
import { type Cursor, GENESIS } from "../../functions/core/cursor.ts";
import { encodeRecord, parseEvent } from "../../functions/core/event.ts";
import type { WakeUp } from "../../functions/core/follow.ts";
import type { EventType } from "../../functions/core/ids.ts";
import { PAGE_BYTES } from "../../functions/core/limits.ts";
import {
  createWakeUpReader,
  encodeBatch,
  encodeLatest,
  parseAppendReply,
  parseLatestReply,
  parseReadReply,
  parseTalliesReply,
  parseTip,
} from "../../functions/core/redis-log-codec.ts";

const event = (id: string, type = "a", source = "/s") =>
  parseEvent({
    companyId: "acme",
    source,
    id,
    type,
    time: "2026-01-31T12:00:00Z",
    dataText: `{"id":"${id}"}`,
  });

describe("encodeBatch", () => {
  it("counts the types, names the type of each event, and joins the records", () => {
    const events = [event("1"), event("2", "b"), event("3"), event("1", "a", "/t")];
    expect(encodeBatch(events)).toEqual([
      ...["4", "2", "001002001001", "a", "b", "3", "1"],
      ...["/s\x1f1", "/s\x1f2", "/s\x1f3", "/t\x1f1"],
      events.map((one) => `${encodeRecord(one)}\x1e`).join(""),
    ]);
  });
});

describe("parseAppendReply", () => {
  it("gives the new events the ids that follow, and duplicates those of their first copies", () => {
    expect(parseAppendReply(["e1", 1, "17", 3, 2, "16-9", 4, "17-3"], 5)).toEqual({
      isNewLog: true,
      appended: [
        { cursor: "e1.17-3", isNew: true },
        { cursor: "e1.16-9", isNew: false },
        { cursor: "e1.17-4", isNew: true },
        { cursor: "e1.17-3", isNew: false },
        { cursor: "e1.17-5", isNew: true },
      ],
    });
  });
});

describe("parseReadReply", () => {
  it.each([
    [[], GENESIS, { kind: "events", entries: [], more: false }],
    [[], "e1.17-0", { kind: "reset", resumeAfter: GENESIS, oldest: undefined }],
    [["events", "e1", 0], "e1.17-0", { kind: "events", entries: [], more: false }],
    [
      ["events", "e1", 1, "17-1", "{1}", "18-0", "{2}"],
      "e1.17-0",
      {
        kind: "events",
        entries: [
          { cursor: "e1.17-1", record: "{1}" },
          { cursor: "e1.18-0", record: "{2}" },
        ],
        more: true,
      },
    ],
    [
      ["expired", "e1", "17-0", "17-1"],
      "e1.1-0",
      { kind: "expired", resumeAfter: "e1.17-0", oldest: "e1.17-1" },
    ],
    [["reset", "e1", "17-0"], "e1.99-0", { kind: "reset", resumeAfter: "e1.17-0", oldest: undefined }],
  ])("reads %j after %s", (reply, after, expected) => {
    expect(parseReadReply(reply, after as Cursor)).toEqual(expected);
  });
});

describe("parseTip", () => {
  it("is GENESIS without a log", () => {
    expect(parseTip([null, null, null])).toBe(GENESIS);
    expect(parseTip(["e1", "17", "4"])).toBe("e1.17-4");
  });
});

describe("createWakeUpReader", () => {
  const read = (...payloads: (string | undefined)[]) => {
    const told: (WakeUp | undefined)[] = [];
    const reader = createWakeUpReader((wakeUp) => void told.push(wakeUp));
    for (const payload of payloads) {
      if (payload === undefined) reader.restored();
      else reader.message(payload);
    }
    return told;
  };

  it("joins a head with the records that follow it", () => {
    const wakeUp = {
      previous: "e1.16-9",
      entries: [
        { cursor: "e1.17-3", record: '{"a":1}' },
        { cursor: "e1.17-4", record: '{"a":2}' },
      ],
    };
    const payloads = ["e1\x1e16-9\x1e17-3\x1e1", '{"a":1}\x1e{"a":2}\x1e'];
    expect(read(...payloads, ...payloads)).toEqual([wakeUp, wakeUp]);
  });

  it("says that the log is to be read when the records do not follow", () => {
    expect(read("e1\x1e16-9\x1e17-3\x1e0")).toEqual([undefined]);
  });

  it("drops records without their head: subscribed between the two, or cut between them", () => {
    expect(read("{}\x1e")).toEqual([]);
    expect(read("e1\x1e16-9\x1e17-3\x1e1", undefined, "{}\x1e")).toEqual([undefined]);
    expect(read("e1\x1e16-9\x1e17-3\x1e1", "e1\x1e17-3\x1e17-4\x1e0", "{}\x1e")).toEqual([undefined]);
  });
});

describe("parseTalliesReply", () => {
  const hour = 490_000 * 3_600_000;

  it("puts the minutes of two hours into the last 60, the current one last", () => {
    const nowMs = hour + 20 * 60_000 + 59_999;
    const { minutes, ...rest } = parseTalliesReply([
      ...[String(nowMs), "e1", "17-4", ["a", "9", "__proto__", "1"], ["a", "7"]],
      ["0:a", "2", "20:a", "5", "20:__proto__", "1"],
      // 20:a of the hour before is 60 minutes ago.
      ["20:a", "90", "21:a", "3", "59:b.c", "4"],
    ]);
    expect(rest).toEqual({
      at: "e1.17-4",
      nowMs,
      total: Object.fromEntries([
        ["a", 9],
        ["__proto__", 1],
      ]),
      today: { a: 7 },
      seconds: {},
    });
    const at = (counts: Record<number, number>) =>
      Array.from({ length: 60 }, (_, index) => counts[index] ?? 0);
    expect(Object.entries(minutes)).toEqual([
      ["a", at({ 0: 3, 39: 2, 59: 5 })],
      ["__proto__", at({ 59: 1 })],
      ["b.c", at({ 38: 4 })],
    ]);
  });

  it("puts the seconds of two spans into the last 11, the current one last", () => {
    // 1,764,000,000 is a multiple of 16; this is second 4 of its span.
    const nowMs = 1_764_000_004_500;
    const { seconds } = parseTalliesReply([
      ...[String(nowMs), "e1", "17-4", [], [], [], []],
      ["0:a", "2", "4:a", "5", "4:__proto__", "1"],
      // 9:a of the span before is 11 seconds ago.
      ["9:a", "90", "10:a", "3", "15:b", "4"],
    ]);
    const at = (counts: Record<number, number>) =>
      Array.from({ length: 11 }, (_, index) => counts[index] ?? 0);
    expect(Object.entries(seconds)).toEqual([
      ["a", at({ 0: 3, 6: 2, 10: 5 })],
      ["__proto__", at({ 10: 1 })],
      ["b", at({ 5: 4 })],
    ]);
  });

  it("is empty, at GENESIS, without a log", () => {
    const empty = { total: {}, today: {}, minutes: {}, seconds: {} };
    expect(parseTalliesReply(["17"])).toEqual({ at: GENESIS, nowMs: 17, ...empty });
  });
});

describe("encodeLatest and parseLatestReply", () => {
  it("name where to begin, how far to go and what is missing", () => {
    const wanted = new Map([
      ["a" as EventType, 3],
      ["b" as EventType, 0],
    ]);
    expect(encodeLatest("17-4", 500, wanted)).toEqual([
      "17-4",
      "500",
      String(PAGE_BYTES),
      "a",
      "3",
      "b",
      "0",
    ]);
  });

  it("read a step, the last step, and no log", () => {
    expect(parseLatestReply(["e1", "16-2", 500, "17-4", "{r2}", "16-2", "{r1}"])).toEqual({
      before: "16-2",
      looked: 500,
      entries: [
        { cursor: "e1.17-4", record: "{r2}" },
        { cursor: "e1.16-2", record: "{r1}" },
      ],
    });
    expect(parseLatestReply(["e1", "", 0])).toEqual({ before: undefined, looked: 0, entries: [] });
    expect(parseLatestReply([])).toMatchObject({ before: undefined, entries: [] });
  });
});
