/** kill -9 of the services that publish, of the flusher and of the broker: what was committed, or confirmed, is in the queue. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { type ConsumeMessage, connect } from "amqplib";
import { Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import { createPublisher } from "../../bridge/publisher/publisher.ts";
import { temporaryFolder } from "../bin/cli.ts";
import { silent } from "../support/logger.ts";
import { type RunningProcess, start } from "../support/process.ts";
import { publishConfirmed, type RabbitMq, startRabbitMq, withChannel } from "../support/rabbitmq.ts";
import { missing } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { upTo } from "./lib/compare.ts";

const reason = missing("rabbitmq-server");
const SERVICE = fileURLToPath(new URL("lib/outbox-service.ts", import.meta.url));
const SERVICES = ["alpha", "beta"];
const KILLS = 6;

/** A broker with the exchange `events` and a quorum queue that takes all of it. */
async function startBroker(): Promise<RabbitMq> {
  const rabbit = await startRabbitMq();
  await withChannel(rabbit.url, async (channel) => {
    await channel.assertExchange("events", "topic");
    await channel.assertQueue("all", { arguments: { "x-queue-type": "quorum" } });
    await channel.bindQueue("all", "events", "#");
  });
  // RabbitMQ 3.10 writes down where a new quorum queue lies some time later: killed before, it never gets the queue up again.
  await rabbit.process().stop("SIGTERM");
  await rabbit.restart();
  return rabbit;
}

/** Everything in the queue, in order. */
async function takeAll(url: string): Promise<ConsumeMessage[]> {
  // The depth a quorum queue tells is some seconds old, so the last message says that it is.
  await publishConfirmed(url, "events", [{ routingKey: "the.very.last", body: "{}" }]);
  const connection = await connect(url);
  try {
    const channel = await connection.createChannel();
    const taken: ConsumeMessage[] = [];
    await channel.consume("all", (message) => message && taken.push(message), { noAck: true });
    const isLast = () => taken.at(-1)?.fields.routingKey === "the.very.last";
    await waitFor("the last message", isLast, { timeoutMs: 60_000 });
    return taken.slice(0, -1);
  } finally {
    await connection.close();
  }
}

/** Every id, and no other, in this order of their first arrivals. */
function expectAll(ids: readonly string[], arrived: readonly ConsumeMessage[]): void {
  const firsts = new Set(arrived.map(({ properties }) => properties.messageId as string));
  const sent = new Set(ids);
  const missing = ids.filter((id) => !firsts.has(id));
  const foreign = [...firsts].filter((id) => !sent.has(id));
  expect({ missing, foreign }).toEqual({ missing: [], foreign: [] });
  const outOfOrder = [...firsts].findIndex((id, index) => id !== ids[index]);
  expect([...firsts].slice(outOfOrder, outOfOrder + 5)).toEqual(
    outOfOrder < 0 ? [] : ids.slice(outOfOrder, outOfOrder + 5),
  );
}

describe.skipIf(reason)(
  `publisher, killed with -9${reason ? ` (${reason})` : ""}`,
  { timeout: 180_000 },
  () => {
    it("outbox: every committed order arrives, in the order of the commits; none that was rolled back does", async () => {
      using folder = temporaryFolder();
      await using rabbit = await startBroker();
      const file = join(folder.path, "orders.db");
      const services = new Map<string, RunningProcess>();
      const run = async (name: string) => {
        const service = start(process.execPath, [SERVICE, file, rabbit.url, name]);
        services.set(name, service);
        await waitFor(`${name} to be up`, () => {
          if (service.child.exitCode !== null) throw new Error(service.output());
          return service.output().includes("up");
        });
      };
      try {
        for (const name of SERVICES) await run(name);
        using database = new DatabaseSync(file, { timeout: 10_000 });
        const rows = (sent: "NULL" | "NOT NULL") => {
          const counted = database.prepare(
            `SELECT count(*) AS n FROM millrace_outbox WHERE sent_ms IS ${sent}`,
          );
          return counted.get()?.n as number;
        };
        for (let kill = 0; kill < KILLS; kill++) {
          const before = rows("NOT NULL");
          const isFlowing = () => rows("NOT NULL") > before + 200;
          await waitFor("messages to flow", isFlowing, { everyMs: 50, timeoutMs: 30_000 });
          // They take turns, so the one that is killed has taken over from the other one and is the flusher.
          const name = SERVICES[kill % 2]!;
          await services.get(name)!.stop("SIGKILL");
          if (kill % 3 === 2) await rabbit.restart();
          await run(name);
        }
        for (const service of services.values()) {
          await service.stop("SIGTERM");
          expect(service.output()).toContain("drained");
        }
        expect(rows("NULL")).toBe(0);
      } finally {
        for (const service of services.values()) await service.stop("SIGKILL");
      }

      const database = new DatabaseSync(file);
      const arrived = await takeAll(rabbit.url);
      let committed = 0;
      for (const name of SERVICES) {
        const orders = database.prepare("SELECT n FROM orders WHERE service = ? ORDER BY n").all(name);
        expectAll(
          orders.map(({ n }) => `${name}-${n}`),
          arrived.filter(({ fields }) => fields.routingKey === `orders.${name}.created`),
        );
        committed += orders.length;
      }
      database.close();
      console.log(`${committed} committed, ${arrived.length - committed} came twice, ${KILLS} kills`);
    });

    it("confirm: everything that resolved is in the queue, over two kills of the broker", async () => {
      await using rabbit = await startBroker();
      await using publisher = createPublisher({
        ...{
          amqpUrl: rabbit.url,
          appId: "shop",
          reliability: "confirm",
          logger: silent,
          registry: new Registry(),
        },
        retry: { timeoutMs: 60_000, baseMs: 20, maxMs: 500 },
      });
      const confirmed: number[] = [];
      let n = 0;
      let isStopping = false;
      const publish = async () => {
        while (!isStopping) {
          const own = ++n;
          await publisher.publish("orders.order.created", { n: own }, { messageId: `m-${own}` });
          confirmed.push(own);
        }
      };
      const publishing = Promise.all(Array.from({ length: 20 }, publish));
      // Awaited at the end; until then a failure must not end the process.
      publishing.catch(() => {});
      for (let kill = 0; kill < 2; kill++) {
        const before = confirmed.length;
        await waitFor("messages to be confirmed", () => confirmed.length > before + 500, {
          timeoutMs: 30_000,
        });
        await rabbit.restart();
      }
      const before = confirmed.length;
      await waitFor("messages to be confirmed again", () => confirmed.length > before + 200, {
        timeoutMs: 30_000,
      });
      isStopping = true;
      await publishing;
      expect(confirmed.toSorted((a, b) => a - b)).toEqual(upTo(n));
      const arrived = await takeAll(rabbit.url);
      expectAll(
        upTo(n).map((own) => `m-${own}`),
        arrived,
      );
      console.log(`${n} confirmed, ${arrived.length - n} came twice, 2 kills of the broker`);
    });
  },
);
