/** What a user installs: the packed package in a folder of its own, under the oldest Node its libraries promise to run on. */
import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { createClient } from "redis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../bin/cli.ts";
import { startMillrace } from "../browser/browser.ts";
import { startRabbitMq, withChannel } from "../support/rabbitmq.ts";
import { missing, startRedis } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const run = promisify(execFile);
/** The oldest Node the libraries promise to run on. */
const OLDEST_NODE = "20";

/** As npm would install it, but for the packages it needs, which are here already. */
async function installPacked(folder: string, needed: readonly string[]): Promise<void> {
  const packages = join(folder, "node_modules");
  await run("npm", ["pack", "--pack-destination", folder, "--loglevel=error"], { cwd: ROOT });
  mkdirSync(join(packages, "millrace"), { recursive: true });
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"))!;
  const to = ["-C", join(packages, "millrace"), "--strip-components=1"];
  await run("tar", ["-xzf", join(folder, tarball), ...to]);
  for (const name of needed) {
    mkdirSync(dirname(join(packages, name)), { recursive: true });
    symlinkSync(join(ROOT, "node_modules", name), join(packages, name));
  }
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
}

/** The first Node of that version on PATH. */
async function findNode(major: string): Promise<string | undefined> {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    const path = join(folder, "node");
    const version = await run(path, ["--version"]).catch(() => undefined);
    if (version?.stdout.startsWith(`v${major}.`)) return path;
  }
  return undefined;
}

/** What a user's strict compiler says of a file in the folder; empty when it takes it. */
async function compileStrictly(folder: string, file: string): Promise<string> {
  const options = ["--ignoreConfig", "--noEmit", "--strict", "--exactOptionalPropertyTypes"];
  const modules = ["--module", "nodenext", "--target", "es2024", "--types", "node"];
  const tsc = join(ROOT, "node_modules/.bin/tsc");
  const said = await run(tsc, [file, ...options, ...modules], { cwd: folder }).catch(
    (failed: { stdout: string }) => failed,
  );
  return said.stdout;
}

/** Five lines, as the README has them. */
const PUBLISHER = `
import { createPublisher } from "millrace/publisher";
const publisher = createPublisher({ amqpUrl: process.env.AMQP_URL, appId: "shop", reliability: "confirm" });
await publisher.publish("orders.order.created", { companyId: "acme", total: 5 }, { messageId: "order-7" });
console.log(process.version, JSON.stringify(publisher.health()));
await publisher.close();
`;

/** Checked as a user's compiler sees it. */
const PUBLISHER_TYPED = `
import { DatabaseSync } from "node:sqlite";
import { createPublisher, MillraceError, type Publisher } from "millrace/publisher";
const database = new DatabaseSync(":memory:");
const publisher: Publisher = createPublisher({
  amqpUrl: "amqp://localhost", appId: "shop", reliability: "outbox", outbox: { database },
});
// What @types/better-sqlite3 says of a Database.
declare const other: { prepare<P extends unknown[]>(sql: string): { run(...p: P): { changes: number }; all(...p: P): unknown[] } };
createPublisher({ amqpUrl: "", appId: "", reliability: "outbox", outbox: { database: other } });
const taken: Promise<boolean> = publisher.publish("a.b.c", { n: 1 });
// @ts-expect-error a payload is an object
publisher.publish("a.b.c", "text");
export const code = (error: unknown) => (error instanceof MillraceError ? error.code : taken);
`;

/** As docs/services.md has it, but that one run is enough. Nothing in it ends the process: the monitor must not keep it alive. */
const SERVICES = `
import { createServiceMonitor } from "millrace/services";
const monitor = createServiceMonitor({ redis: process.env.REDIS_URL, name: "invoice-export", intervalSeconds: 30 });
await monitor.run(async () => {
  monitor.progress(1, 1);
  monitor.log.info("exported 1 invoice", { invoice: "I-7" });
});
monitor.status({ processed: 1, queueSize: 0 });
if (process.env.CLOSE) await monitor.close();
console.log(process.version);
`;

