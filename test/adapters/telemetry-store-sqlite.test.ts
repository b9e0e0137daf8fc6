import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, describe, expect, it } from "vitest";
import type { ReadingLabels } from "../../functions/core/reading.ts";
import type { TelemetryStore } from "../../functions/ports/telemetry-store.ts";
import { createSqliteTelemetry } from "../../functions/runtimes/node/telemetry-store-sqlite.ts";
import { ask, describeTelemetryStore, reading, readings } from "../contracts/telemetry-store.ts";
import { start } from "../support/process.ts";
import { waitFor } from "../support/wait.ts";

const folders: string[] = [];
const newFolder = () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-sqlite-"));
  folders.push(folder);
  return folder;
};
afterAll(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

describeTelemetryStore({
  name: "SQLite",
  async create() {
    const stack = new AsyncDisposableStack();
    const folder = newFolder();
    return {
      open: async () => stack.use(createSqliteTelemetry({ folder })),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  },
});

/** Milliseconds after which another process ends by itself, should the test not have ended it. */
const CHILD_MS = 30_000;

/** Runs a script in a process of its own with `store` and `reading(n, more)` at hand. */
function inAnotherProcess(folder: string, script: string) {
  const module = new URL("../../functions/runtimes/node/telemetry-store-sqlite.ts", import.meta.url).href;
  const prelude = `
    import { createSqliteTelemetry } from ${JSON.stringify(module)};
    const store = createSqliteTelemetry({ folder: ${JSON.stringify(folder)} });
    const template = ${JSON.stringify(reading(0))};
    const reading = (n, more = {}) => ({ ...template, timeMs: template.timeMs + n * 1000, value: n, ...more });
  `;
  return start(process.execPath, ["--input-type=module", "-e", prelude + script]);
}

/** What a file holds, asked past the store. */
function count(folder: string, table: string): number {
  using connection = new DatabaseSync(join(folder, "telemetry.db"), { timeout: 5000 });
  return Number(connection.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.n);
}

/** The counts, beside what they should be. */
async function expectCountsToHold(folder: string, store: TelemetryStore): Promise<void> {
  await store.ping();
  using connection = new DatabaseSync(join(folder, "telemetry.db"), { timeout: 5000 });
  const kept = connection.prepare("SELECT gpu, metric, hour, n FROM counts ORDER BY gpu, metric, hour").all();
  const real = connection
    .prepare(
      `SELECT gpu, 0 AS metric, ms / 3600000 * 3600000 AS hour, count(*) AS n FROM readings GROUP BY 1, 3
       UNION ALL SELECT gpu, metric, ms / 3600000 * 3600000, count(*) FROM readings GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`,
    )
    .all();
  expect(kept).toEqual(real);
}

const pod = (name: string): ReadingLabels => ({ ...reading(0).labels, pod: name });

describe("createSqliteTelemetry", () => {
  it("makes no file before it is asked, and leaves one behind", async () => {
    const folder = join(newFolder(), "a", "b");
    await using store = createSqliteTelemetry({ folder });
    expect(() => readdirSync(folder)).toThrow("ENOENT");
    await store.write(readings(0, 10));
    await store[Symbol.asyncDispose]();
    expect(readdirSync(folder)).toEqual(["telemetry.db"]);
    await expect(store.ping()).rejects.toMatchObject({ code: "unavailable" });
    expect(readdirSync(folder)).toEqual(["telemetry.db"]);
  });

  it("is unavailable, naming DATA_DIR, while the folder cannot be used, and works once it can", async () => {
    const folder = join(newFolder(), "store");
    writeFileSync(folder, "a file");
    await using store = createSqliteTelemetry({ folder });
    const refusal = { code: "unavailable", message: expect.stringContaining(`DATA_DIR "${folder}"`) };
    await expect(store.write([reading(0)])).rejects.toMatchObject(refusal);
    await expect(store.ping()).rejects.toMatchObject(refusal);
    rmSync(folder);
    expect(await store.write([reading(0)])).toEqual({ stored: 1 });
  });

  it("leaves the file of a newer version as it is", async () => {
    const folder = newFolder();
    {
      await using store = createSqliteTelemetry({ folder });
      await store.ping();
    }
    {
      using connection = new DatabaseSync(join(folder, "telemetry.db"));
      connection.exec("PRAGMA user_version = 99");
    }
    await using store = createSqliteTelemetry({ folder });
    await expect(store.ping()).rejects.toThrow(
      /written by a newer Millrace \(schema 99\), expected schema 1/,
    );
  });

  it("is unavailable while its tables are not what it knows, keeps nothing open, and works once they are", async () => {
    const folder = newFolder();
    {
      using connection = new DatabaseSync(join(folder, "telemetry.db"));
      connection.exec("CREATE TABLE gpus (id INTEGER) STRICT; PRAGMA user_version = 1");
    }
    await using store = createSqliteTelemetry({ folder });
    for (const call of [() => store.ping(), () => store.write([reading(0)])]) {
      await expect(call()).rejects.toMatchObject({
        code: "unavailable",
        message: expect.stringMatching(/^Cannot use telemetry\.db in DATA_DIR ".*": no such /),
      });
    }
    expect(readdirSync(folder)).toEqual(["telemetry.db"]);
    rmSync(join(folder, "telemetry.db"));
    expect(await store.write([reading(0)])).toEqual({ stored: 1 });
  });

  it("has labels once, however many readings have them, and forgets them with the last of these", async () => {
    const folder = newFolder();
    await using store = createSqliteTelemetry({ folder });
    const hours = [0, 1, 2, 3].map((hour) =>
      readings(hour * 3600, hour * 3600 + 100, 1, { labels: pod(`pod-${hour}`), metric_name: `M${hour}` }),
    );
    await store.write(hours.flat());
    expect([count(folder, "series"), count(folder, "metrics")]).toEqual([4, 4]);
    await store.expire(reading(2 * 3600).timeMs);
    expect([count(folder, "series"), count(folder, "metrics")]).toEqual([2, 2]);
    expect((await store.readings(ask())).items).toEqual([...hours[2]!, ...hours[3]!]);
    await expectCountsToHold(folder, store);
    await store.expire(reading(10 * 3600).timeMs);
    for (const table of ["gpus", "metrics", "series", "readings", "counts"]) {
      expect(count(folder, table), table).toBe(0);
    }
  });

  it("keeps labels and metrics of old readings that are kept, whatever of theirs is forgotten", async () => {
    const folder = newFolder();
    await using store = createSqliteTelemetry({ folder });
    // Long over: kept by when they were written.
    const old = (hour: number, name: string) =>
      reading(0, { timeMs: hour * 3_600_000, metric_name: `M${hour}`, labels: pod(name) });
    const written = [old(1, "a"), old(1, "b"), old(2, "b"), old(3, "a"), old(4, "c")].map((one, n) => ({
      ...one,
      timeMs: one.timeMs + n,
    }));
    await store.write(written);
    const atMs = Date.now();
    await waitFor("the next second but one", () => Date.now() > atMs + 1_500);
    const beforeMs = Date.now();
    const again = [written[2]!, written[4]!];
    expect(await store.write(again)).toEqual({ stored: 0 });
    await store.expire(beforeMs);
    expect((await store.readings(ask())).items).toEqual(again);
    expect([count(folder, "series"), count(folder, "metrics")]).toEqual([2, 2]);
    await expectCountsToHold(folder, store);
    // Nothing is left over of what was delivered again with other labels.
    await store.write(again.map((one) => ({ ...one, labels: pod("other") })));
    await store.expire(Date.now() + 3_600_000);
    for (const table of ["gpus", "metrics", "series", "readings", "counts"]) {
      expect(count(folder, table), table).toBe(0);
    }
  });

  it("gives back which labels a reading came with, while they change from one to the next", async () => {
    await using store = createSqliteTelemetry({ folder: newFolder() });
    const all = Array.from({ length: 200 }, (_, n) => reading(n, { labels: pod(`pod-${n % 7}`) }));
    await store.write(all);
    expect((await store.readings(ask())).items).toEqual(all);
  });

  it("knows of a GPU that another instance has removed, and of labels", async () => {
    const folder = newFolder();
    await using own = createSqliteTelemetry({ folder });
    await using other = createSqliteTelemetry({ folder });
    await own.write(readings(0, 10));
    await other.expire(reading(3600).timeMs);
    // Takes the row number of the one that is gone.
    await other.write([reading(0, { uuid: "GPU-2", labels: pod("other") })]);
    await own.write(readings(0, 10));
    expect((await own.readings(ask())).items).toEqual(readings(0, 10));
    expect((await own.readings(ask({ uuid: "GPU-2" }))).total).toBe(1);
    await expectCountsToHold(folder, own);
  });

  it("lets others have their turn while it writes a large batch or expires it", async () => {
    await using store = createSqliteTelemetry({ folder: newFolder() });
    let turns = 0;
    let isOver = false;
    const count = () => {
      turns++;
      if (!isOver) setImmediate(count);
    };
    setImmediate(count);
    await store.write(readings(0, 20_000));
    expect(turns).toBeGreaterThanOrEqual(39);
    turns = 0;
    await store.expire(reading(6 * 3600).timeMs);
    isOver = true;
    expect(turns).toBeGreaterThanOrEqual(39);
  });

  it("waits for a process that writes without a pause, and makes it fail as little", async () => {
    const folder = newFolder();
    await using store = createSqliteTelemetry({ folder });
    const other = inAnotherProcess(
      folder,
      `let n = 0;
       process.on("SIGTERM", async () => { console.log("wrote " + n); process.exit(0); });
       while (performance.now() < ${CHILD_MS}) {
         await store.write(Array.from({ length: 5000 }, () => reading(n++, { uuid: "GPU-2" })));
         if (n === 5000) console.log("ready");
       }`,
    );
    await waitFor("the other process to write", () => other.output().includes("ready"));
    const before = count(folder, "readings");
    for (let n = 0; n < 20; n++) {
      expect(await store.write(readings(n * 1000, n * 1000 + 1000))).toEqual({ stored: 1000 });
    }
    await waitFor("the other to have gone on", () => count(folder, "readings") > before + 20_000);
    await other.stop();
    expect(other.output()).toMatch(/^ready\nwrote \d+\n$/);
    expect((await store.readings(ask({ limit: 1 }))).total).toBe(20_000);
    await expectCountsToHold(folder, store);
  });

  it("loses nothing it has acknowledged to a kill -9, and counts right after it", async () => {
    const folder = newFolder();
    let acknowledged = 0;
    for (let round = 0; round < 3; round++) {
      const writer = inAnotherProcess(
        folder,
        `for (let n = ${acknowledged}; performance.now() < ${CHILD_MS}; n += 700) {
           await store.write(Array.from({ length: 700 }, (_, i) => reading(n + i)));
           console.log("until " + (n + 700));
         }`,
      );
      const told = () => Number([...writer.output().matchAll(/until (\d+)\n/g)].at(-1)?.[1] ?? 0);
      await waitFor("the writer to have written", () => told() >= acknowledged + 20 * 700);
      await writer.stop("SIGKILL");
      acknowledged = told();
      await using store = createSqliteTelemetry({ folder });
      const { total, items } = await store.readings(ask({ limit: acknowledged }));
      expect(total).toBeGreaterThanOrEqual(acknowledged);
      expect(items).toEqual(readings(0, acknowledged));
      await expectCountsToHold(folder, store);
    }
  });
});
