/** The pure parts of workers/. */
import { describe, expect, it } from "vitest";
import type { CompanyId } from "../../functions/core/ids.ts";
import { createConsoleLogger } from "../../workers/logger.ts";
import { createRooms } from "../../workers/rooms.ts";
import { createVisits } from "../../workers/visits.ts";

describe("createConsoleLogger", () => {
  it("writes JSON lines from its level on, with secrets in URLs masked", () => {
    const lines: [string, string][] = [];
    const logger = createConsoleLogger({ level: "info", write: (line, at) => lines.push([at, line]) });
    logger.debug({}, "too fine");
    logger.warn({ reason: "no answer of https://user:secret@host/path", company: "acme" }, "Cannot read");
    expect(lines).toHaveLength(1);
    const [at, line] = lines[0]!;
    expect(at).toBe("warn");
    expect(JSON.parse(line)).toEqual({
      ...{ level: "warn", time: expect.stringMatching(/^\d{4}-.*Z$/), msg: "Cannot read" },
      ...{ reason: "no answer of https://***@host/path", company: "acme" },
    });
  });
});

describe("createRooms", () => {
  const [acme, globex] = ["acme" as CompanyId, "globex" as CompanyId];

  it("first names the shard that had room last, a company's own", () => {
    const rooms = createRooms();
    expect(rooms.first(acme)).toBe(0);
    rooms.remember(acme, 3);
    expect([rooms.first(acme), rooms.first(globex), rooms.first(undefined)]).toEqual([3, 0, 0]);
    rooms.forget(acme);
    expect(rooms.first(acme)).toBe(0);
  });

  it("keeps a bounded number, the newest", () => {
    const rooms = createRooms();
    for (let n = 0; n < 5_000; n++) rooms.remember(`company-${n}` as CompanyId, 1);
    const known = Array.from({ length: 5_000 }, (_, n) => rooms.first(`company-${n}` as CompanyId));
    expect(known.filter((shard) => shard === 1)).toHaveLength(1_000);
    expect(known.at(-1)).toBe(1);
  });
});

describe("createVisits", () => {
  it("wakes with the first, sleeps with the last, and wakes another one after that", () => {
    const slept: number[] = [];
    let woken = 0;
    const visits = createVisits(
      () => ++woken,
      (host) => slept.push(host),
    );
    const [a, b] = [visits.enter(), visits.enter()];
    expect([a.host, b.host, visits.count()]).toEqual([1, 1, 2]);
    a.leave();
    a.leave();
    expect(slept).toEqual([]);
    b.leave();
    expect([slept, visits.count()]).toEqual([[1], 0]);
    const c = visits.enter();
    expect(c.host).toBe(2);
    // One who has left before does not count for the next.
    b.leave();
    expect(slept).toEqual([1]);
  });
});