/** Checked as a user's compiler sees it. */
const SERVICES_TYPED = `
import { createClient } from "redis";
import { createServiceMonitor, MillraceError, type ServiceMonitor } from "millrace/services";
const monitor: ServiceMonitor = createServiceMonitor({ redis: createClient(), name: "a" });
// What ioredis says of its own.
declare const other: {
  publish(channel: string | Buffer, message: string | Buffer, callback?: (error?: Error | null, result?: number) => void): Promise<number>;
};
createServiceMonitor({ redis: other, name: "a", intervalSeconds: 30, maxLinesPerSecond: 10 });
monitor.status({ state: "waiting for the bank", queueSize: 3, region: "eu" });
const result: Promise<number> = monitor.run(async () => 5);
// @ts-expect-error a message is text
monitor.log.info(5);
export const code = (error: unknown) => (error instanceof MillraceError ? error.code : result);
`;

/** In Node too there is a `fetch`. */
const CLIENT = `
import { subscribe } from "millrace/client";
const subscription = subscribe({
  url: process.env.MILLRACE_URL,
  companyId: "acme",
  onEvent({ companyId }) {
    console.log(process.version, companyId);
    subscription.close();
  },
});
`;

/** Checked as a user's compiler sees it. */
const CLIENT_TYPED = `
import { openStream, type Stream, subscribe, type Subscription, type SubscriptionState } from "millrace/client";
const subscription: Subscription = subscribe<{ total: number }>({
  url: new URL("https://events.example.com"),
  companyId: "acme",
  types: ["order.created"],
  getToken: async () => "token",
  onEvent: ({ data, cursor }) => console.log(data.total.toFixed(2), cursor),
  onGap: ({ reason }) => console.log(reason),
  onState(state: SubscriptionState) {
    if (state.kind === "live") console.log(state.transport, state.shared);
    else if (state.kind === "refused") console.log(state.status, state.reason);
  },
});
subscription.close();
export const stream: Stream = openStream("/stream/dashboard", { onMessage: ({ data }) => JSON.parse(data), onState() {} });
// @ts-expect-error whose events must be said
subscribe({ url: "", onEvent() {} });
`;

const REACT = `
import { createElement } from "react";
import { renderToString } from "react-dom/server";
import { useEventStream } from "millrace/react";
const Events = () => createElement("p", null, String(useEventStream({ companyId: "acme" }).connected));
console.log(process.version, renderToString(createElement(Events)));
`;

/** Checked as a user's compiler sees it. */
const REACT_TYPED = `
import { type EventStream, useEventStream } from "millrace/react";
export function useTotal(companyId: string): number {
  const stream: EventStream<{ total: number }> = useEventStream<{ total: number }>({ companyId, types: ["order.created"] });
  return stream.connected ? (stream.lastEvent?.data.total ?? 0) : Number.NaN;
}
`;

/** Bytes: what a page is ready to load for it. */
const MOST_CLIENT_BYTES = 6 * 1024;

const NEEDED = [
  ...[
    "amqplib",
    "prom-client",
    "@opentelemetry/api",
    "pino",
    "pino-pretty",
    "redis",
    "@redis",
    "@types/node",
    ...["react", "react-dom", "scheduler", "@types/react", "csstype"],
  ],
];

