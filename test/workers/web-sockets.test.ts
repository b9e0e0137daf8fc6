/** OpenWebSocket on workerd, through the Worker and the Durable Object: slow clients, ends, clients that leave. */
import { once } from "node:events";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { parseEvent } from "../../functions/core/event.ts";
import { missing } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { type Stage, startStage, tokenOf } from "./lib/stage.ts";

const skip = missing("redis-server");

describe.skipIf(skip !== undefined)("createWebSockets", () => {
  let stage: Stage;
  const clients: WebSocket[] = [];
  beforeAll(async () => {
    stage = await startStage();
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.terminate();
  });
  afterAll(() => stage?.[Symbol.asyncDispose]());

  const open = async (company: string, { query = "", lifetime = "1h" } = {}) => {
    const token = await tokenOf({ companyId: company }, lifetime);
    const path = `/ws/updates?companyId=${company}${query}`;
    const client = new WebSocket(stage.url.replace("http", "ws") + path, {
      headers: { authorization: `Bearer ${token}` },
    });
    clients.push(client);
    const numbers: number[] = [];
    const gaps: string[] = [];
    let messages = 0;
    client.on("message", (data) => {
      messages++;
      const { event, data: own } = JSON.parse(String(data)) as {
        event?: string;
        data?: { n?: number; reason?: string };
      };
      if (event === "gap") gaps.push(own!.reason!);
      else if (event !== undefined) numbers.push(own!.n!);
    });
    client.on("error", () => {});
    await once(client, "open");
    await waitFor("the first message", () => messages > 0);
    return { client, numbers, gaps };
  };
  const connections = async (company: string) => {
    const headers = { authorization: `Bearer ${await tokenOf({ companyId: company })}` };
    const answer = await fetch(`${stage.url}/stream/stats`, { headers });
    return ((await answer.json()) as { connections: { totalConnections: number } }).connections
      .totalConnections;
  };

  it("sends a client that does not read no more than fits: all the rest once it reads again, or what is fresh", async () => {
    const slow = await open("slow");
    const dropping = await open("slow", { query: "&overflow=drop-oldest" });
    const quick = await open("slow");
    slow.client.pause();
    dropping.client.pause();
    const pad = "x".repeat(20_000);
    const events = 2_000;
    for (let n = 1; n <= events; n += 100) {
      await stage.log.append(
        Array.from({ length: 100 }, (_, at) =>
          parseEvent({
            ...{ companyId: "slow", source: "/ws", id: String(n + at), type: "padded" },
            dataText: JSON.stringify({ companyId: "slow", n: n + at, pad }),
          }),
        ),
      );
    }
    const all = Array.from({ length: events }, (_, at) => at + 1);
    await waitFor("the quick client to have everything", () => quick.numbers.length >= events, {
      timeoutMs: 25_000,
    });
    expect(quick.numbers).toEqual(all);
    slow.client.resume();
    dropping.client.resume();
    await waitFor("the slow one to have everything", () => slow.numbers.length >= events, {
      timeoutMs: 25_000,
    });
    expect(slow.numbers).toEqual(all);
    expect(slow.gaps).toEqual([]);
    // Had workerd taken all 40 MB for it, nothing would have been dropped.
    await waitFor("the last event", () => dropping.numbers.at(-1) === events);
    expect(dropping.gaps[0]).toBe("dropped");
    expect(dropping.numbers.length).toBeLessThan(events);
  }, 60_000);

  it("closes with 4401 when the token has ended, and with 1009 who sends too much", async () => {
    // With the tolerance of 5 s for clocks.
    const { client } = await open("ends", { lifetime: "1s" });
    const { client: chatty } = await open("ends");
    chatty.send("a short message is dropped");
    chatty.send("x".repeat(2_000));
    expect((await once(chatty, "close"))[0]).toBe(1009);
    expect((await once(client, "close"))[0]).toBe(4401);
  });

  it("agrees to no compression and to no protocol", async () => {
    const token = await tokenOf({ companyId: "plain" });
    const client = new WebSocket(`${stage.url.replace("http", "ws")}/ws/updates?companyId=plain`, ["chat"], {
      headers: { authorization: `Bearer ${token}` },
    });
    clients.push(client);
    client.on("error", () => {});
    const [answer] = (await once(client, "upgrade")) as [{ headers: Record<string, string> }];
    expect(Object.keys(answer.headers).filter((name) => /extensions|protocol/.test(name))).toEqual([]);
  });

  it("forgets clients that close, and those that are cut", async () => {
    const [one, two] = [await open("leaves"), await open("leaves")];
    await waitFor("both to be counted", async () => (await connections("leaves")) === 2);
    one.client.close(1000);
    two.client.terminate();
    await waitFor("none to be counted", async () => (await connections("leaves")) === 0);
  });
});
