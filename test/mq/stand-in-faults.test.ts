/** Faults of the stand-in, which tests of the bridge rely on, and a queue manager that ends. */
import { describe, expect, it } from "vitest";
import { connectProgram } from "../support/mq/client.ts";
import { useStandIn } from "../support/mq/fixture.ts";
import { waitFor } from "../support/wait.ts";

describe("stand-in queue manager: faults", () => {
  const fixture = useStandIn();
  const depth = (queue: string) => fixture.standIn.depth(queue);

  it("fail: the reason, so often, after so many, and nothing done", async () => {
    const queue = await fixture.define();
    const program = await fixture.connect();
    await fixture.standIn.inject({ verb: "MQPUT", action: "fail", reason: 2053, count: 2, after: 1 });
    const reasons: number[] = [];
    for (let n = 0; n < 4; n++) {
      await program.put(queue, "x").then(
        () => reasons.push(0),
        ({ reason }) => reasons.push(reason),
      );
    }
    expect(reasons).toEqual([0, 2053, 2053, 0]);
    expect(await depth(queue)).toBe(2);
  });

  it("fail: 2003 on a commit backs out, as that reason says", async () => {
    const queue = await fixture.define();
    const program = await fixture.connect();
    await program.putInUnit(queue, "x");
    await fixture.standIn.inject({ verb: "MQCMIT", action: "fail", reason: 2003 });
    await expect(program.commit()).rejects.toMatchObject({ reason: 2003 });
    await program.commit();
    expect(await depth(queue)).toBe(0);
  });

  it("warn: done, and answered with the reason", async () => {
    const queue = await fixture.define();
    const program = await fixture.connect();
    await program.put(queue, "x");
    await fixture.standIn.inject({ verb: "MQGET", action: "warn", reason: 2110 });
    expect(await program.get(queue)).toMatchObject({ body: "x", warning: 2110 });
    expect(await depth(queue)).toBe(0);
  });

  it("break-before: cut before the commit took effect, so the work is backed out", async () => {
    const queue = await fixture.define();
    const { client, program } = await fixture.spawn();
    await fixture.standIn.put(queue, "x");
    await program.getInUnit(queue);
    await fixture.standIn.inject({ verb: "MQCMIT", action: "break-before" });
    await expect(program.commit()).rejects.toMatchObject({ reason: 2009 });
    const again = await connectProgram(client, fixture.standIn);
    expect(await again.get(queue)).toMatchObject({ body: "x", backoutCount: 1 });
  });

  it("break-after: the commit in doubt, done though the program is told 2009", async () => {
    const queue = await fixture.define();
    const { client, program } = await fixture.spawn();
    await fixture.standIn.put(queue, "x");
    await program.getInUnit(queue);
    await fixture.standIn.inject({ verb: "MQCMIT", action: "break-after" });
    await expect(program.commit()).rejects.toMatchObject({ reason: 2009 });
    const again = await connectProgram(client, fixture.standIn);
    await expect(again.get(queue)).rejects.toMatchObject({ reason: 2033 });
  });

  it("break-after: a get in a unit of work comes again, one outside is lost", async () => {
    const queue = await fixture.define();
    await fixture.standIn.put(queue, "x");
    for (const [isInUnit, left] of [
      [true, 1],
      [false, 0],
    ] as const) {
      const { program } = await fixture.spawn();
      await fixture.standIn.inject({ verb: "MQGET", action: "break-after" });
      const get = isInUnit ? program.getInUnit(queue) : program.get(queue);
      await expect(get).rejects.toMatchObject({ reason: 2009 });
      await waitFor("the message to be where it belongs", async () => (await depth(queue)) === left);
    }
  });

  it("break-before: a connect that is cut, 2009", async () => {
    await fixture.standIn.inject({ verb: "MQCONNX", action: "break-before" });
    await expect(fixture.connect()).rejects.toMatchObject({ reason: 2009 });
    await fixture.standIn.inject({ verb: "MQCONNX", action: "fail", reason: 2059 });
    await expect(fixture.connect()).rejects.toMatchObject({ reason: 2059 });
  });

  it("delay: done, later", async () => {
    const queue = await fixture.define();
    const program = await fixture.connect();
    await fixture.standIn.inject({ verb: "MQPUT", action: "delay", ms: 200 });
    const began = performance.now();
    await program.put(queue, "x");
    expect(performance.now() - began).toBeGreaterThanOrEqual(195);
    expect(await depth(queue)).toBe(1);
  });

  it("clearFaults: what was asked for happens no more", async () => {
    const queue = await fixture.define();
    const program = await fixture.connect();
    await fixture.standIn.inject({
      verb: "MQPUT",
      action: "fail",
      reason: 2053,
      count: Number.MAX_SAFE_INTEGER,
    });
    await expect(program.put(queue, "x")).rejects.toMatchObject({ reason: 2053 });
    await fixture.standIn.clearFaults();
    await program.put(queue, "x");
  });

  it("quiesce: 2161 for a get that waits and every call that asks for it; the commit still goes through", async () => {
    const queue = await fixture.define();
    const { client, program } = await fixture.spawn();
    const { program: waiting } = await fixture.spawn();
    await fixture.standIn.put(queue, "x");
    await program.getInUnit(queue);
    const before = (await fixture.standIn.calls()).MQGET!;
    const got = waiting.get(queue, { waitMs: 20_000 }).catch((error) => error.reason);
    await waitFor("the get to wait", async () => (await fixture.standIn.calls()).MQGET! > before);
    await fixture.standIn.quiesce();
    expect(await got).toBe(2161);
    await expect(program.get(queue)).rejects.toMatchObject({ reason: 2161 });
    await expect(connectProgram(client, fixture.standIn)).rejects.toMatchObject({ reason: 2161 });
    await program.commit();
    await fixture.standIn.restart();
    expect(await depth(queue)).toBe(0);
  });

  it("quiesce: stopping does nothing more for anybody, 2162, and backs out", async () => {
    const queue = await fixture.define();
    const { client, program } = await fixture.spawn();
    await fixture.standIn.put(queue, "x");
    await program.getInUnit(queue);
    await fixture.standIn.quiesce("stopping");
    await expect(program.commit()).rejects.toMatchObject({ reason: 2162 });
    await fixture.standIn.restart();
    const again = await connectProgram(client, fixture.standIn);
    expect(await again.get(queue)).toMatchObject({ body: "x" });
  });
});
