/** Redis over REST: what a company with clients costs in Redis commands, by what the REST interface can do, and how late its events are. */
import { startRedisRestProcess } from "../../support/redis-rest.ts";
import { startRestPeer } from "../../support/rest-peer.ts";
import { missing, startRedis } from "../../support/servers.ts";
import { startMillrace } from "../lib/millrace.ts";
import { CORES, pin } from "../lib/processes.ts";
import {
  type CommandCounts,
  commandsSince,
  describeCommands,
  redisCommands,
  sumCommands,
} from "../lib/redis-commands.ts";
import { type BenchContext, format, type Section, target } from "../lib/section.ts";
import { COMPANY, streamOf } from "../lib/systems.ts";
import { JWT_SECRET } from "../lib/token.ts";

const CLIENTS = 1000;
const RATE = 20;

/** A REST interface in front of a Redis. */
interface Interface extends AsyncDisposable {
  readonly url: string;
  readonly token: string;
}

interface Case {
  readonly name: string;
  /** Seconds looked at while nothing happens. A silent stream is looked at every 15 s, and opened again after 60 s. */
  readonly idleSeconds: number;
  start(redisUrl: string): Promise<Interface>;
}

const GATEWAY = "millrace redis-rest";
const CASES: readonly Case[] = [
  { name: GATEWAY, idleSeconds: 15, start: startRedisRestProcess },
  { name: "streams without comments (Upstash)", idleSeconds: 70, start: (url) => startRestPeer(url) },
  {
    name: "no SUBSCRIBE, polled",
    idleSeconds: 15,
    async start(url) {
      const peer = await startRestPeer(url);
      peer.noSubscribe = 404;
      return peer;
    },
  },
];

interface Measured {
  readonly idle: CommandCounts;
  readonly busyAlone: CommandCounts;
  readonly busyClients: CommandCounts;
  readonly idleSeconds: number;
  readonly published: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly lost: number;
}

async function measure({ client, publisher, quick, progress }: BenchContext, one: Case): Promise<Measured> {
  await using redis = await startRedis();
  await pin(redis.process().pid, CORES?.rest);
  await using rest = await one.start(redis.url);
  await using server = await startMillrace("serve", {
    ...{ PORT: "0", REDIS_URL: "", AUTH_MODE: "jwt", JWT_SECRET },
    ...{ UPSTASH_REDIS_REST_URL: rest.url, UPSTASH_REDIS_REST_TOKEN: rest.token },
  });
  await pin(server.pid, CORES?.server);
  const during = async (action: () => Promise<unknown>): Promise<CommandCounts> => {
    const before = await redisCommands(redis.url);
    await action();
    return commandsSince(before, await redisCommands(redis.url));
  };
  const seconds = quick ? 3 : 10;
  const idleSeconds = quick ? 15 : one.idleSeconds;
  // Beside the interface: what an append costs is in the section of the commands.
  await publisher.call("open", { kind: "log", redisUrl: redis.url, company: COMPANY }, COMPANY);
  await publisher.call("publishNow", 1);

  progress(`REST, ${one.name}, no client`);
  const busyAlone = await during(() => publisher.call("publish", RATE, seconds));
  progress(`REST, ${one.name}, ${CLIENTS} clients`);
  await client.call("open", await streamOf(server.url), CLIENTS);
  const idle = await during(() => new Promise((resolve) => setTimeout(resolve, idleSeconds * 1000)));
  await client.call("mark");
  const busyClients = await during(async () => {
    await publisher.call("publish", RATE, seconds);
    await client.call("waitEvents", RATE * seconds * CLIENTS, 20_000);
  });
  const { events, p50Ms, p99Ms } = await client.call("delivered");
  await client.call("close");
  await publisher.call("close");
  const published = RATE * seconds;
  const lost = published * CLIENTS - events;
  return { idle, busyAlone, busyClients, idleSeconds, published, p50Ms, p99Ms, lost };
}

/** What the report of an instance to the others runs, about every 10 s while it has clients; a script that reads runs something else. */
const OF_THE_LEASE = ["evalsha", "eval", "time", "hset", "pexpire"];

/** Commands for the company and the instance's access rules. */
function idleCommands({ idle }: Measured): CommandCounts {
  return Object.fromEntries(Object.entries(idle).filter(([name]) => !OF_THE_LEASE.includes(name)));
}

/** Reads while events come: an append runs neither of these. */
function readsPerEvent({ busyAlone, busyClients, published }: Measured): number {
  const reads = ({ xrange = 0, hgetall = 0 }: CommandCounts) => xrange + hgetall;
  return (reads(busyClients) - reads(busyAlone)) / published;
}

async function run(context: BenchContext) {
  const reason = missing("redis-server");
  if (reason !== undefined) throw new Error(reason);
  const all: Record<string, Measured> = {};
  for (const one of CASES) all[one.name] = await measure(context, one);
  const perHour = (measured: Measured, count = 0) => format((count * 3600) / measured.idleSeconds);
  const gateway = all[GATEWAY]!;
  return {
    tables: [
      {
        title: `Redis commands for one company with ${CLIENTS} clients, beside appends and the instance's report (${RATE} events/s)`,
        columns: [
          ...["", "log reads an idle hour", "rules reads an idle hour", "subscribes an idle hour"],
          ...["reads an event", "p50 ms", "p99 ms"],
        ],
        rows: Object.entries(all).map(([name, measured]) => [
          name,
          // The script of a read asks for the log's position by HMGET; the access rules are one hash.
          perHour(measured, measured.idle.hmget),
          perHour(measured, measured.idle.hgetall),
          perHour(measured, measured.idle.subscribe),
          format(readsPerEvent(measured)),
          format(measured.p50Ms),
          format(measured.p99Ms),
        ]),
      },
      {
        title: "which, while idle",
        columns: ["", "seconds", "commands"],
        rows: Object.entries(all).map(([name, { idle, idleSeconds }]) => [
          name,
          idleSeconds,
          describeCommands(idle),
        ]),
      },
    ],
    targets: [
      ...target(
        `Redis commands for ${CLIENTS} idle clients over ${GATEWAY}, beside the instance's report`,
        "none",
        sumCommands(idleCommands(gateway)),
        "",
        (commands) => commands === 0,
      ),
      ...target(
        `reads an event costs over ${GATEWAY}`,
        "none (under 0.05)",
        readsPerEvent(gateway),
        "",
        (commands) => commands < 0.05,
      ),
    ],
    failures: Object.entries(all).flatMap(([name, { lost }]) =>
      lost === 0 ? [] : [`rest: ${name}: millrace lost ${lost} events`],
    ),
    data: all,
  };
}

export const rest: Section = { name: "rest", title: "Redis over REST", run };
