/** What the log viewer holds, without a page: reading lines, the ring, the filter, and the words of the cards. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatLine, type Line, NOTE, noteLine, readLine } from "../../web/pages/services/line.ts";
import { createLineIntake } from "../../web/pages/services/line-intake.ts";
import { createLineStore } from "../../web/pages/services/line-store.ts";
import { createLineView, type Filter } from "../../web/pages/services/line-view.ts";
import { deliveryRate, seriesOf, sumOf } from "../../web/pages/services/sms-counts.ts";
import { keepNewest, nextRun, type ServiceStatus, span } from "../../web/pages/services/status.ts";

const NOW = Date.parse("2026-01-31T12:00:00Z");
const EVERY: Filter = { service: "", level: 0, text: "" };
const never = () => false;

function line(message: string, level = 1, service = "tester"): Line {
  return { atMs: NOW, level, service, message, more: "", messageId: "" };
}

describe("keepNewest", () => {
  const message = (type: string, body: object) => ({ type, data: JSON.stringify(body) });
  const status = (name: string, state: string) => message("service_status", { name, state });
  const kept = (...messages: { type: string; data: string }[]) =>
    messages.reduce<readonly { type: string; data: string }[]>(keepNewest, []);

  test("a snapshot, then the newest of each service; another snapshot replaces all", () => {
    const snapshot = message("snapshot", { services: [] });
    const [a1, b, a2] = [status("a", "idle"), status("b", "idle"), status("a", "failed")];
    expect(kept(snapshot, a1, b, a2, message("gap", { reason: "reset" }))).toEqual([snapshot, b, a2]);
    // As another tab hears of it, each is a copy.
    expect(keepNewest(structuredClone(kept(snapshot, a1, b)), a2)).toEqual([snapshot, b, a2]);
    expect(kept(snapshot, a1, b, snapshot)).toEqual([snapshot]);
  });
});

describe("readLine", () => {
  test("what services send, and what else they say", () => {
    const read = readLine(
      JSON.stringify({
        ...{ companyId: "_logs", ts: "2026-01-31T12:00:00Z", level: "warn", service: "a", message: "m" },
        ...{ messageId: "1-2", fields: { invoice: "I-1" } },
      }),
    );
    expect(read).toEqual({ ...line("m", 2, "a"), more: '{"invoice":"I-1"}', messageId: "1-2" });
    expect(formatLine(read)).toBe('2026-01-31T12:00:00.000Z WARN  a  m {"invoice":"I-1"}');
    expect(readLine('{"message":"m","fields":{"a":1},"b":2}').more).toBe('{"fields":{"a":1},"b":2}');
    expect(readLine('{"message":"m","fields":"text"}').more).toBe('{"fields":"text"}');
  });

  test("never throws: whatever came is a line", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (data) => {
        const { level, message, service } = readLine(data);
        expect([level >= 0 && level < NOTE, typeof message, typeof service]).toEqual([
          true,
          "string",
          "string",
        ]);
      }),
    );
  });
});

describe("createLineStore", () => {
  test("keeps the newest, by number and by characters", () => {
    const store = createLineStore({ maxLines: 3, maxChars: 20 });
    for (let n = 0; n < 5; n++) store.push(line(`${n}`));
    expect([store.first, store.next, store.get(2).message, store.get(4).message]).toEqual([2, 5, "2", "4"]);
    expect(() => store.get(1)).toThrow(RangeError);
    store.push(line("x".repeat(19)));
    expect(store.next - store.first).toBe(2);
    store.push(line("y".repeat(100)));
    expect([store.first, store.next]).toEqual([6, 7]);
    expect(store.takeAll()).toHaveLength(1);
    store.push(line("after"));
    expect([store.first, store.next, store.get(7).message]).toEqual([7, 8, "after"]);
  });
});

describe("createLineIntake", () => {
  test("a pause keeps what comes aside, and says what was too much", () => {
    const store = createLineStore({ maxLines: 9, maxChars: 1e6 });
    const intake = createLineIntake(store, { maxLines: 2, maxChars: 1e6 });
    const held = () =>
      Array.from({ length: store.next - store.first }, (_, n) => store.get(store.first + n).message);
    intake.push(line("0"));
    for (const first of [1, 4]) {
      intake.pause();
      for (let n = first; n < first + 3; n++) intake.push(line(`${n}`));
      expect([intake.isPaused, intake.waiting, held().at(-1)]).toEqual([true, 2, first === 1 ? "0" : "3"]);
      intake.resume(NOW);
    }
    expect([intake.isPaused, intake.waiting]).toEqual([false, 0]);
    const lost = "1 line was not kept during the pause";
    expect(held()).toEqual(["0", lost, "2", "3", lost, "5", "6"]);
  });
});

describe("createLineView", () => {
  test("shows what a plain filter of the held lines gives, however they came and were looked at", () => {
    const filters = fc.record({
      service: fc.constantFrom("", "a", "b"),
      level: fc.integer({ min: 0, max: 3 }),
      text: fc.constantFrom("", "x", "X", "(", "xy"),
    });
    const items = fc.record({
      level: fc.integer({ min: 0, max: NOTE }),
      service: fc.constantFrom("a", "b"),
      message: fc.constantFrom("x", "Xy", "(", "z"),
    });
    fc.assert(
      fc.property(
        filters,
        fc.array(items, { maxLength: 120 }),
        fc.integer({ min: 1, max: 9 }),
        (filter, all, each) => {
          const store = createLineStore({ maxLines: 40, maxChars: 1e6 });
          const view = createLineView(store, 40, filter);
          all.forEach(({ message, level, service }, at) => {
            store.push(level === NOTE ? noteLine(message, NOW) : line(message, level, service));
            if (at % each === 0) view.advance(() => true);
          });
          while (!view.advance(() => true));
          const wanted = all.slice(-40).filter(({ level, service, message }) => {
            if (level === NOTE) return true;
            const isFound = message.toLowerCase().includes(filter.text.toLowerCase());
            return level >= filter.level && (filter.service === "" || filter.service === service) && isFound;
          });
          const shown = Array.from({ length: view.length }, (_, index) => view.at(index).message);
          expect(shown).toEqual(wanted.map(({ message }) => message));
          expect(view.notes).toBe(wanted.filter(({ level }) => level === NOTE).length);
        },
      ),
    );
  });

  test("100,000 lines: a slice at a time, and the oldest make room", () => {
    const store = createLineStore({ maxLines: 100_000, maxChars: 1e9 });
    for (let n = 0; n < 100_000; n++) store.push(line(`line ${n}`));
    const view = createLineView(store, 100_000, { ...EVERY, text: "9" });
    expect(view.advance(() => true)).toBe(false);
    expect(view.length).toBeLessThan(100);
    expect(view.advance(never)).toBe(true);
    expect(view.length).toBe(100_000 - 9 ** 5);
    const first = view.numberAt(0);
    for (let n = 0; n < 10; n++) store.push(line("9 more"));
    view.advance(never);
    expect([view.dropped, view.numberAt(0)]).toEqual([1, first + 10]);
    expect([view.indexOf(0), view.indexOf(first + 11), view.indexOf(1e9)]).toEqual([0, 1, view.length]);
  });
});

describe("words of a card", () => {
  const status: ServiceStatus = {
    ...{ name: "a", state: "idle", silent: false, queueSize: null, processed: null, progress: null },
    ...{ interval: 10, lastRun: "2026-01-31T11:59:54Z", lastSeen: "2026-01-31T11:59:54Z" },
  };

  test.each([
    [{}, "in 4 s", "plain"],
    [{ lastRun: "2026-01-31T11:59:45Z" }, "overdue by 5 s", "warn"],
    [{ lastRun: "2026-01-31T04:00:00Z" }, "none for 8 h 0 min", "plain"],
    [{ state: "running" }, "for 6 s", "plain"],
    [{ state: "stopped" }, "none: stopped", "plain"],
    [{ state: "stopped", silent: true, lastSeen: "2026-01-31T11:58:55Z" }, "1 min 05 s", "bad"],
    [{ interval: null }, "not said", "plain"],
    [{ lastRun: null }, "not said", "plain"],
  ])("nextRun %j: %s", (part, text, tone) => {
    expect(nextRun({ ...status, ...part }, NOW)).toMatchObject({ text, tone });
  });

  test("span", () => {
    expect([0, 59_400, 60_000, 3_600_000, 200_000_000].map(span)).toEqual([
      ...["0 s", "59 s", "1 min 00 s", "1 h 0 min", "2 d 7 h"],
    ]);
  });

  test("deliveryRate: never all while one failed, and nothing of what is under way", () => {
    expect(deliveryRate({ sent: 9, delivered: 0, failed: 0 })).toBe("-");
    expect(deliveryRate({ sent: 9, delivered: 3, failed: 0 })).toBe("100%");
    expect(deliveryRate({ sent: 1e6, delivered: 999_999, failed: 1 })).toBe("99.9%");
  });

  test("sumOf and seriesOf: several senders, and one that began anew", () => {
    const counts = { sent: 3, delivered: 2, failed: 1 };
    const one = { ...counts, providers: { p: counts } };
    expect(sumOf([one, one])).toEqual({
      ...{ sent: 6, delivered: 4, failed: 2 },
      providers: { p: { sent: 6, delivered: 4, failed: 2 } },
    });
    const points = [10, 14, 3].map((delivered, n) => ({
      atMs: n * 1_000,
      counts: { sent: 0, delivered, failed: 0 },
    }));
    expect(seriesOf(points)).toEqual({ times: [0, 1, 2], delivered: [null, 4, 3], failed: [null, 0, 0] });
    expect(seriesOf(points.slice(0, 1), 3).times).toEqual([-60, -30, 0]);
    expect(seriesOf(points.slice(0, 2), 4)).toMatchObject({
      ...{ times: [-2, -1, 0, 1], delivered: [null, null, null, 4] },
    });
  });
});
