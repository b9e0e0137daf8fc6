/** The streams of the operator's services, where their holders are the Durable Objects of the companies whose logs they are of. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lineOf, type SnapshotJson, statusOf } from "../services/services-support.ts";
import { missing } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { type Stage, startStage, TEST_ENTRY, tokenOf } from "./lib/stage.ts";
import { openStream } from "./lib/stream.ts";

const skip = missing("redis-server");
const STATUS = "/api/services/status/stream";
const LINES = "/api/services/logs/stream";

describe.skipIf(skip !== undefined)("services at the edge", () => {
  let stage: Stage;
  let ops: Record<string, string>;
  beforeAll(async () => {
    stage = await startStage({ entry: TEST_ENTRY, vars: { LOG_LEVEL: "debug" } });
    ops = { authorization: `Bearer ${await tokenOf({ companies: ["acme"], roles: ["ops"] })}` };
  });
  afterAll(() => stage?.[Symbol.asyncDispose]());
  const channels = async () => (await stage.redis.command(["PUBSUB", "CHANNELS"])) as readonly string[];
  const evict = (name: string) =>
    fetch(`${stage.url}/test/evict?name=${name}`).then((answer) => answer.text());

  it("the status: a snapshot, changes, silence; after an eviction a snapshot again; and nothing stays open", async () => {
    await stage.log.append([statusOf("early", { queueSize: 1 })]);
    {
      await using stream = openStream(stage.url, STATUS, ops);
      const data = () => stream.events.map(({ data }) => data as unknown as Record<string, unknown>);
      await waitFor("a snapshot", () => stream.events.some(({ type }) => type === "snapshot"));
      expect((data()[0] as unknown as SnapshotJson).services[0]).toMatchObject({
        name: "early",
        queueSize: 1,
      });
      await stage.log.append([statusOf("early", { queueSize: 2 }), statusOf("brief", { interval: 0.4 })]);
      await waitFor("a change", () => data().some(({ queueSize }) => queueSize === 2));
      await waitFor("silence", () => data().some(({ name, silent }) => name === "brief" && silent === true));
      const snapshots = () => stream.events.filter(({ type }) => type === "snapshot").length;
      const before = snapshots();
      await evict("_operations");
      await waitFor("another snapshot", () => snapshots() > before);
    }
    await waitFor("no channel", async () => (await channels()).length === 0);
  });

  it("log lines: the newest, live, filtered, resumed after an eviction", async () => {
    const append = (from: number, to: number) =>
      stage.log.append(
        Array.from({ length: to - from }, (_, n) =>
          lineOf(n % 2 ? "odd" : "even", String(from + n), n % 10 ? "info" : "error"),
        ),
      );
    await append(0, 300);
    await using every = openStream(stage.url, LINES, ops);
    await using odd = openStream(stage.url, `${LINES}?service=odd`, ops);
    await using errors = openStream(stage.url, `${LINES}?level=error`, ops);
    const numbers = (stream: typeof every) =>
      stream.events.map(({ data }) => Number((data as unknown as { message: string }).message));
    await waitFor("the newest", () =>
      [every, odd, errors].every((stream) => numbers(stream).includes(299 - 9 * +(stream === errors))),
    );
    await append(300, 400);
    await Promise.all([evict("_logs"), append(400, 500)]);
    await append(500, 600);
    await waitFor(
      "the last",
      () => numbers(every).includes(599) && numbers(odd).includes(599) && numbers(errors).includes(590),
    );
    const upTo = Array.from({ length: 600 }, (_, n) => n);
    expect(numbers(every)).toEqual(upTo.slice(100));
    expect(numbers(odd)).toEqual(upTo.filter((n) => n % 2 === 1));
    expect(numbers(errors)).toEqual(upTo.filter((n) => n % 10 === 0));
    expect(every.answers.length).toBeGreaterThan(1);
  });

  it("are for the role ops, and each Durable Object holds its own", async () => {
    const acme = { authorization: `Bearer ${await tokenOf({ companyId: "acme" })}` };
    for (const path of [STATUS, LINES])
      expect((await fetch(stage.url + path, { headers: acme })).status).toBe(403);
    expect(stage.workerd.output()).toContain('"hub":"_operations"');
    expect(stage.workerd.output()).toContain('"hub":"_logs"');
  });
});
