/** Clients that come and go by the thousand, in every way there is to come and to go: nothing of them is left behind. */
import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { SignJWT } from "jose";
import { describe, expect, it } from "vitest";
import { parseEvent } from "../../functions/core/event.ts";
import { readSettings } from "../../functions/core/settings.ts";
import { openStore } from "../../functions/runtimes/node/open-store.ts";
import { connectRedis } from "../../functions/runtimes/node/redis-resp.ts";
import { startServer } from "../../functions/runtimes/node/server.ts";
import { silent } from "../support/logger.ts";
import { missing, startRedis } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { createChance } from "./lib/random.ts";

const noRedis = missing("redis-server");
const JOINS = 10_000;
/** How many are there at once. */
const AT_ONCE = 40;
const COMPANIES = Array.from({ length: 20 }, (_, index) => `company-${index}`);
const JWT_SECRET = "a secret of the tests, long enough for HS256";
/**
 * Bytes a join may leave on the heap: what a forgotten session, member or sink would hold is over a kilobyte, what the heap differs by from one
 * collection to the next is a tenth of this.
 */
const BYTES_A_JOIN = 200;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** What keeps the process busy, by kind. */
function resources(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

describe("joins and leaves", { timeout: 120_000 }, () => {
  it(`${JOINS.toLocaleString("en")} of them, over both transports, leave no connection, watcher, timer, subscription or memory behind`, async (context) => {
    if (noRedis) context.skip(noRedis);
    const chance = createChance("joins and leaves");
    await using redis = await startRedis();
    await using inspector = await connectRedis(redis.url, silent);
    const settings = readSettings({ REDIS_URL: redis.url, PORT: "0", JWT_SECRET, HEARTBEAT_MS: "600000" });
    const store = await openStore({ settings, logger: silent });
    const server = await startServer({ settings, store, pages: new Map(), logger: silent });
    const token = await new SignJWT({ companies: COMPANIES, roles: ["ops"] })
      .setProtectedHeader({ alg: "HS256" })
      .setSubject("faults")
      .setExpirationTime("1h")
      .sign(new TextEncoder().encode(JWT_SECRET));
    const appendAll = async (n: number) => {
      const events = COMPANIES.map((companyId) =>
        parseEvent({ companyId, source: "/test", id: String(n), type: "audit.txn", dataText: `{"n":${n}}` }),
      );
      return store.log.append(events);
    };
    const { cursor } = (await appendAll(0))[0]!;
    const endings = new Map<string, number>();

    /** Comes, may read a little, and goes. Resolves when the socket is closed. */
    const visit = () =>
      new Promise<void>((resolve) => {
        const query = `companyId=${chance.pick(COMPANIES)}`;
        const ask = chance.pick([
          `/stream/updates?${query}`,
          `/stream/updates?${query}&types=never&format=cloudevents`,
          `/stream/updates?companyId=${COMPANIES[0]}&lastEventId=${cursor}`,
          ...[`/ws/updates?${query}`, `/ws/updates?${query}&lastEventId=0.0-0`],
          ...[
            `/stream/dashboard?${query}`,
            `/ws/dashboard?${query}`,
            "/ws/dashboard",
            `/sse?${query}`,
            "/sse",
          ],
        ]);
        const isSocket = ask.startsWith("/ws/");
        const lines = [
          ...[`GET ${ask} HTTP/1.1`, "Host: x", `Authorization: Bearer ${token}`],
          ...(chance.whole(0, 1) === 0 ? ["Accept-Encoding: gzip"] : []),
          ...(isSocket
            ? [
                ...["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"],
                `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}`,
              ]
            : []),
        ];
        const how = chance.pick(["fin", "fin", "reset", "close", "at once", "in the middle"]);
        endings.set(how, (endings.get(how) ?? 0) + 1);
        const socket = connect(server.port, "127.0.0.1");
        const leave = () => {
          // A close frame of our own, masked with zeros (RFC 6455 5.5.1).
          if (how === "close" && isSocket) socket.write(Buffer.from([0x88, 0x80, 0, 0, 0, 0]));
          if (how === "reset") socket.resetAndDestroy();
          else socket.destroy();
        };
        socket.on("error", () => {});
        socket.once("close", () => resolve());
        socket.once("data", leave);
        const request = `${lines.join("\r\n")}\r\n\r\n`;
        if (how === "in the middle")
          socket.write(request.slice(0, chance.whole(1, request.length - 1)), leave);
        else if (how === "at once") socket.write(request, leave);
        else socket.write(request);
      });
    const visits = async (count: number) => {
      let left = count;
      const one = async () => {
        while (left-- > 0) await visit();
      };
      await Promise.all(Array.from({ length: AT_ONCE }, one));
    };
    const metric = async (name: string) => {
      const text = await (await fetch(`${server.url}/metrics`, { headers: { connection: "close" } })).text();
      return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)![1]);
    };
    // The rules about access are listened to for another minute: they are not of any client.
    const subscribed = async () =>
      ((await inspector.command(["PUBSUB", "CHANNELS"])) as string[]).filter((channel) =>
        channel.includes("{company-"),
      );
    const empty = async () => {
      await waitFor("no stream to be left", async () => (await metric("millrace_connections")) === 0);
      await waitFor("no watcher to be left", async () => (await metric("millrace_counter_watchers")) === 0);
      await waitFor("no company's log to be followed", async () => {
        const left = await subscribed();
        if (left.length > 0) throw new Error(`still subscribed to ${left.join(" ")}`);
        return true;
      });
    };
    const heapBytes = async () => {
      for (let round = 0; round < 4; round++) {
        collectGarbage();
        await new Promise((resolve) => setImmediate(resolve));
      }
      return process.memoryUsage().heapUsed;
    };

    try {
      // What is made once is made by these.
      await visits(1_000);
      await empty();
      const [heapBefore, resourcesBefore] = [await heapBytes(), resources()];

      let n = 1;
      let isOver = false;
      const appending = (async () => {
        while (!isOver) await appendAll(n++);
      })();
      const startMs = performance.now();
      await visits(JOINS).finally(() => {
        isOver = true;
      });
      await appending;
      const seconds = (performance.now() - startMs) / 1_000;
      await empty();

      const statistics = (await (
        await fetch(`${server.url}/stream/stats`, {
          headers: { authorization: `Bearer ${token}`, connection: "close" },
        })
      ).json()) as { connections: object };
      expect(statistics.connections).toEqual({
        ...{ totalConnections: 0, activeCompanies: 0, connectionsByCompany: {} },
      });
      // The sockets of the last fetches may still be on their way out.
      await waitFor("timers and sockets to be as before", () => {
        const now = resources();
        const more = Object.entries(now).filter(([kind, count]) => count > (resourcesBefore[kind] ?? 0));
        if (more.length > 0) throw new Error(`more than before: ${JSON.stringify({ resourcesBefore, now })}`);
        return true;
      });
      const grownBytes = (await heapBytes()) - heapBefore;
      expect(grownBytes).toBeLessThan(JOINS * BYTES_A_JOIN);
      const ways = [...endings].map(([how, count]) => `${how} ${count}`).join(", ");
      console.log(
        `${JOINS} joins in ${seconds.toFixed(1)} s among ${n * COMPANIES.length} events (${ways}); heap ${grownBytes} bytes more`,
      );
    } finally {
      await server.close();
      await store[Symbol.asyncDispose]();
    }
    const clients = String(await inspector.command(["CLIENT", "LIST"]))
      .trim()
      .split("\n");
    expect(clients).toHaveLength(1);
    expect(await inspector.command(["PUBSUB", "CHANNELS"])).toEqual([]);
  });
});
