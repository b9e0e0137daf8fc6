/** The producer of IBM MQ, and with it stream queues as producers meet them. */
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { connectIbmMqPublisher } from "../../bridge/producers/ibm-mq-publisher.ts";
import type { Message } from "../../bridge/producers/message.ts";
import { useStandIn } from "../support/mq/fixture.ts";
import { PRODUCER } from "../support/mq/stand-in.ts";
import { waitFor } from "../support/wait.ts";
import { PLAIN } from "./ibm-mq-peer.ts";
import { errorOf, eventsOf, openSource, readFrom } from "./ibm-mq-reader.ts";

const message = (queue: string, n: number, more: Partial<Message> = {}): Message => ({
  ...{ id: `m-${n}`, source: "/demo/audit", subject: queue, time: "2026-01-31T12:00:00Z", companyId: "acme" },
  ...{ body: { companyId: "acme", n, merchant: "Käse & Çay" } },
  ...more,
});

describe("connectIbmMqPublisher", () => {
  const fixture = useStandIn();
  beforeEach(() => {
    Object.assign(process.env, fixture.standIn.env);
  });
  const options = () => {
    const { host, port } = fixture.standIn;
    return { ...PLAIN, host, port, ...PRODUCER };
  };
  const connect = async () => {
    const publisher = await connectIbmMqPublisher(options());
    onTestFinished(() => publisher.close().catch(() => {}));
    return publisher;
  };
  const bodies = async (queue: string) =>
    (await fixture.standIn.messages(queue)).map(({ body }) => JSON.parse(body).n);

  it("send: the body as JSON in UTF-8, persistent, the company as a property, in order", async () => {
    const queue = await fixture.define();
    const publisher = await connect();
    for (let n = 0; n < 700; n++) await publisher.send(message(queue, n));
    await publisher.send(message(queue, 700, { companyId: undefined }));
    await publisher.close();
    const messages = await fixture.standIn.messages(queue);
    expect(messages.map(({ body }) => JSON.parse(body).n)).toEqual(Array.from({ length: 701 }, (_, n) => n));
    expect(JSON.parse(messages[0]!.body)).toEqual({ companyId: "acme", n: 0, merchant: "Käse & Çay" });
    expect(messages[0]).toMatchObject({
      isPersistent: true,
      isHidden: false,
      properties: { companyid: "acme" },
    });
    expect(messages[700]!.properties).toEqual({});
  });

  it("send: the MsgId is made of the id, so the same message sent again is stored once", async () => {
    const [one, other] = [await fixture.define(), await fixture.define()];
    for (const queue of [one, other]) {
      const publisher = await connect();
      for (const n of [1, 2]) await publisher.send(message(queue, n));
      await publisher.close();
    }
    const ids = async (queue: string) => (await fixture.standIn.messages(queue)).map(({ msgId }) => msgId);
    expect(await ids(one)).toEqual(await ids(other));
    expect(new Set(await ids(one)).size).toBe(2);
  });

  it("send: a message on its own is committed at once, without a close", async () => {
    const queue = await fixture.define();
    const publisher = await connect();
    await publisher.send(message(queue, 1));
    await waitFor("the commit", async () =>
      (await fixture.standIn.messages(queue)).some(({ isHidden }) => !isHidden),
    );
  });

  it("through a stream queue the bridge gets the copy, with the id and the company", async () => {
    const publisher = await connect();
    await publisher.send(message("APP.TXN.IN", 7, { body: { n: 7 } }));
    await publisher.close();
    const [event] = eventsOf(await readFrom(openSource(fixture.standIn, "AUDIT.TXN").source).take(1));
    const [original] = await fixture.standIn.messages("APP.TXN.IN");
    expect(event).toMatchObject({
      ...{ id: original!.msgId, companyId: "acme", type: "audit.txn", data: '{"companyId":"acme","n":7}' },
    });
  });

  describe("a stream queue that is full", () => {
    const streamed = async (quality: "MUSTDUP" | "BESTEF") => {
      const copies = await fixture.define("MAXDEPTH(3)");
      return { copies, queue: await fixture.define(`STREAMQ(${copies}) STRMQOS(${quality})`) };
    };

    it("MUSTDUP: the put fails and says so, and nothing is on one queue alone; after a read it goes on", async () => {
      const { queue, copies } = await streamed("MUSTDUP");
      const publisher = await connect();
      const sent = async () => {
        for (let n = 0; n < 5; n++) await publisher.send(message(queue, n));
        await publisher.close();
      };
      const error = await errorOf(sent());
      expect(error.code).toBe("unavailable");
      expect(error.message).toMatch(new RegExp(`put to queue "${queue}".*2053 .*MUSTDUP`));
      expect(await bodies(queue)).toEqual([0, 1, 2]);
      expect(await bodies(copies)).toEqual([0, 1, 2]);
      const reader = readFrom(openSource(fixture.standIn, copies).source);
      expect(eventsOf(await reader.take(3))).toHaveLength(3);
      await waitFor("the commit", async () => (await fixture.standIn.messages(copies)).length === 0);
      const again = await connect();
      for (const n of [3, 4]) await again.send(message(queue, n));
      await again.close();
      expect(await bodies(queue)).toEqual([0, 1, 2, 3, 4]);
      const numbers = eventsOf(await reader.take(2)).map(({ data }) => JSON.parse(data).n);
      expect(numbers).toEqual([3, 4]);
    });

    it("BESTEF: every put goes through, and what came while it was full is not in the stream", async () => {
      const { queue, copies } = await streamed("BESTEF");
      const publisher = await connect();
      for (let n = 0; n < 5; n++) await publisher.send(message(queue, n));
      await publisher.close();
      expect(await bodies(queue)).toEqual([0, 1, 2, 3, 4]);
      const reader = readFrom(openSource(fixture.standIn, copies).source);
      expect(eventsOf(await reader.take(3)).map(({ data }) => JSON.parse(data).n)).toEqual([0, 1, 2]);
      await waitFor("the commit", async () => (await fixture.standIn.messages(copies)).length === 0);
      const again = await connect();
      await again.send(message(queue, 5));
      await again.close();
      expect(eventsOf(await reader.take(1)).map(({ data }) => JSON.parse(data).n)).toEqual([5]);
    });
  });

  describe("errors", () => {
    it.each([
      ["a wrong password", { password: "hunter2" }, "unauthorized", /2035 .*user "mrproducer"/],
      ["nobody there", { port: 1 }, "unavailable", /2538 .*MQ_HOST, MQ_PORT/],
      ["another queue manager", { queueManager: "QM9" }, "invalid-settings", /2058 .*MQ_QMGR/],
    ])("%s", async (_, wrong, code, text) => {
      const error = await errorOf(connectIbmMqPublisher({ ...options(), ...wrong }));
      expect([error.code, error.message]).toEqual([code, expect.stringMatching(text)]);
      expect(error.message).not.toContain("hunter2");
    });

    it.each([
      ["a queue that does not exist", "NO.SUCH.QUEUE", "invalid-settings", /2085 .*configure.sh/],
      [
        "a queue it may not put to",
        "AUDIT.TXN",
        "forbidden",
        /2035 .*PROFILE\('AUDIT.TXN'\).*AUTHADD\(PUT\)/,
      ],
    ])(
      "%s: said by the next send or the close, and what was put before is there",
      async (_, bad, code, text) => {
        const queue = await fixture.define();
        const publisher = await connect();
        await publisher.send(message(queue, 1));
        await publisher.send(message(bad, 2)).catch(() => {});
        const error = await errorOf(publisher.close());
        expect([error.code, error.message]).toEqual([code, expect.stringMatching(text)]);
        await expect(publisher.send(message(queue, 3))).rejects.toBe(error);
        expect(await bodies(queue)).toEqual([1]);
      },
    );

    it("a connection that is cut: said, and what was not committed is not there", async () => {
      const queue = await fixture.define();
      const publisher = await connect();
      await fixture.standIn.inject({ verb: "MQCMIT", action: "break-before" });
      await publisher.send(message(queue, 1)).catch(() => {});
      const error = await errorOf(publisher.close());
      expect(error.code).toBe("unavailable");
      expect(error.message).toContain("2009");
      await waitFor("the backout", async () => (await fixture.standIn.messages(queue)).length === 0);
    });
  });
});
