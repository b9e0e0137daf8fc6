/** The runtimes that are processes, on the same log, one after the other: what each delivers, and what a delivery costs it. */
import { missingRuntime, type ProcessRuntime, startRuntime } from "../../support/runtimes.ts";
import { missing, startRedis } from "../../support/servers.ts";
import { CORES, pin } from "../lib/processes.ts";
import { type Section, target } from "../lib/section.ts";
import { COMPANY, type System, streamOf } from "../lib/systems.ts";
import { JWT_SECRET } from "../lib/token.ts";
import { fanout } from "./fanout.ts";
import { rate } from "./rate.ts";

const RUNTIMES = ["node", "deno", "bun"] as const;

function systemOf(runtime: ProcessRuntime): System {
  return {
    name: runtime,
    missing: missing("redis-server") ?? missingRuntime(runtime),
    async start() {
      await using stack = new AsyncDisposableStack();
      const redis = stack.use(await startRedis());
      await pin(redis.process().pid, CORES?.rest);
      const server = stack.use(
        await startRuntime(runtime, { REDIS_URL: redis.url, AUTH_MODE: "jwt", JWT_SECRET }),
      );
      await pin(server.process.pid, CORES?.server);
      const stream = await streamOf(server.url);
      const owned = stack.move();
      return {
        pid: server.process.pid,
        stream: (after) =>
          after === undefined
            ? stream
            : { ...stream, headers: { ...stream.headers, "Last-Event-ID": after } },
        publish: { kind: "log", redisUrl: redis.url, company: COMPANY },
        intakeCounts: true,
        redisUrl: redis.url,
        [Symbol.asyncDispose]: () => owned.disposeAsync(),
      };
    },
  };
}

/** As the section `rate` keeps it. */
interface Search {
  readonly name: string;
  readonly rounds: readonly (readonly { readonly rate: number; readonly held: boolean }[])[];
}

/** Highest held rate, in the best of the rounds. */
const bestOf = (searches: readonly Search[], name: string) =>
  Math.max(
    ...(searches.find((one) => one.name === name)?.rounds.flat() ?? [])
      .filter(({ held }) => held)
      .map((step) => step.rate),
  );

export const runtimes: Section = {
  name: "runtimes",
  title: "Node, Deno and Bun",
  async run(context) {
    const systems = RUNTIMES.map(systemOf).filter((system) => system.missing === undefined);
    const highest = await rate.run({ ...context, systems });
    const costs = await fanout.run({ ...context, systems });
    const searches = highest.data as readonly Search[];
    return {
      // The last column compares with the system the other sections are about.
      tables: [...highest.tables, ...costs.tables].map(({ title, columns, rows }) => ({
        title,
        columns: columns.filter((name) => name !== "millrace has"),
        rows: rows.map((row) => row.filter((_, at) => columns[at] !== "millrace has")),
      })),
      targets: (["deno", "bun"] as const).flatMap((name) =>
        target(
          `highest held rate on ${name}, of Node's`,
          "at least 1 x",
          bestOf(searches, name) / bestOf(searches, "node"),
          " x",
          // Steps are an eighth of an octave apart.
          (ratio) => ratio >= 0.9,
        ),
      ),
      failures: [...highest.failures, ...costs.failures],
      data: { highest: highest.data, costs: costs.data },
    };
  },
};
