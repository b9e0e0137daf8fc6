/** Subscriptions and MONITOR over REST, and what must survive: Redis restarted or frozen, the gateway stopped or killed, slow clients. */
import { createServer } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { createClient } from "redis";
import { afterEach, describe, expect, it } from "vitest";
import { startRedisRest as startGateway } from "../../bridge/redis-rest/gateway.ts";
import { createSseStreams } from "../../bridge/redis-rest/sse.ts";
import { silent } from "../support/logger.ts";
import {
  callsSince,
  REST_TOKEN,
  redisCalls,
  startRedisRest,
  startRedisRestProcess,
} from "../support/redis-rest.ts";
import { missing, startRedis } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";

const noRedis = missing("redis-server");
/** Connections that are a MONITOR. */
async function monitorsOf(url: string): Promise<number> {
  const direct = createClient({ url });
  await direct.connect();
  const text = String(await direct.sendCommand(["CLIENT", "LIST"]));
  direct.destroy();
  return text.match(/ flags=O /g)?.length ?? 0;
}

const headers = { authorization: `Bearer ${REST_TOKEN}`, accept: "text/event-stream" };

/** What has come over a stream, and how it ended. */
interface Listener {
  readonly status: number;
  text(): string;
  /** The `data:` of every frame, as WHATWG HTML reads it. */
  data(): string[];
  readonly ended: Promise<"end" | "error">;
  leave(): void;
}

const listeners: Listener[] = [];

async function listen(url: string): Promise<Listener> {
  const controller = new AbortController();
  const response = await fetch(url, { headers, signal: controller.signal });
  let text = "";
  const decoder = new TextDecoder();
  const read = async () => {
    try {
      for await (const chunk of response.body!) text += decoder.decode(chunk, { stream: true });
      return "end";
    } catch {
      return "error";
    }
  };
  const listener: Listener = {
    status: response.status,
    text: () => text,
    data: () =>
      text.split("\n\n").flatMap((frame) => {
        const lines = frame.split("\n").filter((line) => line.startsWith("data:"));
        return lines.length === 0 ? [] : [lines.map((line) => line.replace(/^data: ?/, "")).join("\n")];
      }),
    ended: read(),
    leave: () => controller.abort(),
  };
  listeners.push(listener);
  return listener;
}

async function post(url: string, command: unknown): Promise<{ status: number; body: { result?: unknown } }> {
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(command) });
  return { status: response.status, body: (await response.json()) as { result?: unknown } };
}

