/** What every runtime owes whoever runs Millrace on it, beside the HTTP contract: each store it has, ends, limits, clients that leave or stall. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { parseEvent } from "../../functions/core/event.ts";
import type { EventLog } from "../../functions/ports/event-log.ts";
import { createSqliteLog } from "../../functions/runtimes/node/event-log-sqlite.ts";
import { openSqliteDatabase } from "../../functions/runtimes/node/sqlite-database.ts";
import { JWT_SECRET, mintToken, openRedisLog } from "../support/log-server.ts";
import { silent } from "../support/logger.ts";
import { freePort } from "../support/process.ts";
import { REST_TOKEN, startRedisRest } from "../support/redis-rest.ts";
import {
  missingRuntime,
  type ProcessRuntime,
  type RuntimeProcess,
  startRuntime,
  writePages,
} from "../support/runtimes.ts";
import { missing, startRedis, type TestServer } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";

const BASE = {
  AUTH_MODE: "jwt",
  JWT_SECRET,
  AUTH_TOKEN: "a token of the tests",
  HEARTBEAT_MS: "1000",
  DRAIN_MS: "500",
};

export type StoreName = "Redis" | "Redis over REST" | "the embedded log";

export interface RuntimeContract {
  readonly name: string;
  readonly runtime: ProcessRuntime;
}

/** A server, and its log to write to. */
interface Started extends AsyncDisposable {
  readonly server: RuntimeProcess;
  readonly log: EventLog;
  /** Undefined on the embedded log. */
  readonly redis: TestServer | undefined;
}

