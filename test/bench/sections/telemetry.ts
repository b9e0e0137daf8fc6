/** Telemetry: readings a second into the stores, beside what each takes at most, and what a page costs wherever it lies. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { missingMongoDb, startMongoDb } from "../../support/mongodb.ts";
import { CORES, pin } from "../lib/processes.ts";
import { type BenchContext, format, type Section, target } from "../lib/section.ts";
import { median } from "../lib/statistics.ts";
import type { Target, TelemetryClientCalls } from "../lib/telemetry-client.ts";
import { startWorker, type Worker } from "../lib/worker.ts";

/** Readings a second the project has promised, unless the store takes less than that by itself. */
const WANTED_RATE = 20_000;
/** What a page may cost, of the first one. */
const WANTED_RATIO = 3;
/** Readings whose pages are asked for. */
const LOADED = { quick: 100_000, full: 10_000_000 };
/** Seconds of loading at most; a server that is slower has less to show. */
const LOAD_SECONDS = { quick: 5, full: 60 };
/** Seconds of loading in one go. */
const STEP_SECONDS = 5;

type Client = Worker<TelemetryClientCalls>;

interface Rates {
  readonly store: number;
  readonly limit: number;
}

/** Both take turns, so that what else the machine does meets them alike. */
async function measureRates(
  { quick, progress }: BenchContext,
  name: string,
  measure: (what: "store" | "limit", readings: number, seconds: number) => Promise<number>,
): Promise<Rates> {
  const [rounds, readings, seconds] = quick ? [2, 50_000, 2] : [5, 200_000, 4];
  const rates = { store: [] as number[], limit: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    progress(`telemetry, ${name}, round ${round + 1} of ${rounds}`);
    for (const what of ["limit", "store"] as const) rates[what].push(await measure(what, readings, seconds));
  }
  return { store: median(rates.store), limit: median(rates.limit) };
}

async function measurePages({ quick, progress }: BenchContext, client: Client, name: string, where: Target) {
  const wanted = quick ? LOADED.quick : LOADED.full;
  // The embedded store is not slow: it has what there is to have.
  const most = "folder" in where ? Number.POSITIVE_INFINITY : quick ? LOAD_SECONDS.quick : LOAD_SECONDS.full;
  let readings = 0;
  for (let seconds = 0; readings < wanted && seconds < most; seconds += STEP_SECONDS) {
    readings = await client.call("load", where, wanted, STEP_SECONDS);
    progress(`telemetry, ${name}, ${format(readings)} of ${format(wanted)} loaded`);
  }
  const pages = await client.call("pages");
  const offset = "folder" in where ? await client.call("plainOffset", where) : Number.NaN;
  await client.call("unload");
  return { name, readings, ...pages, offset };
}

async function run(context: BenchContext) {
  const folder = mkdtempSync(join(tmpdir(), "millrace-bench-"));
  const rates: (Rates & { name: string })[] = [];
  const pages: Awaited<ReturnType<typeof measurePages>>[] = [];
  try {
    await using client = await startWorker<TelemetryClientCalls>(
      new URL("../lib/telemetry-client.ts", import.meta.url),
      CORES?.server,
    );
    const fleet = { folder: join(folder, "fleet") };
    const embedded = await measureRates(context, "embedded", (what, ...how) =>
      client.call(what === "store" ? "store" : "plainInsert", fleet, ...how),
    );
    rates.push({ name: "embedded (node:sqlite), on disk", ...embedded });
    pages.push(await measurePages(context, client, "embedded", { folder: join(folder, "one") }));
    const missing = missingMongoDb();
    if (missing !== undefined) console.log(`without MongoDB: ${missing}`);
    else {
      await using server = await startMongoDb();
      if (!process.env.MONGODB_URI) await pin(server.process().pid, CORES?.rest);
      const name = `${await client.call("serverName", server.url)}`;
      const [plain, store, one] = Array.from({ length: 3 }, () => ({
        url: server.url,
        database: server.database(),
      }));
      const measured = await measureRates(context, name, (what, ...how) =>
        what === "store"
          ? client.call("store", store!, ...how)
          : client.call("plainInsertMany", plain!, ...how),
      );
      rates.push({ name, ...measured });
      pages.push(await measurePages(context, client, name, one!));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return {
    tables: [
      {
        title:
          "readings a second, batches of 500; the limit is the same readings by plain bulk inserts, with no index but their key",
        columns: ["", "readings/s", "the store's limit", "of it"],
        rows: rates.map(({ name, store, limit }) => [
          ...[name, format(store), format(limit), `${format((store / limit) * 100)} %`],
        ]),
      },
      {
        title: "milliseconds of a page of 100 readings of one GPU, and by OFFSET alone",
        columns: ["", "readings", "first", "middle", "last", "middle/first", "last/first", "last by OFFSET"],
        rows: pages.map(({ name, readings, first, middle, last, offset }) => [
          ...[name, format(readings), format(first), format(middle), format(last)],
          ...[format(middle / first), format(last / first), format(offset)],
        ]),
      },
    ],
    targets: [
      ...rates.flatMap(({ name, store, limit }) =>
        target(
          `telemetry, ${name}`,
          `at least ${format(WANTED_RATE)} readings/s, or the store's limit (${format(limit)})`,
          store,
          "/s",
          (rate) => rate >= Math.min(WANTED_RATE, limit),
        ),
      ),
      ...pages.flatMap(({ name, first, middle, last }) =>
        target(
          `telemetry, dearest page of ${name}, of the first`,
          `at most ${WANTED_RATIO} times`,
          Math.max(middle, last) / first,
          " times",
          (ratio) => ratio <= WANTED_RATIO,
        ),
      ),
    ],
    failures: [],
    data: { rates, pages },
  };
}

export const telemetry: Section = { name: "telemetry", title: "Telemetry", run };