describe("packed and installed", { timeout: 120_000 }, () => {
  const folder = temporaryFolder();
  beforeAll(async () => {
    await installPacked(folder.path, NEEDED);
    writeFileSync(join(folder.path, "publisher.js"), PUBLISHER);
    writeFileSync(join(folder.path, "publisher-typed.ts"), PUBLISHER_TYPED);
    writeFileSync(join(folder.path, "services.js"), SERVICES);
    writeFileSync(join(folder.path, "services-typed.ts"), SERVICES_TYPED);
    writeFileSync(join(folder.path, "client.js"), CLIENT);
    writeFileSync(join(folder.path, "client-typed.ts"), CLIENT_TYPED);
    writeFileSync(join(folder.path, "react.js"), REACT);
    writeFileSync(join(folder.path, "react-typed.ts"), REACT_TYPED);
  }, 120_000);
  afterAll(() => folder[Symbol.dispose]());

  describe("millrace/publisher", () => {
    it(`publishes with confirm from Node ${OLDEST_NODE}`, async (context) => {
      const node = await findNode(OLDEST_NODE);
      const reason = missing("rabbitmq-server") ?? (node ? undefined : `no Node ${OLDEST_NODE} on PATH`);
      if (reason) return context.skip(reason);
      await using rabbit = await startRabbitMq();
      await withChannel(rabbit.url, async (channel) => {
        await channel.assertExchange("events", "topic");
        await channel.assertQueue("all");
        await channel.bindQueue("all", "events", "#");
      });
      const { stdout, stderr } = await run(node!, ["publisher.js"], {
        cwd: folder.path,
        env: { AMQP_URL: rabbit.url },
      });
      expect(stderr).toMatch(/^{"level":"info",.*"msg":"Publisher is connected"}\n$/);
      expect(stdout).toMatch(new RegExp(`^v${OLDEST_NODE}\\..* {"status":"up","held":0}`));
      const message = await withChannel(rabbit.url, (channel) => channel.get("all", { noAck: true }));
      expect(message).toMatchObject({
        fields: { routingKey: "orders.order.created" },
        properties: { messageId: "order-7", appId: "shop" },
      });
    });

    it("has types that a strict compiler takes", async () => {
      expect(await compileStrictly(folder.path, "publisher-typed.ts")).toBe("");
    });
  });

  describe("millrace/services", () => {
    it(`says how it is from Node ${OLDEST_NODE}, and ends with its service`, async (context) => {
      const node = await findNode(OLDEST_NODE);
      const reason = missing("redis-server") ?? (node ? undefined : `no Node ${OLDEST_NODE} on PATH`);
      if (reason) return context.skip(reason);
      await using server = await startRedis();
      const heard: { channel: string; said: Record<string, unknown> }[] = [];
      const client = await createClient({ url: server.url }).connect();
      await client.pSubscribe(["service:*", "logs:*"], (text, channel) => {
        heard.push({ channel, said: JSON.parse(text) });
      });
      const serve = (more: Record<string, string>) =>
        run(node!, ["services.js"], { cwd: folder.path, env: { REDIS_URL: server.url, ...more } });
      const { stdout, stderr } = await serve({ CLOSE: "yes" });
      expect([stdout.slice(0, 3), stderr]).toEqual([`v${OLDEST_NODE}`, ""]);
      const last = await waitFor("stopped", () => heard.findLast(({ said }) => said.state === "stopped"));
      expect(last).toMatchObject({
        channel: "service:all",
        said: { service: "invoice-export", interval: 30, processed: 1, queueSize: 0 },
      });
      const lines = heard.filter(({ channel }) => channel.startsWith("logs:"));
      expect(new Set(lines.map(({ channel }) => channel))).toEqual(
        new Set(["logs:all", "logs:invoice-export"]),
      );
      expect(lines[0]!.said).toMatchObject({
        ...{ level: "info", service: "invoice-export", message: "exported 1 invoice" },
        fields: { invoice: "I-7" },
      });
      // Without close: what is on its way may be lost, and the process ends all the same.
      expect((await serve({})).stdout).toMatch(/^v/);
      client.destroy();
    });

    it("has types that a strict compiler takes", async () => {
      expect(await compileStrictly(folder.path, "services-typed.ts")).toBe("");
    });
  });

  describe("millrace/client", () => {
    it(`hears of an event from Node ${OLDEST_NODE}`, async (context) => {
      const node = await findNode(OLDEST_NODE);
      if (!node) return context.skip(`no Node ${OLDEST_NODE} on PATH`);
      await using millrace = await startMillrace();
      const env = { MILLRACE_URL: millrace.url };
      const { stdout, stderr } = await run(node, ["client.js"], { cwd: folder.path, env });
      expect([stdout.slice(0, 3), stdout.slice(-6), stderr]).toEqual([`v${OLDEST_NODE}`, " acme\n", ""]);
    });

    it(`is under ${MOST_CLIENT_BYTES} bytes compressed, all of it`, () => {
      const bundle = readFileSync(join(folder.path, "node_modules/millrace/dist/client.js"), "utf8");
      expect(gzipSync(bundle, { level: 9 }).length).toBeLessThan(MOST_CLIENT_BYTES);
      expect(bundle).not.toMatch(/\bimport\b/);
    });

    it("has types that a strict compiler takes", async () => {
      expect(await compileStrictly(folder.path, "client-typed.ts")).toBe("");
    });
  });

  describe("millrace/react", () => {
    it("renders on a server, with the user's own React", async () => {
      const { stdout } = await run(process.execPath, ["react.js"], { cwd: folder.path });
      expect(stdout).toMatch(/<p>false<\/p>\n$/);
      expect(readFileSync(join(folder.path, "node_modules/millrace/dist/react.js"), "utf8")).toMatch(
        /from"react";import\{subscribe as \w+\}from"\.\/client\.js"/,
      );
    });

    it("has types that a strict compiler takes", async () => {
      expect(await compileStrictly(folder.path, "react-typed.ts")).toBe("");
    });
  });
});
