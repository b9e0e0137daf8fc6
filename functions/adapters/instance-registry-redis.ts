/** InstanceRegistry in one Redis hash: a field an instance. Leases run by the clock of Redis, so that instances need not agree on theirs. */
import type { CompanyId } from "../core/ids.ts";
import { type InstanceRegistry, type InstanceReport, LEASE_MS } from "../ports/instance-registry.ts";
import type { RedisConnection } from "../ports/redis-connection.ts";

const KEY = "millrace:instances";

const NOW = "local time = redis.call('TIME') local now = time[1] * 1000 + math.floor(time[2] / 1000)";

/** KEYS: hash. ARGV: instance, its connections by company as JSON, lease in ms. The hash goes with its last instance. */
const REPORT = `${NOW}
redis.call('HSET', KEYS[1], ARGV[1], '{"atMs":' .. string.format('%.0f', now) .. ',"connectionsByCompany":' .. ARGV[2] .. '}')
redis.call('PEXPIRE', KEYS[1], ARGV[3])`;

/** KEYS: hash. ARGV: lease in ms. Returns instance, value, instance, value, …, and removes those whose lease has ended. */
const READ = `${NOW}
local reports = redis.call('HGETALL', KEYS[1])
local live = {}
for i = 1, #reports, 2 do
  if now - (tonumber(string.match(reports[i + 1], '^{"atMs":(%d+)')) or 0) < tonumber(ARGV[1]) then
    live[#live + 1] = reports[i]
    live[#live + 1] = reports[i + 1]
  else
    redis.call('HDEL', KEYS[1], reports[i])
  end
end
return live`;

/** `leaseMs`: milliseconds a report is believed. Default LEASE_MS. */
export function createRedisInstanceRegistry({
  redis,
  leaseMs = LEASE_MS,
}: {
  redis: RedisConnection;
  leaseMs?: number;
}): InstanceRegistry {
  return {
    async report(instance, { connectionsByCompany }) {
      await redis.script(REPORT, [KEY], [instance, JSON.stringify(connectionsByCompany), String(leaseMs)]);
    },
    async withdraw(instance) {
      await redis.command(["HDEL", KEY, instance]);
    },
    async connectionsByCompany(except) {
      const live = (await redis.script(READ, [KEY], [String(leaseMs)])) as readonly string[];
      const sums = new Map<string, number>();
      for (let at = 0; at < live.length; at += 2) {
        if (live[at] === except) continue;
        const { connectionsByCompany } = JSON.parse(live[at + 1]!) as InstanceReport;
        for (const [company, connections] of Object.entries(connectionsByCompany)) {
          sums.set(company, (sums.get(company) ?? 0) + connections);
        }
      }
      return Object.fromEntries(sums) as Record<CompanyId, number>;
    },
  };
}