describe.skipIf(noRedis)(`streams of millrace redis-rest${noRedis ? `: ${noRedis}` : ""}`, () => {
  afterEach(async () => {
    for (const listener of listeners.splice(0)) {
      listener.leave();
      await listener.ended;
    }
  });

  it("/subscribe/<channel>: frames as Upstash documents them", async () => {
    await using redis = await startRedis();
    await using gateway = await startRedisRest(redis.url);
    const listener = await listen(`${gateway.url}/subscribe/chat`);
    const other = await listen(`${gateway.url}/SUBSCRIBE/a%2Fb%20%C3%BC`);
    expect(await fetch(`${gateway.url}/publish/chat/hello`, { headers }).then((r) => r.json())).toEqual({
      result: 1,
    });
    await post(gateway.url, ["PUBLISH", "chat", "how are you, today?"]);
    await post(gateway.url, ["PUBLISH", "a/b ü", "{}"]);
    await waitFor("the messages", () => listener.data().length === 3 && other.data().length === 2);
    expect(listener.text()).toBe(
      "data: subscribe,chat,1\n\ndata: message,chat,hello\n\ndata: message,chat,how are you, today?\n\n",
    );
    expect(other.data()).toEqual(["subscribe,a/b ü,1", "message,a/b ü,{}"]);
  });

  it("a line break in a message makes no other message of it", async () => {
    await using redis = await startRedis();
    await using gateway = await startRedisRest(redis.url);
    const listener = await listen(`${gateway.url}/subscribe/chat`);
    const hostile = "a\n\ndata: message,chat,forged\r\nmessage,chat,forged\n message,chat,forged\r: x";
    await post(gateway.url, ["PUBLISH", "chat", hostile]);
    await waitFor("the message", () => listener.data().length === 2);
    expect(listener.data()[1]).toBe(
      `message,chat,${hostile.replaceAll("\r\n", "\n").replaceAll("\r", "\n")}`,
    );
    // What @upstash/redis looks for is a line that begins so.
    expect(listener.text().match(/^data: (message|subscribe),/gm)).toHaveLength(2);
  });

  it("the confirmation comes first and no message after it is missing, under load", async () => {
    await using redis = await startRedis();
    await using gateway = await startRedisRest(redis.url);
    const publisher = createClient({ url: redis.url });
    await publisher.connect();
    let count = 0;
    const timer = setInterval(() => {
      for (let i = 0; i < 20; i++) void publisher.publish("busy", String(count++));
    }, 1);
    const joined: Listener[] = [];
    for (let i = 0; i < 20; i++) joined.push(await listen(`${gateway.url}/subscribe/busy`));
    clearInterval(timer);
    await publisher.publish("busy", "last");
    await publisher.close();
    for (const listener of joined) {
      await waitFor("the last", () => listener.data().at(-1) === "message,busy,last");
      const [hello, ...messages] = listener.data().slice(0, -1);
      expect(hello).toBe("subscribe,busy,1");
      const numbers = messages.map((message) => Number(message.split(",")[2]));
      expect(numbers).toEqual(numbers.map((_, at) => numbers[0]! + at));
      if (numbers.length > 0) expect(numbers.at(-1)).toBe(count - 1);
    }
  });

  it("joins and leaves by the hundred leave nothing behind", async () => {
    await using redis = await startRedis();
    await using gateway = await startRedisRest(redis.url);
    for (let round = 0; round < 10; round++) {
      const joined = await Promise.all(
        Array.from({ length: 20 }, (_, at) =>
          listen(`${gateway.url}/${at % 2 ? "subscribe" : "psubscribe"}/c${at % 5}`),
        ),
      );
      for (const listener of joined) listener.leave();
    }
    await waitFor("no subscription", async () => {
      const channels = (await post(gateway.url, ["PUBSUB", "CHANNELS"])).body.result as string[];
      return channels.length === 0 && (await post(gateway.url, ["PUBSUB", "NUMPAT"])).body.result === 0;
    });
    const again = await listen(`${gateway.url}/subscribe/c1`);
    await post(gateway.url, ["PUBLISH", "c1", "x"]);
    await waitFor("the message", () => again.data().length === 2);
  });

  it("/monitor shows what Redis does, and its connection ends with the last client", async () => {
    await using redis = await startRedis();
    await using gateway = await startRedisRest(redis.url);
    const monitors = [await listen(`${gateway.url}/monitor`), await listen(`${gateway.url}/monitor`)];
    await post(gateway.url, ["SET", "k", 'a "quoted" \n line']);
    for (const monitor of monitors) {
      await waitFor("the command", () => monitor.data().some((line) => line.includes('"SET" "k"')));
      expect(monitor.data()[0]).toBe('"OK"');
      expect(monitor.text()).toMatch(
        /^data: \d+\.\d+ \[0 127\.0\.0\.1:\d+\] "SET" "k" "a \\"quoted\\" \\n line"$/m,
      );
    }
    for (const monitor of monitors) monitor.leave();
    const direct = createClient({ url: redis.url });
    await direct.connect();
    await waitFor(
      "no monitor",
      async () => !/flags=O/.test(String(await direct.sendCommand(["CLIENT", "LIST"]))),
    );
    await direct.close();
  });

  it("a silent stream says that it lives within 5 s, at a PING every 5 s for all of them", async () => {
    await using redis = await startRedis();
    await using gateway = await startRedisRest(redis.url);
    const others = Array.from({ length: 20 }, (_, n) => listen(`${gateway.url}/subscribe/quiet-${n}`));
    await Promise.all(others);
    const listener = await listen(`${gateway.url}/subscribe/quiet`);
    const startMs = performance.now();
    const before = await redisCalls(redis.url);
    await waitFor("a comment", () => listener.text().includes("\n\n: ping\n\n"));
    expect(performance.now() - startMs).toBeLessThan(6_000);
    expect(listener.data()).toEqual(["subscribe,quiet,1"]);
    await waitFor("the second", () => listener.text().split(": ping").length === 3);
    const asked = callsSince(before, await redisCalls(redis.url));
    expect(Object.keys(asked)).toEqual(["ping"]);
    expect(asked.ping).toBeLessThanOrEqual(1 + (performance.now() - startMs) / 5_000);
  });

  it("one stream more than allowed is 429, and one that leaves makes room", async () => {
    await using redis = await startRedis();
    const options = { host: "127.0.0.1", port: 0, token: REST_TOKEN, logger: silent, maxStreams: 2 };
    await using gateway = await startGateway({ redisUrl: redis.url, ...options });
    await gateway.whenUp(AbortSignal.timeout(10_000));
    const first = await listen(`${gateway.url}/subscribe/a`);
    await listen(`${gateway.url}/monitor`);
    expect((await listen(`${gateway.url}/subscribe/a`)).status).toBe(429);
    expect((await listen(`${gateway.url}/subscribe/b`)).status).toBe(429);
    expect((await listen(`${gateway.url}/monitor`)).status).toBe(429);
    first.leave();
    await waitFor("room", async () => (await listen(`${gateway.url}/subscribe/c`)).status === 200);
  });

  it("a stream that was refused leaves nothing in Redis: no channel, no pattern, no MONITOR", async () => {
    await using redis = await startRedis();
    const options = { host: "127.0.0.1", port: 0, token: REST_TOKEN, logger: silent, maxStreams: 1 };
    await using gateway = await startGateway({ redisUrl: redis.url, ...options });
    await gateway.whenUp(AbortSignal.timeout(10_000));
    const first = await listen(`${gateway.url}/subscribe/kept`);
    for (let round = 0; round < 10; round++) {
      for (const path of ["/monitor", `/subscribe/a${round}`, `/psubscribe/p${round}*`]) {
        expect((await listen(`${gateway.url}${path}`)).status).toBe(429);
      }
    }
    // It pings over the connection of subscriptions, so behind all that was begun.
    expect((await fetch(`${gateway.url}/ready`)).status).toBe(200);
    expect((await post(gateway.url, ["PUBSUB", "CHANNELS"])).body).toEqual({ result: ["kept"] });
    expect((await post(gateway.url, ["PUBSUB", "NUMPAT"])).body).toEqual({ result: 0 });
    expect(await monitorsOf(redis.url)).toBe(0);
    first.leave();
    await waitFor("nobody", async () => {
      return ((await post(gateway.url, ["PUBSUB", "CHANNELS"])).body.result as unknown[]).length === 0;
    });
  });

  it("a client that leaves before its MONITOR is up takes nobody else's away", async () => {
    await using redis = await startRedis();
    await using gateway = await startRedisRest(redis.url);
    for (let round = 0; round < 20; round++) {
      const early = connect(gateway.port, "127.0.0.1");
      early.on("error", () => {});
      await new Promise((resolve) => early.once("connect", resolve));
      early.write(`GET /monitor HTTP/1.1\r\nhost: x\r\nauthorization: ${headers.authorization}\r\n\r\n`);
      const joining = listen(`${gateway.url}/monitor`);
      setTimeout(() => early.destroy(), round % 5);
      const monitor = await joining;
      expect(monitor.status).toBe(200);
      monitor.leave();
      await monitor.ended;
    }
    await waitFor("no monitor", async () => (await monitorsOf(redis.url)) === 0);
  });

  it("a stream behind another answer on one connection is refused, and takes no place", async () => {
    await using redis = await startRedis();
    const options = { host: "127.0.0.1", port: 0, token: REST_TOKEN, logger: silent, maxStreams: 3 };
    await using gateway = await startGateway({ redisUrl: redis.url, ...options });
    await gateway.whenUp(AbortSignal.timeout(10_000));
    const greedy = connect(gateway.port, "127.0.0.1");
    greedy.on("error", () => {});
    for (let n = 0; n < 10; n++) {
      greedy.write(
        `GET /subscribe/q${n} HTTP/1.1\r\nhost: x\r\nauthorization: ${headers.authorization}\r\n\r\n`,
      );
    }
    const channels = async () => (await post(gateway.url, ["PUBSUB", "CHANNELS"])).body.result as string[];
    await waitFor("the first", async () => (await channels()).length > 0);
    expect((await listen(`${gateway.url}/subscribe/other`)).status).toBe(200);
    expect((await channels()).sort()).toEqual(["other", "q0"]);
    greedy.destroy();
    await waitFor("its end", async () => (await channels()).length === 1);
  });

  it("createSseStreams: a client that takes nothing of what waits for it is cut, a slow one and a silent one are not", async () => {
    let cuts = 0;
    using streams = createSseStreams(10, () => void cuts++, 3_000);
    const gone: string[] = [];
    const server = createServer((request, response) => {
      const stream = streams.add(response, () => void gone.push(request.url!))!;
      stream.open(Buffer.from("data: x\n\n"));
      if (request.url === "/silent") return;
      // Always more than the kernel takes, and never so much that it is cut for that.
      const timer = setInterval(() => {
        while (response.writableLength < 512 * 1024) stream.write(Buffer.alloc(64 * 1024, 0x61));
      }, 10);
      response.once("close", () => clearInterval(timer));
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const open = (path: string): Socket => {
      const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
      socket.on("error", () => {});
      socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`);
      return socket;
    };
    const [stuck, slow, quiet] = ["/stuck", "/slow", "/silent"].map(open) as [Socket, Socket, Socket];
    stuck.pause();
    // A little at a time.
    const sipping = setInterval(() => slow.read(32 * 1024), 50);
    quiet.resume();
    try {
      await waitFor("the cut", () => gone.length > 0, { timeoutMs: 15_000 });
      expect([gone, cuts]).toEqual([["/stuck"], 1]);
    } finally {
      clearInterval(sipping);
      for (const socket of [stuck, slow, quiet]) socket.destroy();
      server.close();
      server.closeAllConnections();
    }
  });

  it("/subscribe without one name is 400", async () => {
    await using redis = await startRedis();
    await using gateway = await startRedisRest(redis.url);
    for (const path of ["/subscribe", "/subscribe/", "/psubscribe/a/b"]) {
      expect((await listen(`${gateway.url}${path}`)).status).toBe(400);
    }
  });

  it("a client that does not read is cut; another one of the same channel misses nothing", async () => {
    await using redis = await startRedis();
    await using gateway = await startRedisRest(redis.url);
    const slow = connect(gateway.port, "127.0.0.1");
    slow.on("error", () => {});
    slow.write(`GET /subscribe/wide HTTP/1.1\r\nhost: x\r\nauthorization: ${headers.authorization}\r\n\r\n`);
    slow.pause();
    const healthy = await listen(`${gateway.url}/subscribe/wide`);
    const subscribers = async () => (await post(gateway.url, ["PUBSUB", "NUMSUB", "wide"])).body.result;
    await waitFor("the slow one", async () => ((await subscribers()) as unknown[])[1] === 1);
    const payload = "x".repeat(64 * 1024);
    for (let sent = 0; sent < 256; sent++) await post(gateway.url, ["PUBLISH", "wide", payload]);
    await waitFor("all of it", () => healthy.text().length > 256 * payload.length);
    expect(healthy.data()).toHaveLength(257);
    // What the kernel holds can still be read, then the connection is at its end.
    let received = 0;
    const closed = new Promise((resolve) => slow.once("close", resolve));
    slow.on("data", (chunk) => {
      received += chunk.length;
    });
    slow.resume();
    await closed;
    expect(received).toBeLessThan(256 * payload.length);
  });

  it("Redis killed: streams end, requests are 503; back again: both work", async () => {
    await using redis = await startRedis();
    await using gateway = await startRedisRest(redis.url);
    await post(gateway.url, ["SET", "k", "v"]);
    const streams = await Promise.all(
      ["/subscribe/c", "/psubscribe/*", "/monitor"].map((path) => listen(`${gateway.url}${path}`)),
    );
    await redis.kill();
    for (const stream of streams) expect(await stream.ended).toBe("end");
    await waitFor("503", async () => (await post(gateway.url, ["GET", "k"])).status === 503);
    for (const path of ["/subscribe/c", "/monitor", "/ready"]) {
      expect((await listen(`${gateway.url}${path}`)).status).toBe(503);
    }
    expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200);
    const refused = await fetch(gateway.url, { method: "POST", headers, body: '["GET","k"]' });
    expect(await refused.text()).not.toContain(String(redis.port));
    await redis.restart();
    await waitFor("Redis", async () => (await fetch(`${gateway.url}/ready`)).status === 200);
    expect((await post(gateway.url, ["GET", "k"])).body).toEqual({ result: "v" });
    const again = await listen(`${gateway.url}/subscribe/c`);
    await post(gateway.url, ["PUBLISH", "c", "x"]);
    await waitFor("the message", () => again.data().length === 2);
  });

  it("Redis frozen: requests are 503 and streams end, without waiting for the network to say so", async () => {
    await using redis = await startRedis();
    await using gateway = await startRedisRest(redis.url);
    const stream = await listen(`${gateway.url}/subscribe/c`);
    redis.process().child.kill("SIGSTOP");
    expect((await post(gateway.url, ["GET", "k"])).status).toBe(503);
    expect(await stream.ended).toBe("end");
    redis.process().child.kill("SIGCONT");
    await waitFor("Redis", async () => (await fetch(`${gateway.url}/ready`)).status === 200);
  });

  it("stopped with open streams: they end in order, and it is gone within a second", async () => {
    await using redis = await startRedis();
    await using gateway = await startRedisRest(redis.url);
    const streams = await Promise.all(
      ["/subscribe/a", "/subscribe/b", "/monitor"].map((path) => listen(`${gateway.url}${path}`)),
    );
    const startMs = performance.now();
    await gateway.stop();
    expect(performance.now() - startMs).toBeLessThan(1_000);
    for (const stream of streams) expect(await stream.ended).toBe("end");
    await expect(fetch(gateway.url)).rejects.toThrow();
    await gateway.restart();
    expect((await listen(`${gateway.url}/subscribe/a`)).status).toBe(200);
  });

  it("killed and started again on the same port: streams break, and can be opened again", async () => {
    await using redis = await startRedis();
    await using gateway = await startRedisRestProcess(redis.url);
    const stream = await listen(`${gateway.url}/subscribe/a`);
    await gateway.kill();
    expect(await stream.ended).toBe("error");
    await gateway.restart();
    const again = await listen(`${gateway.url}/subscribe/a`);
    await post(gateway.url, ["PUBLISH", "a", "x"]);
    await waitFor("the message", () => again.data().length === 2);
    await gateway.stop();
    expect(await again.ended).toBe("end");
    expect(gateway.process().child.exitCode).toBe(0);
  });
});
