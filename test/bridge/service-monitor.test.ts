/** `millrace/services` against a real Redis. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { promisify } from "node:util";
import { createClient } from "redis";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { mendChannelData } from "../../bridge/service-channels.ts";
import type { RedisPublisher, ServiceMonitorOptions } from "../../bridge/service-monitor/options.ts";
import { createServiceMonitor } from "../../bridge/service-monitor/service-monitor.ts";
import { startProxy } from "../faults/lib/proxy.ts";
import { silent } from "../support/logger.ts";
import { freePort } from "../support/process.ts";
import { missing, startRedis, type TestServer } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";

const MONITOR = new URL("../../bridge/service-monitor/service-monitor.ts", import.meta.url).href;

const connectClient = (url: string) =>
  createClient({ url })
    .on("error", () => {})
    .connect();

interface Heard {
  readonly channel: string;
  readonly isMended: boolean;
  // biome-ignore lint/suspicious/noExplicitAny: JSON, as it came.
  readonly said: any;
}

describe("createServiceMonitor", () => {
  let server: TestServer;
  const why = missing("redis-server");
  beforeEach((context) => {
    if (why) context.skip(why);
  });
  beforeAll(async () => {
    if (!why) server = await startRedis();
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });

  /** What is published from now on. */
  const listen = async (url = server.url) => {
    const heard: Heard[] = [];
    const client = await connectClient(url);
    onTestFinished(() => client.destroy());
    await client.pSubscribe(["service:*", "logs:*"], (text, channel) => {
      // As the bridge stores it.
      const stored = mendChannelData(text, channel);
      heard.push({ channel, said: JSON.parse(stored), isMended: stored !== text });
    });
    const on = (channel: string) => heard.filter((one) => one.channel === channel).map(({ said }) => said);
    return { on, heard, statuses: () => on("service:all"), lines: () => on("logs:all") };
  };
  const open = (options: Partial<ServiceMonitorOptions> = {}) => {
    const monitor = createServiceMonitor({ redis: server.url, name: "sync", logger: silent, ...options });
    onTestFinished(() => monitor.close({ timeoutMs: 100 }));
    return monitor;
  };

  it("status: on service:all, at once and as it changes, with what else is said", async () => {
    const { statuses } = await listen();
    const monitor = open({ intervalSeconds: 30 });
    await waitFor("the first", () => statuses().length === 1);
    const known = { service: "sync", interval: 30, ts: expect.stringMatching(/^20.+Z$/) };
    const messageId = expect.any(String);
    expect(statuses()).toEqual([{ state: "idle", ...known, messageId }]);
    monitor.status({ state: "running", queueSize: 7, sms: { sent: 1 }, service: "other", companyId: "acme" });
    monitor.progress(3, 10);
    // In one with the state, unless that was 200 ms after the first.
    const second = await waitFor("the progress", () => statuses().find(({ progress }) => progress));
    expect(statuses().length).toBeLessThanOrEqual(3);
    const [first] = statuses();
    const said = { state: "running", queueSize: 7, sms: { sent: 1 }, progress: { done: 3, total: 10 } };
    expect(second).toEqual({ ...said, ...known, messageId });
    expect(second.messageId).not.toBe(first.messageId);
  });

  it("status: of a thousand changes the last arrives, and few of the others", async () => {
    const { statuses } = await listen();
    const monitor = open();
    for (let n = 1; n <= 1_000; n++) monitor.progress(n, 1_000);
    await waitFor("the last", () => statuses().at(-1)?.progress?.done === 1_000);
    expect(statuses().length).toBeLessThanOrEqual(3);
  });

  it("status: a member that cannot be JSON says so, and costs the others nothing", async () => {
    const { statuses } = await listen();
    const monitor = open();
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    monitor.status({ cycle, huge: "x".repeat(200_000), state: "running", big: 12n, run: () => {} });
    const status = await waitFor("it", () => statuses().find(({ state }) => state === "running"));
    expect(status).toMatchObject({
      ...{ cycle: expect.stringMatching(/^left out: Converting circular/), big: "12" },
      huge: "left out: 200002 characters",
    });
    expect(status).not.toHaveProperty("run");
    monitor.status({ cycle: undefined, huge: undefined, state: undefined, big: undefined });
    await waitFor("the next", () => statuses().at(-1)?.state === "unknown");
  });

  it("heartbeat: a status at least every interval", async () => {
    const { statuses } = await listen();
    open({ intervalSeconds: 1 });
    await waitFor("three", () => statuses().length === 3);
    const [first, , third] = statuses().map(({ ts }) => Date.parse(ts));
    expect(third! - first!).toBeGreaterThan(1_800);
    expect(new Set(statuses().map(({ state }) => state))).toEqual(new Set(["idle"]));
  });

  it("log: on logs:all and logs:<name>, fields apart, errors and what is no text as text", async () => {
    const { lines, on, heard } = await listen();
    const { log } = open();
    log.info("synced", { companyId: "acme", id: 7, error: new TypeError("no"), big: 1n });
    log.debug("d".repeat(20_000));
    log.warn(new Error("thrown") as never);
    log.error(undefined as never, "odd" as never);
    await waitFor("them", () => on("logs:sync").length === 4);
    expect(lines()).toEqual(on("logs:sync"));
    const shape = { ts: expect.any(String), service: "sync", messageId: expect.any(String) };
    const fields = { companyId: "acme", id: 7, error: "TypeError: no", big: "1" };
    expect(lines()).toEqual([
      { ...shape, level: "info", message: "synced", fields },
      { ...shape, level: "debug", message: expect.stringMatching(/^d{8000,}… \[\d+ characters cut\]$/) },
      { ...shape, level: "warn", message: "Error: thrown" },
      { ...shape, level: "error", message: "null", fields: "odd" },
    ]);
    expect(new Set(lines().map(({ messageId }) => messageId)).size).toBe(4);
    expect(heard.filter(({ isMended }) => isMended)).toEqual([]);
  });

  it("run: running, then idle, and when it began and how long it took", async () => {
    const { statuses } = await listen();
    const monitor = open();
    const done = monitor.run(async () => {
      await waitFor("running", () => statuses().at(-1)?.state === "running");
      monitor.progress(1, 2);
      await waitFor("progress", () => statuses().at(-1)?.progress !== undefined);
      return 42;
    });
    expect(await done).toBe(42);
    await waitFor("idle", () => statuses().at(-1)?.state === "idle");
    const { lastRun, durationMs, ts } = statuses().at(-1);
    expect(Date.parse(ts) - Date.parse(lastRun)).toBeGreaterThanOrEqual(durationMs);
    expect(durationMs).toBeGreaterThan(0);
    const next = monitor.run(() => waitFor("a fresh one", () => !("progress" in statuses().at(-1))));
    await next;
  });

  it("run: failed, with a line, and the caller gets the error", async () => {
    const { statuses, lines } = await listen();
    const monitor = open();
    const error = new Error("ledger away");
    await expect(
      monitor.run(() => {
        throw error;
      }),
    ).rejects.toBe(error);
    await waitFor("failed", () => statuses().at(-1)?.state === "failed");
    expect(lines()).toMatchObject([
      { level: "error", message: expect.stringMatching(/^Run failed after \d+ ms: ledger away$/) },
    ]);
    await monitor.run(() => {});
    await waitFor("idle", () => statuses().at(-1)?.state === "idle");
  });

  it("run: of two at the same time the last to end says the state", async () => {
    const { statuses } = await listen();
    const monitor = open();
    const slow = Promise.withResolvers<void>();
    const running = monitor.run(() => slow.promise);
    await monitor.run(() => {});
    await waitFor("still running", () => statuses().at(-1)?.durationMs !== undefined);
    expect(statuses().at(-1).state).toBe("running");
    slow.resolve();
    await running;
    await waitFor("idle", () => statuses().at(-1)?.state === "idle");
  });

  it("limit: what is over it is left out, and said", async () => {
    const { lines } = await listen();
    const monitor = open({ maxLinesPerSecond: 20 });
    for (let n = 0; n < 1_000; n++) monitor.log.info(`line ${n}`);
    await waitFor("the rest is told", () => lines().at(-1)?.level === "warn");
    const told = Number(/^(\d+) lines left out: over 20 a second$/.exec(lines().at(-1).message)![1]);
    expect(lines().length - 1 + told).toBe(1_000);
    expect(told).toBeGreaterThan(850);
    expect(monitor.health()).toMatchObject({ status: "up", leftOutLines: told });
  });

  it("close: says stopped and what was left out, sends what is held, and takes nothing more", async () => {
    const { statuses, lines } = await listen();
    const monitor = open({ maxLinesPerSecond: 100 });
    for (let n = 0; n < 600; n++) monitor.log.info(`line ${n}`);
    await monitor.close({ timeoutMs: 20_000 });
    monitor.log.info("late");
    monitor.status({ state: "late" });
    await monitor.close();
    const last = await waitFor("the last line", () => lines().find(({ level }) => level === "warn"));
    // 500 at once, and one more for every 10 ms that saying them took.
    const sent = lines().length - 1;
    expect(sent).toBeGreaterThanOrEqual(500);
    expect(sent).toBeLessThan(600);
    expect(last.message).toBe(`${600 - sent} lines left out: over 100 a second`);
    expect(lines().at(-1)).toBe(last);
    await waitFor("stopped", () => statuses().at(-1)?.state === "stopped");
    expect(monitor.health()).toMatchObject({ status: "closed", heldLines: 0 });
  });

  it.each(["its own connection", "the service's client"])(
    "Redis away, %s: nothing waits; what fits comes when it is back, in order, and the rest is said",
    async (whose) => {
      await using proxy = await startProxy(server.port, "up");
      const url = `redis://127.0.0.1:${proxy.port}`;
      const client = whose === "its own connection" ? undefined : await connectClient(url);
      onTestFinished(() => client?.destroy());
      const { statuses, lines } = await listen();
      const monitor = open({ redis: client ?? url, maxLinesPerSecond: 1_000 });
      await waitFor("it is up", () => monitor.health().status === "up");
      proxy.hold("up");
      const startMs = performance.now();
      for (let n = 0; n < 1_500; n++) monitor.log.info(`line ${n}`);
      monitor.status({ state: "running", processed: 1 });
      expect(performance.now() - startMs).toBeLessThan(1_000);
      await waitFor("a batch on its way", () => monitor.health().heldLines < 1_000);
      monitor.status({ processed: 2 });
      await proxy.cut();
      const notice = await waitFor("the notice", () => lines().find(({ level }) => level === "warn"));
      const lost = Number(/^(\d+) lines left out: Redis was away$/.exec(notice.message)![1]);
      await waitFor("the rest", () => lines().length === 1_500 - lost + 1);
      const heard = lines().flatMap(({ level, message }) => (level === "info" ? [message] : []));
      expect(lost).toBeGreaterThan(300);
      expect(heard).toEqual(Array.from({ length: 1_500 - lost }, (_, n) => `line ${n + lost}`));
      expect(monitor.health()).toMatchObject({ status: "up", heldLines: 0, leftOutLines: lost });
      await waitFor("the status", () => statuses().at(-1)?.processed === 2);
    },
  );

  it("Redis that hangs: down, and up again by itself", async () => {
    await using hung = await startRedis();
    const monitor = open({ redis: hung.url, intervalSeconds: 1 });
    await waitFor("it is up", () => monitor.health().status === "up");
    hung.process().child.kill("SIGSTOP");
    onTestFinished(() => {
      hung.process().child.kill("SIGCONT");
    });
    await waitFor("it is down", () => monitor.health().status === "down", { timeoutMs: 25_000 });
    expect(monitor.health().lastError).toMatch(
      /^Cannot publish to Redis "127\.0\.0\.1:\d+": no answer in 5000 ms/,
    );
    hung.process().child.kill("SIGCONT");
    await waitFor("it is up again", () => monitor.health().status === "up", { timeoutMs: 20_000 });
  }, 60_000);

  it("Redis that is not there: down, and why, without the password", async () => {
    const monitor = open({ redis: `redis://:hunter2@127.0.0.1:${await freePort()}` });
    await waitFor("it is down", () => monitor.health().status === "down");
    expect(monitor.health().lastError).toMatch(/^Cannot connect to Redis "127\.0\.0\.1:\d+": .*ECONNREFUSED/);
    expect(monitor.health().lastError).not.toContain("hunter2");
  });

  it.each([
    [
      "throws",
      () => {
        throw new Error("not connected");
      },
    ],
    ["rejects", () => Promise.reject(new Error("offline"))],
  ])("a client that %s: told once, and nothing else comes of it", async (_, publish) => {
    const warned: object[] = [];
    const logger = { ...silent, warn: (fields: object) => void warned.push(fields) };
    const monitor = open({ redis: { publish }, logger });
    monitor.log.info("one");
    await waitFor("it is down", () => monitor.health().status === "down");
    monitor.log.info("two");
    await monitor.close({ timeoutMs: 300 });
    expect(warned).toEqual([{ service: "sync", error: expect.stringMatching(/not connected|offline/) }]);
  });

  it("nothing that is thrown at it, by what it is told, the logger or the client, comes back to the service", async () => {
    const { lines, statuses } = await listen();
    const unhandled: unknown[] = [];
    const onUnhandled = (error: unknown) => void unhandled.push(error);
    process.on("unhandledRejection", onUnhandled);
    onTestFinished(() => void process.off("unhandledRejection", onUnhandled));
    const no = (): never => {
      throw new Error("thrown");
    };
    const client = await connectClient(server.url);
    onTestFinished(() => client.destroy());
    let tries = 0;
    const redis: RedisPublisher = {
      publish(channel, message) {
        tries++;
        if (tries === 1) return Promise.reject(Object.create(null));
        if (tries === 3) return Promise.reject(new Error("offline"));
        if (tries === 4) no();
        return client.publish(channel, message);
      },
    };
    const logger = { ...silent, warn: no, info: () => Promise.reject(new Error("rejected")) as never };
    const monitor = open({ redis, logger });
    const revoked = Proxy.revocable({}, {});
    revoked.revoke();
    const odd = Object.assign(new Error(), { message: Object.create(null) });
    const hostile = [
      ...[odd, revoked.proxy, Object.create(null), Symbol("s"), undefined, null, [1], "text", 1n],
      ...[
        { toJSON: () => no() },
        { toString: no },
        Object.defineProperty(new Error(), "message", { get: no }),
      ],
    ];
    for (const value of hostile) {
      monitor.log.error(value as never, value as never);
      monitor.status(value as never);
      const got = monitor.run(() => {
        throw value;
      });
      await got.then(no, (error) => expect(Object.is(error, value)).toBe(true));
    }
    const getter = { state: "odd", processed: 1 };
    monitor.status(Object.defineProperty(getter, "queueSize", { enumerable: true, get: no }));
    await waitFor("the status", () => statuses().at(-1)?.queueSize === "left out: cannot be read");
    expect(statuses().at(-1)).toMatchObject({ state: "odd", processed: 1 });
    // What was published on one of its channels before the other failed comes once more.
    const ids = () => new Set(lines().map(({ messageId }) => messageId));
    await waitFor("every line", () => ids().size === 2 * hostile.length);
    expect(monitor.health()).toMatchObject({ status: "up", lastError: undefined });
    await monitor.close();
    expect(unhandled).toEqual([]);
  });

  it("status: members are of a bounded number, and a line says so once", async () => {
    const { statuses, lines } = await listen();
    const monitor = open();
    const startMs = performance.now();
    for (let n = 0; n < 4_000; n++) monitor.status({ [`account-${n}`]: "of some length ".repeat(5) });
    expect(performance.now() - startMs).toBeLessThan(1_000);
    monitor.status({ state: "full", ["n".repeat(65)]: 1 });
    const status = await waitFor("it", () => statuses().find(({ state }) => state === "full"));
    expect(Object.keys(status)).toHaveLength(104);
    expect(JSON.stringify(status).length).toBeLessThan(48 * 1024);
    // What is no longer said makes room.
    monitor.status({ "account-0": undefined, queueSize: 7 });
    await waitFor("the next", () => statuses().at(-1)?.queueSize === 7);
    expect(statuses().at(-1)).not.toHaveProperty("account-0");
    expect(lines()).toMatchObject([
      { level: "warn", message: expect.stringMatching(/^Status members left out/) },
    ]);
  });

  it("a Redis that takes the connection and never answers keeps no script alive that has ended", async () => {
    const mute = createServer(() => {}).listen(0, "127.0.0.1");
    onTestFinished(() => void mute.close());
    await once(mute, "listening");
    const { port } = mute.address() as AddressInfo;
    const script = `
      const { createServiceMonitor } = await import(${JSON.stringify(MONITOR)});
      const monitor = createServiceMonitor({ redis: "redis://127.0.0.1:${port}", name: "brief" });
      monitor.log.info("hi");
      setTimeout(() => console.log("done"), 300);`;
    const args = ["--input-type=module", "--eval", script];
    const startMs = performance.now();
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 20_000 });
    expect(stdout).toBe("done\n");
    expect(performance.now() - startMs).toBeLessThan(5_000);
  }, 30_000);

  it("a client that never answers: it is given a bounded number of messages, and close does not wait for it", async () => {
    let given = 0;
    const redis: RedisPublisher = {
      publish() {
        given++;
        return new Promise(() => {});
      },
    };
    const monitor = open({ redis, maxLinesPerSecond: 10_000 });
    for (let n = 0; n < 5_000; n++) monitor.log.info(`line ${n}`);
    await waitFor("some", () => given > 0);
    await monitor.close({ timeoutMs: 200 });
    expect(given).toBeLessThanOrEqual(200);
    expect(monitor.health().heldLines).toBeLessThanOrEqual(1_000);
  });

  it.each([
    [
      { name: "Balance Sync" },
      'name: "Balance Sync", expected 1-64 characters of A-Z a-z 0-9 . _ -, and not all',
    ],
    [{ name: "all" }, 'name: "all"'],
    [{ redis: "http://:hunter2@h" }, "redis: no such URL, expected redis:// or rediss://, or a client"],
    [{ redis: {} as RedisPublisher }, "redis: nothing with a method publish"],
    [{ intervalSeconds: 0 }, "intervalSeconds: 0, expected seconds from 1 to 86400"],
    [{ maxLinesPerSecond: Number.NaN }, "maxLinesPerSecond: NaN, expected lines from 1 to 1000000"],
  ])("refuses %j", (options, message) => {
    const run = () => open(options);
    expect(run).toThrow(`Cannot create a service monitor: ${message}`);
    expect(run).not.toThrow("hunter2");
  });
});
