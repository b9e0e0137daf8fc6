/** CompanyHub on a real workerd: what a Durable Object a company must keep, whatever becomes of it. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { missing } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { type Stage, startStage, TEST_ENTRY, tokenOf } from "./lib/stage.ts";
import { openStream, type Stream } from "./lib/stream.ts";

const skip = missing("redis-server");

describe.skipIf(skip !== undefined)("CompanyHub", () => {
  let stage: Stage;
  let token: Record<string, string>;
  const tokens = new Map<string, string>();
  const authorized = async (company: string) => {
    tokens.set(company, tokens.get(company) ?? (await tokenOf({ companyId: company })));
    return { authorization: `Bearer ${tokens.get(company)}` };
  };
  beforeAll(async () => {
    stage = await startStage({ entry: TEST_ENTRY, vars: { LOG_LEVEL: "debug" } });
    token = await authorized("acme");
  });
  afterAll(() => stage?.[Symbol.asyncDispose]());

  const open = async (company: string, query = ""): Promise<Stream> => {
    const stream = openStream(
      stage.url,
      `/stream/updates?companyId=${company}${query}`,
      await authorized(company),
    );
    await waitFor("the stream to open", () => stream.frames.length > 0);
    return stream;
  };
  const evict = (name: string) =>
    fetch(`${stage.url}/test/evict?name=${encodeURIComponent(name)}`).then((answer) => answer.text());
  const channels = async () => (await stage.redis.command(["PUBSUB", "CHANNELS"])) as readonly string[];
  const commandsOf = async () =>
    Number(/total_commands_processed:(\d+)/.exec(String(await stage.redis.command(["INFO", "stats"])))![1]);

  it("streams what is appended, in order, over SSE and WebSocket alike", async () => {
    await using stream = await open("acme");
    const socket = new WebSocket(`${stage.url.replace("http", "ws")}/ws/updates?companyId=acme`, {
      headers: token,
    } as never);
    const messages: { event?: string; data?: { n: number } }[] = [];
    socket.addEventListener("message", ({ data }) => void messages.push(JSON.parse(String(data))));
    await waitFor("the socket's first message", () => messages.length > 0);
    const numbers = await stage.publish("acme", 50);
    await waitFor("all events", () => stream.events.length === 50);
    const heard = () => messages.flatMap(({ event, data }) => (event === undefined ? [] : [data!.n]));
    await waitFor("all messages", () => heard().length === 50);
    expect(stream.numbers()).toEqual(numbers);
    expect(heard()).toEqual(numbers);
    socket.close();
  });

  it("evicted under its clients, they resume from their cursors: nothing lost, nothing twice", async () => {
    const streams = [await open("evicted"), await open("evicted"), await open("evicted", "&types=odd")];
    for (let round = 0; round < 5; round++) {
      await stage.publish("evicted", 20);
      // In the middle of what is being delivered, and while more comes.
      await Promise.all([evict("evicted"), evict("evicted#1"), stage.publish("evicted", 20)]);
    }
    const all = Array.from({ length: 200 }, (_, at) => at + 1);
    for (const stream of streams.slice(0, 2)) {
      await waitFor("every event", () => stream.numbers().length >= 200);
      expect(stream.numbers()).toEqual(all);
    }
    await waitFor("every odd event", () => streams[2]!.numbers().length >= 100);
    expect(streams[2]!.numbers()).toEqual(all.filter((n) => n % 2 === 1));
    expect(streams[0]!.answers.length).toBeGreaterThan(1);
    for (const stream of streams) await stream.leave();
  });

  it("of two companies, each gives its own events alone, also when asked with another's cursor and headers of our own", async () => {
    await using one = await open("one");
    await using two = await open("two");
    await Promise.all([stage.publish("one", 100), stage.publish("two", 100)]);
    await waitFor("all events", () => one.events.length === 100 && two.events.length === 100);
    expect(new Set(one.events.map(({ data }) => data.companyId))).toEqual(new Set(["one"]));
    expect(new Set(two.events.map(({ data }) => data.companyId))).toEqual(new Set(["two"]));

    const asked = JSON.stringify({
      kind: "open",
      headers: {},
      wanted: { kind: "updates", transport: "sse", company: "two", format: "data", overflow: "catch-up" },
    });
    const headers = { ...(await authorized("one")), "millrace-asked": asked };
    const foreign = await fetch(`${stage.url}/stream/updates?companyId=two`, { headers });
    expect(foreign.status).toBe(403);
    await using own = openStream(stage.url, "/stream/updates?companyId=one&lastEventId=0.0-0", headers);
    await waitFor("the replay", () => own.events.length === 100);
    expect(new Set(own.events.map(({ data }) => data.companyId))).toEqual(new Set(["one"]));
  });

  it("shards a company that outgrows one Durable Object, and counts its connections over all of them", async () => {
    const streams = await Promise.all(Array.from({ length: 5 }, () => open("big")));
    await stage.publish("big", 10);
    for (const stream of streams) {
      await waitFor("all events", () => stream.events.length === 10);
      expect(stream.answers).toHaveLength(1);
    }
    const total = async () => {
      const answer = await fetch(`${stage.url}/stream/stats`, { headers: await authorized("big") });
      return ((await answer.json()) as { connections: { totalConnections: number } }).connections
        .totalConnections;
    };
    await waitFor("five connections to be reported", async () => (await total()) === 5);
    // Two in each.
    const hubs = new Set(stage.workerd.output().match(/(?<="hub":")big[^"]*/g));
    expect(hubs).toEqual(new Set(["big", "big#1", "big#2"]));
    for (const stream of streams) await stream.leave();
    await waitFor("none to be reported", async () => (await total()) === 0);
  });

  it("with the last client leaves nothing open: no subscription, no command, no report", async () => {
    const stream = await open("idle");
    await stage.publish("idle", 1);
    await waitFor("the event", () => stream.events.length === 1);
    expect(await channels()).toContain("millrace:{idle}:wake");
    await stream.leave();
    // The gateway closes a channel with its last stream, so an open upstream would show.
    await waitFor("no channel", async () => (await channels()).length === 0);
    const instances = () => stage.redis.command(["HLEN", "millrace:instances"]);
    await waitFor("no report", async () => (await instances()) === 0);

    await stage.publish("idle", 1);
    const before = await commandsOf();
    // There is nothing to wait for: reports, heartbeats and watchdogs would all have come.
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    // That one question itself.
    expect((await commandsOf()) - before).toBe(1);
    await using again = await open("idle", "&lastEventId=0.0-0");
    await waitFor("both events", () => again.events.length === 2);
  });

  it("is unloaded soon after its last client: nothing that is pending keeps it, and nothing is billed", async () => {
    const loads = () => stage.workerd.output().split('"hub":"unloaded"').length - 1;
    const first = await open("unloaded");
    expect(loads()).toBe(1);
    await first.leave();
    // workerd looks after ten seconds without a request; asking it would be one.
    await new Promise((resolve) => setTimeout(resolve, 12_000));
    await using _second = await open("unloaded");
    expect(loads()).toBe(2);
  });

  it("refuses over MAX_CONNECTIONS_PER_COMPANY in the stream, over all Durable Objects of a company", async () => {
    await using small = await startStage({
      entry: TEST_ENTRY,
      vars: { MAX_CONNECTIONS_PER_COMPANY: "3" },
    });
    const path = "/stream/updates?companyId=acme";
    const streams = Array.from({ length: 3 }, () => openStream(small.url, path, token));
    for (const stream of streams) await waitFor("a stream", () => stream.frames.length > 0);
    const refused = await fetch(small.url + path, {
      headers: { ...token, accept: "text/event-stream" },
    });
    expect(refused.status).toBe(200);
    expect(await refused.text()).toMatch(/^retry: \d+\n\nevent: busy\n/);
    await streams[0]!.leave();
    await waitFor("room again", async () => {
      const stopped = new AbortController();
      const answer = await fetch(small.url + path, { headers: token, signal: stopped.signal });
      const { value } = await answer.body!.pipeThrough(new TextDecoderStream()).getReader().read();
      stopped.abort();
      return !value!.includes("busy");
    });
    for (const stream of streams) await stream.leave();
  });

  it("killed with its whole process, the clients resume at the next one", async () => {
    await using stream = await open("killed");
    await stage.publish("killed", 10);
    await waitFor("the first events", () => stream.events.length === 10);
    await stage.workerd.kill();
    await stage.publish("killed", 10);
    await stage.workerd.restart();
    await stage.publish("killed", 10);
    await waitFor("all events", () => stream.events.length >= 30);
    expect(stream.numbers()).toEqual(Array.from({ length: 30 }, (_, at) => at + 1));
  });

  it("goes on when the gateway has been away: the gap is read from the log", async () => {
    await using stream = await open("away");
    await stage.publish("away", 5);
    await waitFor("the first events", () => stream.events.length === 5);
    await stage.rest.stop();
    await stage.publish("away", 5);
    await stage.rest.restart();
    await stage.publish("away", 5);
    await waitFor("all events", () => stream.events.length >= 15);
    expect(stream.numbers()).toEqual(Array.from({ length: 15 }, (_, at) => at + 1));
    expect(stream.answers).toHaveLength(1);
  });
});
