/** InstanceRegistry in two Redis hashes: a field an instance, a field a bridge. Leases run by the clock of Redis, so that instances need not agree on theirs. */
import { type BridgeReport, LOST_MS } from "../core/pipeline.ts";
import {
  addReports,
  type InstanceRegistry,
  type InstanceReport,
  LEASE_MS,
} from "../ports/instance-registry.ts";
import type { RedisConnection } from "../ports/redis-connection.ts";

const INSTANCES = "millrace:instances";
const BRIDGES = "millrace:bridges";

const NOW = "local time = redis.call('TIME') local now = time[1] * 1000 + math.floor(time[2] / 1000)";

/** KEYS: hash. ARGV: who, what as the JSON of an object with a member, ms it is kept. The hash goes with its last report. */
const REPORT = `${NOW}
redis.call('HSET', KEYS[1], ARGV[1], '{"atMs":' .. string.format('%.0f', now) .. ',' .. string.sub(ARGV[2], 2))
redis.call('PEXPIRE', KEYS[1], ARGV[3])`;

/** KEYS: hash. ARGV: ms a report is kept. Returns who, age in ms, what, who, …, and removes what is older. */
const READ = `${NOW}
local reports = redis.call('HGETALL', KEYS[1])
local live = {}
for i = 1, #reports, 2 do
  local age = now - (tonumber(string.match(reports[i + 1], '^{"atMs":(%d+)')) or 0)
  if age < tonumber(ARGV[1]) then
    live[#live + 1] = reports[i]
    live[#live + 1] = string.format('%.0f', math.max(0, age))
    live[#live + 1] = reports[i + 1]
  else
    redis.call('HDEL', KEYS[1], reports[i])
  end
end
return live`;

/** `leaseMs`: milliseconds a report of connections is believed. Default LEASE_MS. `lostMs`: milliseconds one of a bridge is kept. Default LOST_MS. */
export function createRedisInstanceRegistry({
  redis,
  leaseMs = LEASE_MS,
  lostMs = LOST_MS,
}: {
  redis: RedisConnection;
  leaseMs?: number;
  lostMs?: number;
}): InstanceRegistry {
  const put = async (key: string, who: string, report: object, keptMs: number) => {
    await redis.script(REPORT, [key], [who, JSON.stringify(report), String(keptMs)]);
  };
  const read = async (key: string, keptMs: number) => {
    const live = (await redis.script(READ, [key], [String(keptMs)])) as readonly string[];
    return Array.from({ length: live.length / 3 }, (_, at) => {
      const [who, age, what] = live.slice(3 * at, 3 * at + 3) as [string, string, string];
      return { who, ageMs: Number(age), report: JSON.parse(what) as unknown };
    });
  };
  const others = async (except: string) => {
    const live = await read(INSTANCES, leaseMs);
    return addReports(live.filter(({ who }) => who !== except).map(({ report }) => report as InstanceReport));
  };
  return {
    report: (instance, report) => put(INSTANCES, instance, report, leaseMs),
    async withdraw(instance) {
      await redis.command(["HDEL", INSTANCES, instance]);
    },
    connectionsByCompany: async (except) => (await others(except)).connectionsByCompany,
    reportBridge: (bridge, report) => put(BRIDGES, bridge, report, lostMs),
    async withdrawBridge(bridge) {
      await redis.command(["HDEL", BRIDGES, bridge]);
    },
    async survey(except) {
      // Pipelined: one round trip.
      const [connections, bridges] = await Promise.all([others(except), read(BRIDGES, lostMs)]);
      return {
        ...connections,
        bridges: bridges.map(({ who: bridge, ageMs, report }) => {
          const { upMs, sources } = report as BridgeReport;
          return { bridge, ageMs, upMs, sources };
        }),
      };
    },
  };
}
