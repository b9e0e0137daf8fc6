/** The whole way: what services publish on Redis channels, through bridge and log, to who watches; restarts; and a service that floods. */
import { createClient } from "redis";
import { describe, expect, it } from "vitest";
import { parseEvent } from "../../functions/core/event.ts";
import { mintToken, startBridge, startServe } from "../faults/lib/millrace.ts";
import { openRedisLog } from "../support/log-server.ts";
import { missing, startRedis } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import type { SnapshotJson } from "./services-support.ts";
import { lineOf, statusOf } from "./services-support.ts";
import { openPeer } from "./stream-peer.ts";

const skip = missing("redis-server");
const STATUS = "/api/services/status/stream";
const LINES = "/api/services/logs/stream";
const SOURCE = { name: "services", kind: "redis-pubsub", channels: ["service:*", "logs:*"] };
const MIB = 1024 * 1024;

describe("services on Redis", { timeout: 90_000 }, () => {
  it("what they publish comes out of both streams, also across restarts of everything between", async (context) => {
    if (skip) context.skip(skip);
    await using redis = await startRedis();
    await using bridge = await startBridge(redis.url, [SOURCE]);
    const token = await mintToken("_operations", "_logs");
    const client = await createClient({ url: redis.url }).connect();
    try {
      const say = (channel: string, body: object) => client.publish(channel, JSON.stringify(body));
      const log = async (service: string, message: string, level = "info") => {
        const line = { ts: new Date().toISOString(), level, service, message };
        // As services do: a line on both of its channels is one.
        await Promise.all([say("logs:all", line), say(`logs:${service}`, line)]);
      };
      const status = (body: object) => say("service:all", { ts: new Date().toISOString(), ...body });

      let last: string | undefined;
      {
        await using serve = await startServe({ REDIS_URL: redis.url });
        using watcher = openPeer(serve.url, STATUS, { token });
        using viewer = openPeer(serve.url, LINES, { token });
        using warnings = openPeer(serve.url, `${LINES}?service=sync&level=warn`, { token });
        await watcher.until("a snapshot", ({ event }) => event === "snapshot");
        await status({ service: "sync", state: "running", interval: 60, queueSize: 4, processed: 9 });
        const { data } = await watcher.until("the status", ({ event }) => event === "service_status");
        expect(data).toMatchObject({
          name: "sync",
          state: "running",
          queueSize: 4,
          processed: 9,
          interval: 60,
        });
        await status({ service: "brief", state: "running", interval: 0.5 });
        const silent = await watcher.until("silence", (heard) => heard.data.silent === true);
        expect(silent.data).toMatchObject({ name: "brief", state: "stopped", silent: true });
        for (let n = 0; n < 5; n++) {
          await log("sync", `line ${n}`, n % 2 === 0 ? "info" : "warn");
          await log("other", `other ${n}`, "error");
        }
        await viewer.until("the last line", (heard) => heard.data.message === "other 4");
        const heard = viewer.heard.map(({ data: { service, message } }) => [service, message]);
        expect(heard).toHaveLength(10);
        expect(heard.filter(([service]) => service === "sync")).toEqual(
          Array.from({ length: 5 }, (_, n) => ["sync", `line ${n}`]),
        );
        expect(viewer.heard[0]).toMatchObject({
          ...{ event: "log_line", id: expect.any(String) },
          data: { level: "info", service: "sync", message: "line 0", ts: expect.any(String) },
        });
        await warnings.until("its last", (heard) => heard.data.message === "line 3");
        expect(warnings.heard.map(({ data: { message } }) => message)).toEqual(["line 1", "line 3"]);
        last = viewer.heard.at(-1)!.id;
      }

      await bridge.kill();
      bridge.start();
      await bridge.connected();
      await log("sync", "while serve is away");
      await status({ service: "sync", state: "idle", interval: 60 });
      await using serve = await startServe({ REDIS_URL: redis.url });
      using resumed = openPeer(serve.url, LINES, { token, lastEventId: last });
      await resumed.until("what was missed", (heard) => heard.data.message === "while serve is away");
      await log("sync", "and after");
      await resumed.until("what is new", (heard) => heard.data.message === "and after");
      expect(resumed.heard.map(({ data: { message } }) => message)).toEqual([
        "while serve is away",
        "and after",
      ]);
      using watcher = openPeer(serve.url, STATUS, { token });
      const { data } = await watcher.until("a snapshot", ({ event }) => event === "snapshot");
      expect(
        (data as unknown as SnapshotJson).services.map(({ name, state, silent }) => [name, state, silent]),
      ).toEqual([
        ["brief", "stopped", true],
        ["sync", "idle", false],
      ]);
    } finally {
      client.destroy();
    }
  });

  it("10,000 lines a second disturb neither another company's client nor who watches the status, and a viewer who is too slow costs no memory and is moved on", async (context) => {
    if (skip) context.skip(skip);
    await using redis = await startRedis();
    await using serve = await startServe({ REDIS_URL: redis.url });
    await using opened = await openRedisLog(redis.url);
    const { log } = opened;
    const token = await mintToken("_operations", "_logs", "acme");
    await log.append([lineOf("flood", "first")]);
    await log.append([statusOf("sync", { queueSize: 0 })]);
    using acme = openPeer(serve.url, "/stream/updates?companyId=acme", { token });
    using watcher = openPeer(serve.url, STATUS, { token });
    using slow = openPeer(serve.url, LINES, { token, keep: 1_000_000 });
    using errors = openPeer(serve.url, `${LINES}?level=error`, { token });
    await slow.until("the first line", () => true);
    await watcher.until("a snapshot", () => true);
    await waitFor("acme's stream", async () => (await serve.metric("millrace_connections")) >= 3);
    const SECONDS = 6;
    const startMs = performance.now();
    let sent = 0;
    let told = 0;
    const residents: number[] = [];
    // So much that what sockets take for a viewer who does not read is a small part of it.
    const padding = "x".repeat(1_000);
    const flood = async () => {
      while (performance.now() - startMs < SECONDS * 1_000) {
        const due = Math.floor(10 * (performance.now() - startMs));
        const batch = Math.min(500, due - sent);
        if (batch > 0) {
          await log.append(
            Array.from({ length: batch }, (_, n) => {
              const isError = (sent + n) % 5_000 === 0;
              return lineOf("flood", `${sent + n} ${padding}`, isError ? "error" : "info");
            }),
          );
          sent += batch;
        } else await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    const others = async () => {
      while (performance.now() - startMs < SECONDS * 1_000) {
        const n = told++;
        await log.append([
          parseEvent({
            ...{ companyId: "acme", source: "/t", type: "t", id: String(n) },
            dataText: JSON.stringify({ n, at: Date.now() }),
          }),
          statusOf("sync", { queueSize: n, lastRun: new Date().toISOString() }),
        ]);
        if (performance.now() - startMs > 2_000) {
          // What a server needs that is busy with it, and whom everybody reads; from then on one does not.
          slow.pause();
          if (n % 5 === 0) residents.push(await serve.metric("process_resident_memory_bytes"));
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    await Promise.all([flood(), others()]);

    await acme.until("acme's last event", ({ data }) => data.n === told - 1);
    expect(acme.heard.map(({ data }) => data.n)).toEqual(Array.from({ length: told }, (_, n) => n));
    const last = await watcher.until("the last status", ({ data }) => data.queueSize === told - 1);
    expect(last.event).toBe("service_status");
    const delays = acme.heard.map(({ atMs, data }) => atMs - Number(data.at)).sort((a, b) => a - b);
    const statusDelays = watcher.heard
      .filter(({ event }) => event === "service_status")
      .map(({ atMs, data }) => atMs - Date.parse(String(data.lastRun)))
      .sort((a, b) => a - b);
    const p99 = (values: readonly number[]) => values[Math.floor(values.length * 0.99)]!;
    const growth = (Math.max(...residents) - residents[0]!) / MIB;
    await errors.until("the newest error", ({ data }) =>
      String(data.message).startsWith(`${sent - (sent % 5_000 || 5_000)} `),
    );

    const caughtUpTo = slow.count();
    slow.resume();
    await slow.until("the newest line", ({ data }) => String(data.message).startsWith(`${sent - 1} `));
    const gaps = slow.heard.filter(({ event }) => event === "gap");
    console.log(
      `${Math.round(sent / SECONDS)} lines/s: acme p99 ${p99(delays)} ms, status p99 ${p99(statusDelays)} ms ` +
        `(${statusDelays.length} of ${told}); resident +${growth.toFixed(0)} MiB; the slow one had ${caughtUpTo} of ${sent} and got ${slow.count() - caughtUpTo}`,
    );
    // The most a busy machine of two cores brings itself to send.
    expect(sent / SECONDS).toBeGreaterThan(3_000);
    expect(p99(delays)).toBeLessThan(2_000);
    expect(p99(statusDelays)).toBeLessThan(2_000);
    expect(growth).toBeLessThan(96);
    // It was behind, was told so, and was not given what it had missed.
    expect(gaps.length).toBeGreaterThan(0);
    expect(new Set(gaps.map(({ data }) => data.reason))).toEqual(new Set(["dropped"]));
    const shown = slow.heard.flatMap(({ data }) =>
      data.message === undefined ? [] : [Number.parseInt(String(data.message), 10)],
    );
    expect(shown.slice(1).every((n, at) => at === 0 || n > shown[at]!)).toBe(true);
    // How much the system's sockets took for it before that is theirs to decide.
    expect(shown.length).toBeLessThan(sent);
    // Of the errors none is missing: a filter keeps their viewer from being behind.
    expect(
      errors.heard
        .filter(({ event }) => event === "log_line")
        .map(({ data }) => Number.parseInt(String(data.message), 10)),
    ).toEqual(Array.from({ length: Math.ceil(sent / 5_000) }, (_, n) => n * 5_000));
  });
});
