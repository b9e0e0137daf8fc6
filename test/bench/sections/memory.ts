/** Memory: what one idle connection keeps resident, of 5,000. */
import { freePort } from "../../support/process.ts";
import { type GarbageCollector, inspectable, openGarbageCollector } from "../lib/garbage.ts";
import { openFilesLimit, residentBytes } from "../lib/processes.ts";
import { type BenchContext, format, MILLRACE, type Section, target } from "../lib/section.ts";
import type { System } from "../lib/systems.ts";

const CLIENTS = 5000;
/** Connections opened and closed first: what the first ones cost once is not what one more costs. */
const WARM_CLIENTS = 200;
/** Files beside the connections. */
const SPARE_FILES = 200;

const KIB = 1024;

interface Measured {
  readonly idleMiB: number;
  readonly connectedMiB: number;
  /** Without collecting garbage, a second after the last connection. */
  readonly atOnceKiB: number;
  readonly perConnectionKiB: number;
}

/** Resident bytes when they have stopped changing: twice the same to 0.5 % half a second apart, after collecting garbage. */
async function settled(pid: number, garbage: GarbageCollector | undefined): Promise<number> {
  let before = Number.POSITIVE_INFINITY;
  for (let look = 0; look < 20; look++) {
    await garbage?.collect();
    await new Promise((resolve) => setTimeout(resolve, 500));
    const now = residentBytes(pid);
    if (Math.abs(now - before) < before * 0.005) return now;
    before = now;
  }
  return before;
}

async function measure({ client }: BenchContext, system: System): Promise<Measured> {
  const port = await freePort();
  const isNode = system.name !== "nchan";
  const { NODE_OPTIONS: kept } = process.env;
  // Peers inherit the environment of the bench.
  Object.assign(process.env, inspectable(port));
  try {
    await using server = await system.start();
    using garbage = isNode ? await openGarbageCollector(server.pid, port) : undefined;
    await client.call("open", server.stream(), WARM_CLIENTS);
    await client.call("close");
    const idle = await settled(server.pid, garbage);
    await client.call("open", server.stream(), CLIENTS);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const atOnce = residentBytes(server.pid);
    const connected = await settled(server.pid, garbage);
    await client.call("close");
    return {
      idleMiB: idle / KIB / KIB,
      connectedMiB: connected / KIB / KIB,
      atOnceKiB: (atOnce - idle) / CLIENTS / KIB,
      perConnectionKiB: (connected - idle) / CLIENTS / KIB,
    };
  } finally {
    if (kept === undefined) delete process.env.NODE_OPTIONS;
    else process.env.NODE_OPTIONS = kept;
  }
}

async function run(context: BenchContext) {
  if (openFilesLimit() < CLIENTS + SPARE_FILES) {
    throw new Error(
      `Cannot open ${CLIENTS} connections: the limit is ${openFilesLimit()} files, run "ulimit -n ${CLIENTS + SPARE_FILES}" first`,
    );
  }
  const results: (Measured & { name: string })[] = [];
  for (const system of context.systems) {
    context.progress(`memory, ${system.name}`);
    results.push({ name: system.name, ...(await measure(context, system)) });
  }
  const mine = results.find(({ name }) => name === MILLRACE)?.perConnectionKiB ?? Number.NaN;
  return {
    tables: [
      {
        title: `resident memory, ${format(CLIENTS)} idle connections`,
        columns: ["server", "KiB per connection", "before collecting garbage", "MiB idle", "MiB connected"],
        rows: results.map(({ name, perConnectionKiB, atOnceKiB, idleMiB, connectedMiB }) => [
          name,
          format(perConnectionKiB),
          format(atOnceKiB),
          format(idleMiB),
          format(connectedMiB),
        ]),
      },
    ],
    targets: target("resident per idle connection", "at most 12 KiB", mine, " KiB", (kib) => kib <= 12),
    failures: [],
    data: results,
  };
}

export const memory: Section = { name: "memory", title: "Memory", run };
