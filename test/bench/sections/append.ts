/** Append: events a second into the log, against bare XADD of the same records by the same client. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startRedis } from "../../support/servers.ts";
import type { AppenderCalls } from "../lib/appender.ts";
import { CORES, pin } from "../lib/processes.ts";
import { type BenchContext, format, type Section, target } from "../lib/section.ts";
import { median } from "../lib/statistics.ts";
import { startWorker } from "../lib/worker.ts";

async function run({ quick, progress }: BenchContext) {
  const rounds = quick ? 2 : 5;
  const seconds = quick ? 1 : 2;
  const rates = { bare: [] as number[], log: [] as number[], sqlite: [] as number[] };
  const folder = mkdtempSync(join(tmpdir(), "millrace-bench-"));
  try {
    await using redis = await startRedis();
    await pin(redis.process().pid, CORES?.rest);
    await using appender = await startWorker<AppenderCalls>(
      new URL("../lib/appender.ts", import.meta.url),
      CORES?.server,
    );
    for (let round = 0; round < rounds; round++) {
      progress(`append, round ${round + 1} of ${rounds}`);
      rates.bare.push(await appender.call("bareXadd", redis.url, `round-${round}`, seconds));
      rates.log.push(await appender.call("redisLog", redis.url, `round-${round}`, seconds));
      rates.sqlite.push(await appender.call("sqliteLog", folder, `round-${round}`, seconds));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const bare = median(rates.bare);
  const rows = [
    ["bare pipelined XADD, node-redis", bare],
    ["log on Redis: no duplicates, counters, trim, wake-up", median(rates.log)],
    ["embedded log (node:sqlite), on disk", median(rates.sqlite)],
  ] as const;
  return {
    tables: [
      {
        title: "events a second appended, batches of 500, one client core",
        columns: ["", "events/s", "of bare XADD"],
        rows: rows.map(([name, value]) => [name, format(value), `${format((value / bare) * 100)} %`]),
      },
    ],
    targets: target(
      "append, of bare pipelined XADD",
      "at least 60 % (the aim: 100 %)",
      (median(rates.log) / bare) * 100,
      " %",
      (percent) => percent >= 60,
    ),
    failures: [],
    data: rates,
  };
}

export const append: Section = { name: "append", title: "Append", run };
