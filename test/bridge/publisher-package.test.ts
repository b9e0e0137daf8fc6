/** What a user installs: the packed package in a folder of its own, under the oldest Node it promises to run on. */
import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../bin/cli.ts";
import { startRabbitMq, withChannel } from "../support/rabbitmq.ts";
import { missing } from "../support/servers.ts";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const OLDEST = "20";

/** The first Node of that version on PATH. */
async function findNode(major: string): Promise<string | undefined> {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    const path = join(folder, "node");
    const version = await run(path, ["--version"]).catch(() => undefined);
    if (version?.stdout.startsWith(`v${major}.`)) return path;
  }
  return undefined;
}

/** Five lines, as the README has them. */
const SERVICE = `
import { createPublisher } from "millrace/publisher";
const publisher = createPublisher({ amqpUrl: process.env.AMQP_URL, appId: "shop", reliability: "confirm" });
await publisher.publish("orders.order.created", { companyId: "acme", total: 5 }, { messageId: "order-7" });
console.log(process.version, JSON.stringify(publisher.health()));
await publisher.close();
`;

/** Checked as a user's compiler sees it. */
const TYPED = `
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

describe("millrace/publisher, packed and installed", { timeout: 120_000 }, () => {
  const folder = temporaryFolder();
  const packages = join(folder.path, "node_modules");
  beforeAll(async () => {
    await run("npm", ["pack", "--pack-destination", folder.path, "--loglevel=error"], { cwd: ROOT });
    // As npm would install it, but for the packages it needs, which are here already.
    mkdirSync(join(packages, "millrace"), { recursive: true });
    const tarball = readdirSync(folder.path).find((name) => name.endsWith(".tgz"))!;
    const to = ["-C", join(packages, "millrace"), "--strip-components=1"];
    await run("tar", ["-xzf", join(folder.path, tarball), ...to]);
    const needed = ["amqplib", "prom-client", "@opentelemetry/api", "pino", "pino-pretty", "@types/node"];
    for (const name of needed) {
      mkdirSync(dirname(join(packages, name)), { recursive: true });
      symlinkSync(join(ROOT, "node_modules", name), join(packages, name));
    }
    writeFileSync(join(folder.path, "package.json"), '{"type":"module"}');
    writeFileSync(join(folder.path, "service.js"), SERVICE);
    writeFileSync(join(folder.path, "typed.ts"), TYPED);
  }, 120_000);
  afterAll(() => folder[Symbol.dispose]());

  it(`publishes with confirm from Node ${OLDEST}`, async (context) => {
    const node = await findNode(OLDEST);
    const reason = missing("rabbitmq-server") ?? (node ? undefined : `no Node ${OLDEST} on PATH`);
    if (reason) return context.skip(reason);
    await using rabbit = await startRabbitMq();
    await withChannel(rabbit.url, async (channel) => {
      await channel.assertExchange("events", "topic");
      await channel.assertQueue("all");
      await channel.bindQueue("all", "events", "#");
    });
    const { stdout, stderr } = await run(node!, ["service.js"], {
      cwd: folder.path,
      env: { AMQP_URL: rabbit.url },
    });
    expect(stderr).toMatch(/^{"level":"info",.*"msg":"Publisher is connected"}\n$/);
    expect(stdout).toMatch(new RegExp(`^v${OLDEST}\\..* {"status":"up","held":0}`));
    const message = await withChannel(rabbit.url, (channel) => channel.get("all", { noAck: true }));
    expect(message).toMatchObject({
      fields: { routingKey: "orders.order.created" },
      properties: { messageId: "order-7", appId: "shop" },
    });
  });

  it("has types that a strict compiler takes", async () => {
    const options = ["--ignoreConfig", "--noEmit", "--strict", "--exactOptionalPropertyTypes"];
    const modules = ["--module", "nodenext", "--target", "es2024", "--types", "node"];
    const compiled = run(join(ROOT, "node_modules/.bin/tsc"), ["typed.ts", ...options, ...modules], {
      cwd: folder.path,
    }).catch(({ stdout }) => stdout as string);
    expect(await compiled).toMatchObject({ stdout: "" });
  });
});