async function startOn(
  runtime: ProcessRuntime,
  store: StoreName,
  env: Record<string, string> = {},
): Promise<Started> {
  await using stack = new AsyncDisposableStack();
  let log: EventLog;
  let settings: Record<string, string>;
  let redis: TestServer | undefined;
  if (store === "the embedded log") {
    const folder = mkdtempSync(join(tmpdir(), "millrace-runtime-"));
    stack.defer(() => rmSync(folder, { recursive: true, force: true }));
    const database = stack.use(openSqliteDatabase({ folder, logger: silent }));
    log = stack.use(createSqliteLog({ database, retentionMs: 3_600_000, timeZone: "UTC", logger: silent }));
    settings = { DATA_DIR: folder };
  } else {
    redis = stack.use(await startRedis());
    ({ log } = stack.use(await openRedisLog(redis.url)));
    settings = { REDIS_URL: redis.url };
    if (store === "Redis over REST") {
      const gateway = stack.use(await startRedisRest(redis.url));
      settings = { UPSTASH_REDIS_REST_URL: gateway.url, UPSTASH_REDIS_REST_TOKEN: REST_TOKEN };
    }
  }
  const server = stack.use(await startRuntime(runtime, { ...BASE, ...settings, ...env }));
  const owned = stack.move();
  return { server, log, redis, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

export function describeRuntime({ name, runtime }: RuntimeContract): void {
  describe(`Millrace on ${name}`, () => {
    let stack = new AsyncDisposableStack();
    beforeAll(async () => {
      if (missingRuntime(runtime) === undefined) await writePages();
    });
    beforeEach((context) => {
      const reason = missingRuntime(runtime) ?? missing("redis-server");
      if (reason !== undefined) context.skip(reason);
    });
    afterEach(async () => {
      await stack.disposeAsync();
      stack = new AsyncDisposableStack();
    });
    const begin = async (store: StoreName, env?: Record<string, string>) => {
      const { server, log, redis } = stack.use(await startOn(runtime, store, env));
      const authorization = `Bearer ${await mintToken({ companyId: "acme", roles: ["ops"] })}`;
      let appended = 0;
      const append = (count: number, dataText = "{}") =>
        log.append(
          Array.from({ length: count }, () =>
            parseEvent({ companyId: "acme", source: "/test", id: String(++appended), type: "a", dataText }),
          ),
        );
      /** A stream, and what has come of it. */
      const open = async (path = "/stream/updates?companyId=acme", headers: Record<string, string> = {}) => {
        const leave = new AbortController();
        stack.defer(() => leave.abort());
        const response = await fetch(server.url + path, {
          headers: { authorization, accept: "text/event-stream", "accept-encoding": "identity", ...headers },
          signal: leave.signal,
        });
        const stream = { text: "", ended: false };
        const decoder = new TextDecoder();
        void (async () => {
          try {
            for await (const chunk of response.body!) stream.text += decoder.decode(chunk, { stream: true });
          } catch {}
          stream.ended = true;
        })();
        return { response, stream, leave: () => leave.abort() };
      };
      const get = (path: string) => fetch(server.url + path, { headers: { authorization } });
      const connections = async () =>
        ((await (await get("/stream/stats")).json()) as { connections: { totalConnections: number } })
          .connections.totalConnections;
      return { server, redis, append, authorization, open, get, connections };
    };

    it.each(["Redis", "Redis over REST", "the embedded log"] as const)(
      "replays and follows %s, answers for its health, and lets go of it",
      async (store) => {
        const { append, open, get, server } = await begin(store);
        await append(3);
        const { stream } = await open();
        await waitFor("the stream to be open", () => stream.text.includes("\n\n"));
        const [first] = await append(2);
        await waitFor("the events", () => stream.text.split("event: a").length === 3);
        const again = await open(undefined, { "last-event-id": first!.cursor });
        await waitFor("the replay", () => again.stream.text.includes("event: a"));
        expect((await get("/ready")).status).toBe(200);
        expect(await (await get("/metrics")).text()).toMatch(/^millrace_connections 2$/m);
        expect(await server.stop()).toBe(0);
        expect(server.output()).not.toMatch(/"level":"(warn|error)"/);
      },
    );

    it.each(["Redis", "Redis over REST"] as const)(
      "goes on with the stream when %s was restarted",
      async (store) => {
        const { append, open, get, redis } = await begin(store);
        const { stream } = await open();
        await waitFor("the stream to be open", () => stream.text.includes("\n\n"));
        await append(2);
        await waitFor("the events", () => stream.text.split("event: a").length === 3);
        await redis!.kill();
        await waitFor("it to be not ready", async () => (await get("/ready")).status === 503);
        await redis!.restart();
        await waitFor("the log to take events", () => append(3).then(() => true));
        await waitFor("the events", () => stream.text.split("event: a").length === 6);
        expect(stream.ended).toBe(false);
        await waitFor("it to be ready", async () => (await get("/ready")).status === 200);
      },
    );

    it("notices clients that leave idle streams, and of a WebSocket", async () => {
      const { open, connections, server, authorization } = await begin("Redis", { HEARTBEAT_MS: "60000" });
      const streams = await Promise.all(Array.from({ length: 5 }, () => open()));
      const socket = new WebSocket(`${server.url.replace("http", "ws")}/ws/updates?companyId=acme`, {
        headers: { authorization },
      });
      await once(socket, "open");
      await waitFor("all to be counted", async () => (await connections()) === 6);
      for (const { leave } of streams) leave();
      socket.terminate();
      await waitFor("none to be left", async () => (await connections()) === 0);
    });

    it.each(["SIGTERM", "SIGINT"] as const)(
      "on %s sends streams and sockets away, and ends with 0",
      async (signal) => {
        const { open, server, authorization } = await begin("Redis");
        const { stream } = await open();
        const socket = new WebSocket(`${server.url.replace("http", "ws")}/ws/updates?companyId=acme`, {
          headers: { authorization },
        });
        const messages: string[] = [];
        socket.on("message", (data) => messages.push(String(data)));
        const closed = once(socket, "close");
        await once(socket, "open");
        await waitFor("the stream to be open", () => stream.text.includes("\n\n"));
        expect(await server.stop(signal)).toBe(0);
        await waitFor("the end", () => stream.ended);
        expect(stream.text.match(/^retry: \d+$/gm)!.length).toBeGreaterThanOrEqual(2);
        expect((await closed)[0]).toBe(1001);
        expect(messages.at(-1)).toMatch(/^\{"retry":\d+\}$/);
      },
    );

    it("ends although clients do not read, of streams and of sockets", async () => {
      const { append, server, authorization } = await begin("Redis");
      const { hostname, port } = new URL(server.url);
      const stall = async (path: string, lines: string[]) => {
        const socket = connect(Number(port), hostname);
        stack.defer(() => void socket.destroy());
        socket.on("error", () => {});
        const head = [`GET ${path}?companyId=acme HTTP/1.1`, "Host: x", `Authorization: ${authorization}`];
        socket.write([...head, ...lines, "", ""].join("\r\n"));
        await once(socket, "data");
        socket.pause();
      };
      await stall("/stream/updates", ["Accept: text/event-stream"]);
      await stall("/ws/updates", [
        ...["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"],
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      ]);
      const data = JSON.stringify({ pad: "x".repeat(100_000) });
      for (let round = 0; round < 30; round++) await append(10, data);
      const startMs = performance.now();
      const code = await server.stop();
      expect(server.output().slice(server.output().indexOf("ready"))).toMatch(/^ready \S+\s*$/);
      expect(code).toBe(0);
      expect(performance.now() - startMs).toBeLessThan(15_000);
    });

    it("holds little of what a client does not read, and sends all of it once it does", async () => {
      const { append, server, authorization, get } = await begin("Redis", { DRAIN_MS: "0" });
      const { hostname, port } = new URL(server.url);
      const socket = connect(Number(port), hostname);
      stack.defer(() => void socket.destroy());
      let events = 0;
      const head = ["GET /stream/updates?companyId=acme HTTP/1.1", "Host: x", "Accept: text/event-stream"];
      socket.write([...head, `Authorization: ${authorization}`, "", ""].join("\r\n"));
      await once(socket, "data");
      socket.pause();
      const data = JSON.stringify({ pad: "x".repeat(100_000) });
      for (let round = 0; round < 40; round++) await append(10, data);
      const written = async () =>
        Number(/^millrace_written_bytes_total (\d+)$/m.exec(await (await get("/metrics")).text())![1]);
      let before = -1;
      await waitFor(
        "it to be full",
        async () => {
          const now = await written();
          const isSame = now === before;
          before = now;
          return isSame;
        },
        { everyMs: 300 },
      );
      // The rest is the kernels' buffers.
      expect(before).toBeLessThan(15_000_000);
      let tail = "";
      socket.on("data", (chunk) => {
        const text = tail + chunk.toString("latin1");
        events += text.split("event: a\n").length - 1;
        // What could be the beginning of another.
        tail = text.slice(text.lastIndexOf("\n") + 1);
      });
      socket.resume();
      await waitFor("every event", () => events >= 400);
      expect(events).toBe(400);
    });

    it("refuses requests that are not in form, and goes on", async () => {
      const { server, authorization, get } = await begin("Redis");
      const { hostname, port } = new URL(server.url);
      const ask = async (request: string): Promise<string> => {
        const socket = connect(Number(port), hostname);
        let text = "";
        socket.on("error", () => {});
        socket.on("data", (chunk) => {
          text += chunk.toString("latin1");
        });
        socket.write(request);
        await waitFor("the answer", () => socket.closed || text.includes("\r\n\r\n"));
        socket.destroy();
        return text.split("\r\n")[0]!;
      };
      const to = (path: string, ...lines: string[]) =>
        ask([`GET ${path} HTTP/1.1`, ...lines, "", ""].join("\r\n"));
      expect(await to("/healthz", "Host: x", `X-Large: ${"x".repeat(20_000)}`)).toMatch(/ 431 /);
      expect(await to(`/healthz?${"x".repeat(20_000)}`, "Host: x")).toMatch(/ 431 /);
      expect(await to("/healthz", "Host: x", ...Array.from({ length: 5000 }, (_, n) => `X-${n}: 1`))).toMatch(
        / (431|400) /,
      );
      expect(await to("/healthz", "Host: a b")).toMatch(/ 400 /);
      expect(await to("/healthz", "Host: x", "Transfer-Encoding: chunked", "Content-Length: 3")).toMatch(
        / 400 /,
      );
      expect(await ask("nonsense\r\n\r\n")).toMatch(/ 400 /);
      const head = await fetch(`${server.url}/stream/updates?companyId=acme`, {
        method: "HEAD",
        headers: { authorization },
      });
      expect([head.status, await head.text()]).toEqual([405, ""]);
      const upgrade = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"];
      const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
      expect(await to("/ws/updates?companyId=acme", "Host: x", ...upgrade, key)).toMatch(/ 401 /);
      const bearer = `Authorization: ${authorization}`;
      expect(await to("/ws/updates?companyId=globex", "Host: x", bearer, ...upgrade, key)).toMatch(/ 403 /);
      expect(await to("/ws/updates?companyId=acme", "Host: x", bearer, ...upgrade, key)).toMatch(/ 101 /);
      expect(await to("/ws/updates?companyId=acme", "Host: x", bearer)).toMatch(/ 426 /);
      expect((await get("/ready")).status).toBe(200);
      expect(server.output()).not.toMatch(/"level":"error"/);
    });

    it("does not start on a port that is taken, nor without authentication, and says why", async () => {
      const { server } = await begin("Redis");
      const { port } = new URL(server.url);
      const redis = `redis://127.0.0.1:${await freePort()}`;
      await expect(startRuntime(runtime, { ...BASE, PORT: port, REDIS_URL: redis })).rejects.toThrow(
        `Cannot listen on "127.0.0.1:${port}"`,
      );
      await expect(startRuntime(runtime, { ...BASE, AUTH_MODE: "none", REDIS_URL: redis })).rejects.toThrow(
        "Cannot serve with AUTH_MODE none",
      );
      await expect(startRuntime(runtime, { ...BASE, PORT: "x" })).rejects.toThrow("PORT: expected");
    });
  });
}
