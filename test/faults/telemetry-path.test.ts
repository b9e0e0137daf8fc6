/**
 * A CSV file through broker and bridge to the metrics API, while the bridge and the store's server are killed with -9. What a consumer with
 * acks was given and had not stored comes again; what a broadcast lost comes with the file, sent again.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { missingMongoDb, startMongoDb, type TestMongoDb } from "../support/mongodb.ts";
import { waitFor } from "../support/wait.ts";
import { type BridgeProcess, startBridge, startBroker, startServe } from "./lib/millrace.ts";
import { expectRows, produceFile, type TelemetryFile, writeTelemetry } from "./lib/telemetry.ts";

const ROWS = 1200;
const PER_SECOND = 300;
const KILLS = 4;
/** Neither Redis nor a bridge's own settings: the log is in the file's DATA_DIR. */
const EMBEDDED_LOG = "";

type Broker = Awaited<ReturnType<typeof startBroker>>;

const source = (broker: Broker, acks: boolean) => ({
  ...{ name: "gpus", kind: "framed-tcp", address: `127.0.0.1:${broker.port}`, acks },
});

/** Waits until so many more messages have come to the broker, or all. */
async function flow(broker: Broker, more: number): Promise<void> {
  const { messagesIn } = await broker.stats();
  const target = Math.min(ROWS, messagesIn + more);
  await waitFor("messages to flow", async () => (await broker.stats()).messagesIn >= target);
}

async function killAndStart(bridge: BridgeProcess): Promise<void> {
  await bridge.kill();
  bridge.start();
  await bridge.connected();
}

interface Store {
  readonly name: string;
  /** Of a server; absent where the store is embedded. */
  readonly mongo?: () => TestMongoDb;
  env(file: TelemetryFile): Record<string, string>;
}

function describePath({ name, mongo, env: envOf }: Store): void {
  describe(`CSV to metrics API, ${name}`, { timeout: 180_000 }, () => {
    it("queue with acks: every row once with its values, through kill -9 of bridge and store", async () => {
      using file = writeTelemetry(ROWS);
      const env = envOf(file);
      await using broker = await startBroker("queue");
      await using bridge = await startBridge(EMBEDDED_LOG, [source(broker, true)], env);
      await using serve = await startServe(env);
      const producer = produceFile(file, broker.port, PER_SECOND);
      for (let kill = 0; kill < KILLS; kill++) {
        await flow(broker, 150);
        await killAndStart(bridge);
        if (!mongo || kill % 2 === 0) continue;
        await mongo().kill();
        await flow(broker, 60);
        // One while it is away as well: what was not stored is with neither of them then.
        if (kill === 1) await killAndStart(bridge);
        const isMissed = async () => (await bridge.counts()).retries > 0;
        await waitFor("the bridge to miss it", isMissed, { timeoutMs: 30_000, everyMs: 100 });
        await mongo().restart();
      }
      await producer.done();
      const isDone = async () => {
        const { buffered, unacked } = await broker.stats();
        return buffered + unacked === 0;
      };
      await waitFor("every ack", isDone, { timeoutMs: 60_000, everyMs: 100 }).catch(async (cause) => {
        const states = [JSON.stringify(await broker.stats()), JSON.stringify(await bridge.counts())];
        throw new Error([...states, bridge.output().slice(-3000)].join("\n"), { cause });
      });
      await expectRows(file, serve.url);
    });

    it("broadcast: what kills of the bridge lost is there once the file is sent again, and the rest is there once", async () => {
      using file = writeTelemetry(ROWS);
      const env = envOf(file);
      await using broker = await startBroker("broadcast");
      await using bridge = await startBridge(EMBEDDED_LOG, [source(broker, false)], env);
      await using serve = await startServe(env);
      const producer = produceFile(file, broker.port, PER_SECOND);
      for (let kill = 0; kill < 3; kill++) {
        await flow(broker, 200);
        await killAndStart(bridge);
      }
      await producer.done();
      const { messagesIn, messagesOut } = await broker.stats();
      expect(messagesIn).toBe(ROWS);
      // Nobody was there for the rest of them.
      expect(messagesOut).toBeLessThan(ROWS);
      await produceFile(file, broker.port, PER_SECOND).done();
      // All of it, so that nothing can come any more.
      const isRead = async () => {
        const { received, appended, duplicates } = await bridge.counts();
        return received >= ROWS && received === appended + duplicates;
      };
      await waitFor("the bridge to have stored all", isRead, { timeoutMs: 60_000, everyMs: 100 });
      await expectRows(file, serve.url);
    });
  });
}

describePath({ name: "embedded store", env: ({ env }) => env });

const noMongo = missingMongoDb("process");
describe("with a server", () => {
  let server: TestMongoDb;
  beforeAll(async () => {
    if (!noMongo) server = await startMongoDb();
  }, 60_000);
  beforeEach((context) => {
    if (noMongo) context.skip(noMongo);
  });
  afterAll(() => server?.[Symbol.asyncDispose]());
  describePath({
    name: "MongoDB",
    mongo: () => server,
    env: ({ env }) => ({ ...env, MONGODB_URI: server.url, MONGODB_DATABASE: server.database() }),
  });
});
