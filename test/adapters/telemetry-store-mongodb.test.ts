import { afterAll, describe, expect, it } from "vitest";
import { createMongoTelemetry } from "../../functions/adapters/telemetry-store-mongodb.ts";
import type { CountDocument, HourDocument } from "../../functions/core/telemetry-documents.ts";
import { createMongoClient, openMongoTelemetry } from "../../functions/runtimes/node/open-mongodb.ts";
import { ask, describeTelemetryStore, reading, readings } from "../contracts/telemetry-store.ts";
import { missingMongoDb, startMongoDb, type TestMongoDb } from "../support/mongodb.ts";
import { waitFor } from "../support/wait.ts";

let started: Promise<TestMongoDb> | undefined;
const server = () => {
  started ??= startMongoDb();
  return started;
};
afterAll(async () => {
  await (await started)?.[Symbol.asyncDispose]();
});

/** Instances on a database of their own, each with its own client: as processes have them. */
async function createBackend({ settleMs }: { settleMs?: number } = {}) {
  const stack = new AsyncDisposableStack();
  const { url, database } = await server();
  const name = database();
  const connect = () => {
    const client = createMongoClient(url, { monitorCommands: true });
    stack.defer(() => client.close());
    return { client, db: client.db(name) };
  };
  const openWith = () => {
    const { client, db } = connect();
    const commands: string[] = [];
    client.on("commandStarted", ({ commandName }) => commands.push(commandName));
    const store = createMongoTelemetry({
      ...{ db, collection: "metrics" },
      ...(settleMs === undefined ? {} : { settleMs }),
    });
    return { store, commands };
  };
  return {
    openWith,
    open: async () => openWith().store,
    db: connect().db,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describeTelemetryStore({
  name: "MongoDB",
  skip: missingMongoDb(),
  create: () => createBackend({ settleMs: 600 }),
});

describe("createMongoTelemetry", () => {
  const skip = missingMongoDb();
  const test = (title: string, body: (skip: (reason: string) => never) => Promise<void>) =>
    it(title, async (context) => {
      if (skip !== undefined) context.skip(skip);
      await body((reason) => context.skip(reason));
    });

  test("keeps the count of an hour that is left alone, and reads no reading for it again", async () => {
    await using backend = await createBackend({ settleMs: 300 });
    const { store, commands } = backend.openWith();
    await store.write(readings(0, 30, 600));
    const counts = backend.db.collection<CountDocument>("metrics.counts");
    await waitFor("all hours to be counted", async () => {
      expect((await store.readings(ask({ offset: 29 }))).total).toBe(30);
      return (await counts.countDocuments()) === 5;
    });
    commands.length = 0;
    expect(await store.readings(ask({ offset: 28 }))).toEqual({ total: 30, items: readings(28, 30, 600) });
    expect(commands.filter((name) => name === "aggregate")).toEqual([]);
    // A range that cuts hours counts these alone.
    const { fromMs, untilMs } = { fromMs: reading(60).timeMs, untilMs: reading(29 * 600 - 1).timeMs };
    expect(await store.readings(ask({ fromMs, untilMs }))).toEqual({
      total: 28,
      items: readings(1, 29, 600),
    });
  });

  test("counts again what is written to after it was counted, by whatever process", async () => {
    await using backend = await createBackend({ settleMs: 300 });
    const { store } = backend.openWith();
    const all = readings(0, 6, 600);
    await store.write(all);
    const metric = "DCGM_FI_DEV_GPU_UTIL";
    const counts = backend.db.collection<CountDocument>("metrics.counts");
    for (let n = 0; n < 4; n++) {
      await waitFor("the hour to be counted", async () => {
        for (const one of [undefined, metric, "other"]) await store.readings(ask({ metric: one }));
        return (await counts.countDocuments({ n: all.length })) === 2;
      });
      const [late, other] = [reading(n * 7 + 1), reading(n * 7 + 1, { metric_name: "other" })];
      const writer = n % 2 === 0 ? store : backend.openWith().store;
      await writer.write([late]);
      all.push(late);
      expect((await store.readings(ask())).total).toBe(all.length);
      expect((await store.readings(ask({ metric }))).total).toBe(all.length);
      if (n < 3) continue;
      await writer.write([other]);
      expect((await store.readings(ask({ metric: "other" }))).items).toEqual([other]);
      expect((await store.readings(ask({ metric }))).total).toBe(all.length);
      expect((await store.readings(ask())).total).toBe(all.length + 1);
    }
  });

  test("keeps no count of an hour that somebody may be writing to", async () => {
    await using backend = await createBackend();
    const store = await backend.open();
    await store.write(readings(0, 5));
    expect((await store.readings(ask())).total).toBe(5);
    expect(await backend.db.collection("metrics.counts").countDocuments()).toBe(0);
    // As a process does that was told lately that this hour is written to, and says so no more.
    const metrics = backend.db.collection<{ _id: string }>("metrics");
    const { _id, ...rest } = (await metrics.findOne({}))!;
    await metrics.insertOne({ ...rest, _id: `${_id} too` });
    expect((await store.readings(ask())).total).toBe(6);
  });

  test("keeps nothing about metrics that nobody has", async () => {
    await using backend = await createBackend({ settleMs: 300 });
    const { store, commands } = backend.openWith();
    const counts = backend.db.collection<CountDocument>("metrics.counts");
    await store.write(readings(0, 24, 600));
    await waitFor("all hours to be counted", async () => {
      await store.readings(ask());
      return (await counts.countDocuments()) === 4;
    });
    commands.length = 0;
    for (const metric of ["nobody", "has", "these"])
      expect(await store.readings(ask({ metric }))).toEqual({ total: 0, items: [] });
    await store[Symbol.asyncDispose]();
    expect(commands.filter((name) => name === "update")).toEqual([]);
    expect(await counts.countDocuments()).toBe(4);
  });

  test("answers before counts are kept, and has kept them when it is disposed", async () => {
    await using backend = await createBackend({ settleMs: 300 });
    const { store } = backend.openWith();
    await store.write(readings(0, 120, 1_800));
    const counts = backend.db.collection<CountDocument>("metrics.counts");
    const hours = backend.db.collection<HourDocument>("metrics.hours");
    await waitFor("nobody to be writing any more", async () => {
      const { localTime } = await backend.db.command({ hello: 1 });
      const settledMs = (localTime as Date).getTime() - 300;
      return (await hours.countDocuments({ touched: { $gte: new Date(settledMs) } })) === 0;
    });
    const fresh = backend.openWith();
    expect((await fresh.store.readings(ask({ limit: 1 }))).total).toBe(120);
    const answered = fresh.commands.filter((name) => name === "update").length;
    // Who asks meanwhile adds nothing to what is to be kept.
    await Promise.all([1, 2, 3].map(() => fresh.store.readings(ask({ limit: 1 }))));
    await fresh.store[Symbol.asyncDispose]();
    const updates = fresh.commands.filter((name) => name === "update").length;
    expect(await counts.countDocuments()).toBe(60);
    expect(updates).toBeLessThanOrEqual(6);
    expect(answered).toBeLessThan(3);
  });

  test("says little: nothing about hours and GPUs again that it said lately", async () => {
    await using backend = await createBackend();
    const { store, commands } = backend.openWith();
    for (let n = 0; n < 20; n++) await store.write([reading(n / 10)]);
    expect(commands.filter((name) => name === "insert")).toHaveLength(20);
    expect(commands.filter((name) => name === "update")).toHaveLength(2);
  });

  test("forgets counts and hours with their readings", async () => {
    await using backend = await createBackend({ settleMs: 300 });
    const store = await backend.open();
    await store.write(readings(0, 20, 600));
    const left = async () => {
      const names = ["metrics", "metrics.hours", "metrics.counts", "metrics.gpus"];
      return Promise.all(names.map((name) => backend.db.collection(name).countDocuments()));
    };
    await waitFor("all hours to be counted", async () => {
      await store.readings(ask());
      return (await left())[2] === 4;
    });
    await waitFor("all to be forgotten", async () => {
      await store.expire(reading(7 * 86_400).timeMs);
      expect((await store.readings(ask())).total).toBe(0);
      return (await left()).every((n) => n === 0);
    });
  });

  test("leaves no wrong count when it dies while it forgets", async () => {
    await using backend = await createBackend({ settleMs: 300 });
    const store = await backend.open();
    await store.write(readings(0, 20, 600));
    const counts = backend.db.collection<CountDocument>("metrics.counts");
    await waitFor("all hours to be counted", async () => {
      await store.readings(ask());
      return (await counts.countDocuments()) === 4;
    });
    // As it is when it dies after the readings and before the counts.
    const before = await counts.find().toArray();
    await store.expire(reading(3 * 3_600).timeMs);
    await counts.deleteMany({});
    await counts.insertMany(before);
    const { total, items } = await store.readings(ask());
    expect(total).toBe(items.length);
    expect(total).toBe(2);
  });

  test("refuses a collection that may hold a reading twice", async (leave) => {
    await using backend = await createBackend();
    try {
      await backend.db.createCollection("metrics", { timeseries: { timeField: "time" } });
    } catch {
      leave("this server has no time-series collections: set MONGODB_URI or install mongod");
    }
    await expect((await backend.open()).write([reading(0)])).rejects.toThrow(
      /^Cannot use MONGO_COLLECTION "metrics": it is a timeseries/,
    );
  });
});

const QUIET = { MONGODB_DATABASE: "millrace_test", MONGO_COLLECTION: "metrics" };

describe("openMongoTelemetry", () => {
  it("says unavailable within seconds where nobody answers, and nothing of a password", async () => {
    for (const uri of [
      "mongodb://user:pa55word@127.0.0.1:1/?serverSelectionTimeoutMS=200",
      "mongodb+srv://user:pa55word@nowhere.invalid/",
    ]) {
      await using store = openMongoTelemetry({ settings: { ...QUIET, MONGODB_URI: uri } });
      for (const call of [store.write([reading(0)]), store.readings(ask()), store.ping()]) {
        const error = await call.catch((thrown: unknown) => thrown);
        expect(error).toMatchObject({ code: "unavailable" });
        expect(String(error)).toMatch(
          /^MillraceError: Cannot .* MongoDB "millrace_test.metrics": .*, expected/,
        );
        expect(String(error)).not.toContain("pa55word");
      }
    }
  });

  it("says invalid-settings of a URI that it cannot read, and nothing of its password", () => {
    for (const uri of [
      "mongodb://user:pa55/word@host/",
      "mongodb://u:pa55word@h/?nonsense=1",
      "mongodb://",
      "mongodb://a:pa55word@",
    ]) {
      let error: unknown;
      try {
        openMongoTelemetry({ settings: { ...QUIET, MONGODB_URI: uri } });
      } catch (thrown) {
        error = thrown;
      }
      expect(error, uri).toMatchObject({ code: "invalid-settings" });
      expect(String(error)).toContain("Cannot use MONGODB_URI: ");
      expect(String(error)).not.toContain("pa55");
    }
  });

  it("says unavailable, and what to mend, where the server refuses the user", async (context) => {
    const skip = missingMongoDb("process");
    if (skip !== undefined) context.skip(skip);
    await using own = await startMongoDb({ auth: true });
    const MONGODB_URI = own.url.replace("//", "//someone:pa55word@");
    await using store = openMongoTelemetry({ settings: { ...QUIET, MONGODB_URI } });
    for (const call of [store.readings(ask()), store.write([reading(0)])]) {
      const error = await call.catch((thrown: unknown) => thrown);
      // It passes when an operator mends it.
      expect(error).toMatchObject({ code: "unavailable" });
      expect(String(error)).toMatch(/expected the user of MONGODB_URI to be let in/);
      expect(String(error)).not.toContain("pa55word");
    }
  });

  it("loses and doubles no reading it acknowledged when the server is killed and started again", async (context) => {
    const skip = missingMongoDb("process");
    if (skip !== undefined) context.skip(skip);
    await using own = await startMongoDb();
    const settings = { ...QUIET, MONGODB_URI: own.url, MONGODB_DATABASE: own.database() };
    await using store = openMongoTelemetry({ settings });
    let written = 0;
    let failures = 0;
    let isOver = false;
    const lane = async (uuid: string) => {
      for (let n = 0; !isOver; n++) {
        const batch = readings(n * 40, n * 40 + 40, 60, { uuid });
        // As the bridge does: the same again until it is acknowledged.
        for (;;) {
          try {
            await store.write(batch);
            break;
          } catch (error) {
            expect(error).toMatchObject({ code: "unavailable" });
            failures++;
          }
        }
        written += batch.length;
      }
      return uuid;
    };
    const lanes = ["GPU-1", "GPU-2", "GPU-3"].map(lane);
    for (let n = 1; n <= 3; n++) {
      const before = written;
      await waitFor("some writes", () => written >= before + 200);
      await own.kill();
      await waitFor("a write that fails", () => failures >= n);
      await own.restart();
    }
    isOver = true;
    const uuids = await Promise.all(lanes);
    let total = 0;
    for (const uuid of uuids) {
      const page = await store.readings(ask({ uuid, limit: 1_000_000 }));
      expect(page.items).toEqual(readings(0, page.total, 60, { uuid }));
      total += page.total;
    }
    expect(total).toBe(written);
  });

  it("works when the server is back that was away at its first call", async (context) => {
    const skip = missingMongoDb("process");
    if (skip !== undefined) context.skip(skip);
    await using own = await startMongoDb();
    await own.kill();
    const settings = { ...QUIET, MONGODB_URI: own.url, MONGODB_DATABASE: own.database() };
    await using store = openMongoTelemetry({ settings });
    for (const call of [store.write(readings(0, 3)), store.ping()]) {
      await expect(call).rejects.toMatchObject({ code: "unavailable" });
    }
    await own.restart();
    const calls = [
      store.ping(),
      store.write(readings(0, 3)),
      store.readings(ask({ uuid: "GPU-2" })),
    ] as const;
    expect((await Promise.all(calls))[1]).toEqual({ stored: 3 });
    expect(await store.readings(ask())).toEqual({ total: 3, items: readings(0, 3) });
  });

  it("fails within seconds while the server is away, and works again when it is back", async (context) => {
    const skip = missingMongoDb("process");
    if (skip !== undefined) context.skip(skip);
    await using own = await startMongoDb();
    const settings = { ...QUIET, MONGODB_URI: own.url, MONGODB_DATABASE: own.database() };
    await using store = openMongoTelemetry({ settings });
    await store.write(readings(0, 3));
    await own.kill();
    const beforeMs = performance.now();
    await expect(store.write(readings(0, 5))).rejects.toMatchObject({ code: "unavailable" });
    await expect(store.readings(ask())).rejects.toMatchObject({ code: "unavailable" });
    expect(performance.now() - beforeMs).toBeLessThan(20_000);
    await own.restart();
    expect(await store.write(readings(0, 5))).toEqual({ stored: 2 });
    expect(await store.readings(ask())).toEqual({ total: 5, items: readings(0, 5) });
  });
});
