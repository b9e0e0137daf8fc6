/** Units of work of the stand-in, and what survives a kill -9 of either side. */
import { describe, expect, it } from "vitest";
import { connectProgram } from "../support/mq/client.ts";
import { GMO, IA, PMO } from "../support/mq/constants.ts";
import { useStandIn } from "../support/mq/fixture.ts";
import { waitFor } from "../support/wait.ts";

describe("stand-in queue manager: units of work", () => {
  const fixture = useStandIn();
  const depth = (queue: string) => fixture.standIn.depth(queue);
  const bodies = async (queue: string) => (await fixture.standIn.messages(queue)).map(({ body }) => body);

  it("put: nobody sees it before the commit, though it counts in the depth", async () => {
    const queue = await fixture.define();
    const [producer, other] = [await fixture.connect(), await fixture.connect()];
    await producer.putInUnit(queue, "a");
    await producer.putInUnit(queue, "b");
    await expect(other.get(queue)).rejects.toMatchObject({ reason: 2033 });
    expect(await depth(queue)).toBe(2);
    await producer.commit();
    expect((await other.get(queue)).body).toBe("a");
  });

  it("put: gone after a back", async () => {
    const queue = await fixture.define();
    const producer = await fixture.connect();
    await producer.putInUnit(queue, "a");
    await producer.back();
    expect(await depth(queue)).toBe(0);
    await expect(producer.get(queue)).rejects.toMatchObject({ reason: 2033 });
  });

  it("get: hidden from others until the commit, then gone", async () => {
    const queue = await fixture.define();
    const [reader, other] = [await fixture.connect(), await fixture.connect()];
    await fixture.standIn.put(queue, "a", "b");
    expect((await reader.getInUnit(queue)).body).toBe("a");
    expect(await depth(queue)).toBe(1);
    expect((await other.get(queue)).body).toBe("b");
    await reader.commit();
    expect(await bodies(queue)).toEqual([]);
  });

  it("get: back to its old place after a back, its backout count one more", async () => {
    const queue = await fixture.define();
    const reader = await fixture.connect();
    await fixture.standIn.put(queue, "a", "b");
    for (const backoutCount of [0, 1, 2]) {
      expect(await reader.getInUnit(queue)).toMatchObject({ body: "a", backoutCount });
      await reader.back();
    }
    await reader.getInUnit(queue);
    await reader.getInUnit(queue);
    await reader.back();
    expect(await fixture.standIn.messages(queue)).toMatchObject([
      { body: "a", backoutCount: 4 },
      { body: "b", backoutCount: 1 },
    ]);
  });

  it("back: a waiting get of another connection takes the message", async () => {
    const queue = await fixture.define();
    const reader = await fixture.connect();
    await fixture.standIn.put(queue, "a");
    await reader.getInUnit(queue);
    const { program: waiting } = await fixture.spawn();
    const before = (await fixture.standIn.calls()).MQGET!;
    const got = waiting.get(queue, { waitMs: 20_000 });
    await waitFor("the get to wait", async () => (await fixture.standIn.calls()).MQGET! > before);
    await reader.back();
    expect(await got).toMatchObject({ body: "a", backoutCount: 1 });
  });

  it("commit: a put and a get on two queues happen together", async () => {
    const [from, to] = [await fixture.define(), await fixture.define()];
    const program = await fixture.connect();
    await fixture.standIn.put(from, "poison");
    const { body } = await program.getInUnit(from);
    await program.putInUnit(to, body);
    await program.back();
    expect([await bodies(from), await bodies(to)]).toEqual([["poison"], []]);
    await program.putInUnit(to, (await program.getInUnit(from)).body);
    await program.commit();
    expect([await bodies(from), await bodies(to)]).toEqual([[], ["poison"]]);
  });

  it("disconnect: commits", async () => {
    const [from, to] = [await fixture.define(), await fixture.define()];
    const { program } = await fixture.spawn();
    await fixture.standIn.put(from, "a");
    await program.getInUnit(from);
    await program.putInUnit(to, "b");
    await program.disconnect();
    expect([await bodies(from), await bodies(to)]).toEqual([[], ["b"]]);
  });

  it("kill -9 of the program: what it had not committed is backed out, and counted", async () => {
    const [from, to] = [await fixture.define(), await fixture.define()];
    const { client, program } = await fixture.spawn();
    await fixture.standIn.put(from, "a", "b");
    await program.getInUnit(from);
    await program.commit();
    await program.getInUnit(from);
    await program.putInUnit(to, "c");
    await client.kill();
    await waitFor("the unit of work to be backed out", async () => (await depth(from)) === 1);
    expect(await fixture.standIn.messages(from)).toMatchObject([
      { body: "b", backoutCount: 1, isHidden: false },
    ]);
    expect(await bodies(to)).toEqual([]);
  });

  it("cut: 2009 at the next call and at every one after it, and the work is backed out", async () => {
    const queue = await fixture.define();
    const { client, program } = await fixture.spawn();
    await fixture.standIn.put(queue, "a");
    await program.getInUnit(queue);
    await fixture.standIn.cut();
    for (const call of [() => program.commit(), () => program.getInUnit(queue), () => program.back()]) {
      await expect(call()).rejects.toMatchObject({ reason: 2009 });
    }
    await expect(program.disconnect()).rejects.toMatchObject({ reason: 2009 });
    const again = await connectProgram(client, fixture.standIn);
    expect(await again.getInUnit(queue)).toMatchObject({ body: "a", backoutCount: 1 });
  });

  it("cut: a get that waits is told, 2009", async () => {
    const queue = await fixture.define();
    const { program } = await fixture.spawn();
    const before = (await fixture.standIn.calls()).MQGET ?? 0;
    const reason = program.get(queue, { waitMs: 20_000 }).catch((error) => error.reason);
    await waitFor("the get to wait", async () => (await fixture.standIn.calls()).MQGET! > before);
    await fixture.standIn.cut();
    expect(await reason).toBe(2009);
    await fixture.standIn.put(queue, "stays");
    expect(await bodies(queue)).toEqual(["stays"]);
  });

  it("put: more than MAXUMSGS in one unit of work is refused, 2024", async () => {
    const queue = await fixture.define();
    const program = await fixture.connect();
    await fixture.standIn.run("ALTER QMGR MAXUMSGS(2)");
    await program.putInUnit(queue, "a");
    await program.putInUnit(queue, "b");
    await expect(program.putInUnit(queue, "c")).rejects.toMatchObject({ reason: 2024 });
    await program.commit();
    await fixture.standIn.run("ALTER QMGR MAXUMSGS(10000)");
  });

  it("kill -9 of the stand-in: what was committed and persistent is there again, with its definitions", async () => {
    const queue = await fixture.define("DEFPSIST(YES) MAXDEPTH(77)");
    const { client, program } = await fixture.spawn();
    const msgId = await program.put(queue, "taken");
    const inUnit = await program.put(queue, "taken in a unit of work");
    await program.put(queue, "backed out", { properties: { companyid: "acme" }, priority: 5 });
    await program.put(queue, "not persistent", { persistence: 0 });
    await program.get(queue, { msgId });
    // The one of the higher priority.
    await program.getInUnit(queue);
    await program.back();
    await program.get(queue, { msgId: inUnit, options: GMO.SYNCPOINT });
    await program.putInUnit(queue, "committed");
    await program.commit();
    await program.putInUnit(queue, "uncommitted put");
    await program.get(queue, { options: GMO.SYNCPOINT });
    await fixture.standIn.restart();
    await expect(program.commit()).rejects.toMatchObject({ reason: 2009 });

    expect(await fixture.standIn.messages(queue)).toMatchObject([
      { body: "backed out", backoutCount: 1, priority: 5, properties: { companyid: "acme" } },
      { body: "committed", backoutCount: 0, isPersistent: true },
    ]);
    const again = await connectProgram(client, fixture.standIn);
    expect(await again.inquire(queue, IA.MAX_Q_DEPTH)).toEqual([77]);
    expect(await again.get(queue, { hasHandle: true })).toMatchObject({ properties: { companyid: "acme" } });
    await again.put(queue, "after", { options: PMO.NO_SYNCPOINT });
    expect(await bodies(queue)).toEqual(["committed", "after"]);
  });

  it("kill -9 of the stand-in, again and again while a program commits: what it was told is committed is there", async () => {
    const queue = await fixture.define("DEFPSIST(YES)");
    const { client } = await fixture.spawn();
    const committed: string[] = [];
    const tried: string[] = [];
    for (let round = 0; round < 3; round++) {
      const program = await connectProgram(client, fixture.standIn);
      let isUp = true;
      const from = committed.length;
      const writing = (async () => {
        for (let n = 0; isUp; n++) {
          const body = `${round}-${n}`;
          tried.push(body);
          await program.putInUnit(queue, body);
          await program.commit();
          committed.push(body);
        }
      })().catch(() => {
        isUp = false;
      });
      await waitFor("some commits", () => committed.length > from + 20);
      await fixture.standIn.restart();
      await writing;
    }
    const there = await bodies(queue);
    expect(committed.filter((body) => !there.includes(body))).toEqual([]);
    // The last commit of a round may be in doubt: done, and not told.
    expect(there.filter((body) => !tried.includes(body))).toEqual([]);
    expect(there.length).toBeLessThanOrEqual(committed.length + 3);
  });
});
