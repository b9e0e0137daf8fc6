/** Stream queues of the stand-in, by IBM MQ's "Streaming queues configuration" and "Stream queues and transactions". */
import { describe, expect, it } from "vitest";
import { useStandIn } from "../support/mq/fixture.ts";

describe("stand-in queue manager: stream queues", () => {
  const fixture = useStandIn();
  const bodies = async (queue: string) => (await fixture.standIn.messages(queue)).map(({ body }) => body);
  const pair = async (quality: "MUSTDUP" | "BESTEF", streamAttributes = "") => {
    const stream = await fixture.define(streamAttributes);
    const source = await fixture.define(`STREAMQ(${stream}) STRMQOS(${quality})`);
    return { source, stream };
  };

  it("put: the copy keeps ids, properties, priority, persistence, sender and data; its expiry is unlimited", async () => {
    const { source, stream } = await pair("MUSTDUP", "DEFPRTY(1)");
    const program = await fixture.connect();
    const [correlId, properties] = ["c3".repeat(24), { companyid: "acme" }];
    const options = { correlId, properties, priority: 6, persistence: 1, expiry: 6000 };
    const msgId = await program.put(source, "body", options);
    const [original, copy] = [
      await program.get(source, { hasHandle: true }),
      await program.get(stream, { hasHandle: true }),
    ];
    expect(original).toMatchObject({ msgId, correlId, properties, priority: 6, persistence: 1 });
    expect(original.expiry).toBeGreaterThan(0);
    expect(copy).toEqual({ ...original, expiry: -1 });
  });

  it("put in a unit of work: the copy is seen at the commit, and gone after a back", async () => {
    const { source, stream } = await pair("MUSTDUP");
    const program = await fixture.connect();
    await program.putInUnit(source, "a");
    await expect(program.get(stream)).rejects.toMatchObject({ reason: 2033 });
    await program.back();
    expect([await bodies(source), await bodies(stream)]).toEqual([[], []]);
    await program.putInUnit(source, "b");
    await program.commit();
    expect([await bodies(source), await bodies(stream)]).toEqual([["b"], ["b"]]);
  });

  it.each([
    ["full, 2053", 2053, "MAXDEPTH(1)", "b"],
    ["too short for the message, 2030", 2030, "MAXMSGL(3)", "long body"],
    ["closed to puts, 2051", 2051, "PUT(DISABLED)", "b"],
  ])(
    "MUSTDUP: a stream queue that is %s, fails the put and keeps nothing of it",
    async (_, reason, attributes, body) => {
      const { source, stream } = await pair("MUSTDUP", attributes);
      const program = await fixture.connect();
      if (reason !== 2051) await program.put(source, "a");
      const before = [await bodies(source), await bodies(stream)];
      await expect(program.put(source, body)).rejects.toMatchObject({ reason });
      await expect(program.putInUnit(source, body)).rejects.toMatchObject({ reason });
      await program.commit();
      expect([await bodies(source), await bodies(stream)]).toEqual(before);
    },
  );

  it("BESTEF: a full stream queue costs the copy, not the put", async () => {
    const { source, stream } = await pair("BESTEF", "MAXDEPTH(1)");
    const program = await fixture.connect();
    for (const body of ["a", "b"]) await program.put(source, body);
    await program.putInUnit(source, "c");
    await program.commit();
    expect([await bodies(source), await bodies(stream)]).toEqual([["a", "b", "c"], ["a"]]);
  });

  it("put: a full source queue makes no copy", async () => {
    const stream = await fixture.define();
    const source = await fixture.define(`MAXDEPTH(1) STREAMQ(${stream}) STRMQOS(MUSTDUP)`);
    const program = await fixture.connect();
    await program.put(source, "a");
    await expect(program.put(source, "b")).rejects.toMatchObject({ reason: 2053 });
    expect(await bodies(stream)).toEqual(["a"]);
  });

  it("put: needs no right on the stream queue", async () => {
    await fixture.standIn.run(
      [
        "DEFINE QLOCAL(HIDDEN.STREAM)",
        "DEFINE QLOCAL(OPEN.SOURCE) STREAMQ(HIDDEN.STREAM)",
        "SET AUTHREC PROFILE(OPEN.SOURCE) OBJTYPE(QUEUE) PRINCIPAL('mrproducer') AUTHADD(PUT)",
      ].join("\n"),
    );
    const program = await fixture.connect();
    await expect(program.put("HIDDEN.STREAM", "x")).rejects.toMatchObject({ reason: 2035 });
    await program.put("OPEN.SOURCE", "x");
    expect(await bodies("HIDDEN.STREAM")).toEqual(["x"]);
  });

  it("define: chains, loops and unknown stream queues are refused", async () => {
    const { source, stream } = await pair("BESTEF");
    const other = await fixture.define();
    const refused = await fixture.standIn.run(
      [
        `DEFINE QLOCAL(CHAIN) STREAMQ(${source})`,
        `ALTER QLOCAL(${stream}) STREAMQ(${source})`,
        `ALTER QLOCAL(${stream}) STREAMQ(NO.SUCH)`,
        `ALTER QLOCAL(${stream}) STREAMQ(${other})`,
        `ALTER QLOCAL(${source}) STREAMQ(${source})`,
      ].join("\n"),
    );
    expect(refused.map(({ isOk }) => isOk)).toEqual(Array(5).fill(false));
    expect(refused[2]!.answer).toContain("NO.SUCH");
  });
});
