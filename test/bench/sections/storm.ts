/** Replay storm: every client reconnects at once, each having missed 100 events. */
import { publishAnchor } from "../lib/anchor.ts";
import {
  type CommandCounts,
  commandsSince,
  describeCommands,
  redisCommands,
  sumCommands,
} from "../lib/redis-commands.ts";
import { type BenchContext, format, MILLRACE, type Section, target } from "../lib/section.ts";
import { median } from "../lib/statistics.ts";
import type { RunningSystem } from "../lib/systems.ts";

const CLIENTS = 1000;
/** For comparison: what Redis is asked must not grow with the clients. */
const FEWER_CLIENTS = 100;
const MISSED = 100;
const TIMEOUT_MS = 30_000;

interface Storm {
  readonly ms: number;
  readonly complete: number;
  readonly events: number;
  readonly closed: number;
  readonly refused: string | undefined;
  readonly redis: CommandCounts | undefined;
}

async function measure(
  { client, publisher }: BenchContext,
  system: RunningSystem,
  clients: number,
): Promise<Storm> {
  const anchor = await publishAnchor(publisher, system);
  await publisher.call("publishNow", MISSED);
  const before = system.redisUrl && (await redisCommands(system.redisUrl));
  const result = await client.call("storm", system.stream(anchor), clients, MISSED, TIMEOUT_MS);
  // A frame too many would come late.
  await client.call("waitQuiet", 2000);
  const { events } = await client.call("delivered");
  const redis = before && commandsSince(before, await redisCommands(system.redisUrl!));
  await client.call("close");
  return { ...result, events, redis: redis || undefined };
}

async function run(context: BenchContext) {
  const { quick, systems, progress } = context;
  const rounds = quick ? 2 : 4;
  await using running = new AsyncDisposableStack();
  const servers: { name: string; server: RunningSystem; storms: Storm[]; fewer: Storm | undefined }[] = [];
  for (const system of systems) {
    servers.push({
      name: system.name,
      server: running.use(await system.start()),
      storms: [],
      fewer: undefined,
    });
  }
  for (let round = 0; round < rounds; round++) {
    for (const one of servers) {
      progress(`storm, ${one.name}, round ${round + 1} of ${rounds}`);
      const storm = await measure(context, one.server, CLIENTS);
      // The first is the warm-up.
      if (round > 0) one.storms.push(storm);
    }
  }
  for (const one of servers) {
    if (one.server.redisUrl) one.fewer = await measure(context, one.server, FEWER_CLIENTS);
  }
  await context.publisher.call("close");
  const results = servers.map(({ name, storms, fewer }) => ({
    name,
    ms: storms.every(({ complete }) => complete === CLIENTS)
      ? median(storms.map(({ ms }) => ms))
      : Number.NaN,
    complete: Math.min(...storms.map(({ complete }) => complete)),
    wrong: storms.reduce((sum, { events }) => sum + CLIENTS * MISSED - events, 0),
    reads: storms.map(({ redis }) => redis),
    fewerReads: fewer?.redis,
  }));
  const mine = results.find(({ name }) => name === MILLRACE);
  const fastestPeer = Math.min(
    ...results.filter(({ name, ms }) => name !== MILLRACE && Number.isFinite(ms)).map(({ ms }) => ms),
  );
  // A lease of the instance may fall into one of the rounds: the median is a storm's own.
  const usualReads = median(mine?.reads.map((counts) => sumCommands(counts ?? {})) ?? []);
  return {
    tables: [
      {
        title: `${format(CLIENTS)} clients reconnect at once, ${MISSED} missed events each`,
        columns: ["server", "ms until all have all", "clients served", "Redis commands spent"],
        rows: results.map(({ name, ms, complete, reads }) => [
          name,
          format(ms),
          format(complete),
          reads[0] ? describeCommands(reads.at(-1)!) : "-",
        ]),
      },
      ...(mine
        ? [
            {
              title: "Redis commands of one storm, by number of clients",
              columns: ["clients", "commands", "which"],
              rows: [
                [FEWER_CLIENTS, sumCommands(mine.fewerReads ?? {}), describeCommands(mine.fewerReads ?? {})],
                [format(CLIENTS), usualReads, describeCommands(mine.reads.at(-1) ?? {})],
              ],
            },
          ]
        : []),
    ],
    targets: mine
      ? [
          ...target(
            "storm, of the fastest peer's time",
            "under 1.00 x",
            mine.ms / fastestPeer,
            " x",
            (r) => r < 1,
          ),
          ...target(
            `Redis commands of a storm of ${format(CLIENTS)} clients (${MISSED} events are one page)`,
            // An instance renews its lease about every 10 s, with four.
            "at most 10 (14 when a lease falls in)",
            usualReads,
            "",
            (reads) => reads <= 14,
          ),
        ]
      : [],
    failures:
      mine && mine.wrong !== 0
        ? [
            `storm: millrace delivered ${mine.wrong > 0 ? `${mine.wrong} too few` : `${-mine.wrong} too many`}`,
          ]
        : [],
    data: servers.map(({ name, storms, fewer }) => ({ name, storms, fewer })),
  };
}

export const storm: Section = { name: "storm", title: "Replay storm", run };
