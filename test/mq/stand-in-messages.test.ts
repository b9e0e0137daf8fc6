/** Queues of the stand-in, seen through the real ibmmq package. */
import { dirname } from "node:path";
import { describe, expect, it } from "vitest";
import { GMO, IA } from "../support/mq/constants.ts";
import { useStandIn } from "../support/mq/fixture.ts";

describe("stand-in queue manager: messages", () => {
  const fixture = useStandIn();

  it("library: the addon loads the one built for the test, and no other", async () => {
    const library = await fixture.client.library();
    expect(dirname(library ?? "")).toBe(fixture.standIn.env.LD_LIBRARY_PATH);
  });

  it("get: what was put, first in first out, with the ids it was given", async () => {
    const queue = await fixture.define();
    const program = await fixture.connect();
    const ids = [await program.put(queue, "one"), await program.put(queue, "zwei €")];
    expect([await program.get(queue), await program.get(queue)]).toMatchObject([
      { body: "one", msgId: ids[0], backoutCount: 0, user: "mrproducer", applName: "client", warning: 0 },
      { body: "zwei €", msgId: ids[1], length: 8 },
    ]);
    expect(new Set(ids).size).toBe(2);
    await expect(program.get(queue)).rejects.toMatchObject({ reason: 2033 });
  });

  it("put: message and correlation id of the program are kept", async () => {
    const queue = await fixture.define();
    const program = await fixture.connect();
    const [msgId, correlId] = ["a1".repeat(24), "b2".repeat(24)];
    expect(await program.put(queue, "body", { msgId, correlId })).toBe(msgId);
    expect(await program.get(queue)).toMatchObject({ msgId, correlId });
  });

  it("get: the message of an id, leaving those before it", async () => {
    const queue = await fixture.define();
    const program = await fixture.connect();
    await program.put(queue, "first");
    const msgId = await program.put(queue, "second", { correlId: "0c".repeat(24) });
    await program.put(queue, "third", { correlId: "0d".repeat(24) });
    expect(await program.get(queue, { msgId })).toMatchObject({ body: "second" });
    expect(await program.get(queue, { correlId: "0d".repeat(24) })).toMatchObject({ body: "third" });
    await expect(program.get(queue, { msgId })).rejects.toMatchObject({ reason: 2033 });
    expect(await fixture.standIn.depth(queue)).toBe(1);
  });

  it("get: the highest priority first, by age within one; by age alone from a FIFO queue", async () => {
    const byPriority = await fixture.define("DEFPRTY(4)");
    const byAge = await fixture.define("DEFPRTY(4) MSGDLVSQ(FIFO)");
    const program = await fixture.connect();
    const got: Record<string, string[]> = { [byPriority]: [], [byAge]: [] };
    for (const queue of [byPriority, byAge]) {
      await program.put(queue, "a", { priority: 0 });
      await program.put(queue, "b");
      await program.put(queue, "c", { priority: 9 });
      await program.put(queue, "d");
      for (let n = 0; n < 4; n++) got[queue]!.push((await program.get(queue)).body);
    }
    expect(got).toEqual({ [byPriority]: ["c", "b", "d", "a"], [byAge]: ["a", "b", "c", "d"] });
    await expect(program.put(byAge, "e", { priority: 10 })).rejects.toMatchObject({ reason: 2049 });
  });

  it("get: waits until a message comes, and says 2033 when none does", async () => {
    const queue = await fixture.define();
    const { program: waiting } = await fixture.spawn();
    const got = waiting.get(queue, { waitMs: 20_000 });
    await fixture.standIn.put(queue, "late");
    expect(await got).toMatchObject({ body: "late" });
    await expect(waiting.get(queue, { waitMs: 20 })).rejects.toMatchObject({ reason: 2033 });
  });

  it("get: of two that wait each message goes to one", async () => {
    const queue = await fixture.define();
    const programs = [(await fixture.spawn()).program, (await fixture.spawn()).program];
    const got = programs.map((program) => program.get(queue, { waitMs: 20_000 }));
    await fixture.standIn.put(queue, "one", "two");
    expect((await Promise.all(got)).map(({ body }) => body).sort()).toEqual(["one", "two"]);
  });

  it("get: a message larger than the buffer stays (2080), or is cut where that is accepted (2079)", async () => {
    const queue = await fixture.define();
    const program = await fixture.connect();
    await program.put(queue, "0123456789");
    expect(await program.get(queue, { size: 4 })).toMatchObject({ warning: 2080, length: 10, body: "0123" });
    expect(await fixture.standIn.depth(queue)).toBe(1);
    const cut = await program.get(queue, { size: 4, options: GMO.ACCEPT_TRUNCATED_MSG });
    expect(cut).toMatchObject({ warning: 2079, length: 10, body: "0123" });
    expect(await fixture.standIn.depth(queue)).toBe(0);
  });

  it("put: full queue 2053, too long a message 2030, and room again after a get", async () => {
    const queue = await fixture.define("MAXDEPTH(2) MAXMSGL(5)");
    const program = await fixture.connect();
    await program.put(queue, "12345");
    await expect(program.put(queue, "123456")).rejects.toMatchObject({ reason: 2030 });
    // What is not committed takes its place.
    await program.putInUnit(queue, "2");
    await expect(program.put(queue, "3")).rejects.toMatchObject({ reason: 2053 });
    await program.get(queue);
    await program.put(queue, "4");
  });

  it("put and get: a disabled queue refuses, 2051 and 2016", async () => {
    const queue = await fixture.define("PUT(DISABLED) GET(DISABLED)");
    const program = await fixture.connect();
    await expect(program.put(queue, "x")).rejects.toMatchObject({ reason: 2051 });
    await expect(program.get(queue)).rejects.toMatchObject({ reason: 2016 });
  });

  it("get: a message that has expired is not there", async () => {
    const queue = await fixture.define();
    const program = await fixture.connect();
    await program.put(queue, "short", { expiry: 0 });
    await program.put(queue, "long", { expiry: 6000 });
    const got = await program.get(queue);
    expect(got).toMatchObject({ body: "long" });
    expect(got.expiry).toBeGreaterThan(5000);
    expect(got.expiry).toBeLessThanOrEqual(6000);
  });

  it("put: persistence and priority of the queue where the message names none", async () => {
    const queue = await fixture.define("DEFPSIST(YES) DEFPRTY(7)");
    const program = await fixture.connect();
    await program.put(queue, "as the queue");
    await program.put(queue, "its own", { persistence: 0, priority: 7 });
    expect(await program.get(queue)).toMatchObject({ persistence: 1, priority: 7 });
    expect(await program.get(queue)).toMatchObject({ persistence: 0, priority: 7 });
  });

  it("put1: puts without an open", async () => {
    const queue = await fixture.define();
    const program = await fixture.connect();
    await fixture.client.put(program.connection, { queue }, "once", {});
    expect(await program.get(queue)).toMatchObject({ body: "once" });
    const unknown = fixture.client.put(program.connection, { queue: "NO.SUCH" }, "once", {});
    await expect(unknown).rejects.toMatchObject({ reason: 2085 });
  });

  it("properties: come back with a message handle, by name and type", async () => {
    const queue = await fixture.define();
    const program = await fixture.connect();
    const properties = { companyid: "acme", count: 7, isLast: true, empty: "", umlaut: "Grüße" };
    await program.put(queue, "with", { properties });
    await program.put(queue, "without");
    expect(await program.get(queue, { hasHandle: true })).toMatchObject({ body: "with", properties });
    expect(await program.get(queue, { hasHandle: true })).toMatchObject({ properties: {} });
    await fixture.standIn.putWith({ queue, properties: { companyid: "globex" } }, "put by the test");
    expect((await program.get(queue, { hasHandle: true })).properties).toEqual({ companyid: "globex" });
  });

  it("inquire: depth, limits and the backout settings", async () => {
    const queue = await fixture.define("MAXDEPTH(9) MAXMSGL(100) BOTHRESH(3) BOQNAME(SOME.WHERE)");
    const program = await fixture.connect();
    await program.put(queue, "x");
    const selectors = [
      IA.CURRENT_Q_DEPTH,
      IA.MAX_Q_DEPTH,
      IA.MAX_MSG_LENGTH,
      IA.BACKOUT_THRESHOLD,
      2019,
      2016,
    ];
    expect(await program.inquire(queue, ...selectors)).toEqual([1, 9, 100, 3, "SOME.WHERE", queue]);
    await expect(program.inquire(queue, IA.CURRENT_Q_DEPTH, 1999)).rejects.toMatchObject({ reason: 2067 });
  });

  it("get: options the stand-in does not know are refused, 2046", async () => {
    const queue = await fixture.define();
    const program = await fixture.connect();
    await fixture.standIn.put(queue, "stays");
    const [browse, convert] = [0x10, 0x4000];
    await expect(program.get(queue, { options: browse })).rejects.toMatchObject({ reason: 2046 });
    await expect(program.get(queue, { options: convert })).rejects.toMatchObject({ reason: 2046 });
    expect(await fixture.standIn.depth(queue)).toBe(1);
  });

  it("a large message comes whole", async () => {
    const queue = await fixture.define();
    const program = await fixture.connect();
    const body = "0123456789".repeat(300_000);
    await program.put(queue, body);
    const got = await program.get(queue, { size: 4_000_000 });
    expect(got.body === body).toBe(true);
  });
});
