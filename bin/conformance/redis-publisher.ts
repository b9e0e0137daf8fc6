/** A publisher that appends to the event log on Redis, as a bridge does: for servers that have no bridge beside them, such as the edge. */
import { randomUUID } from "node:crypto";
import { createRedisLog } from "../../functions/adapters/event-log-redis.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import { type MillraceEvent, parseEvent } from "../../functions/core/event.ts";
import { readSettings } from "../../functions/core/settings.ts";
import { connectRedis } from "../../functions/runtimes/node/redis-resp.ts";
import type { Outgoing, Publisher } from "./publishers.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** `url`: the server's REDIS_URL. REPLAY_RETENTION_MS and TODAY_TIMEZONE are to be the server's too: an append trims the log and counts. */
export function createRedisPublisher(url: string): Publisher {
  let opened: ReturnType<typeof open> | undefined;
  const open = async () => {
    const redis = await connectRedis(url, silent);
    const { REPLAY_RETENTION_MS: retentionMs, TODAY_TIMEZONE: timeZone } = readSettings(process.env);
    return { redis, log: createRedisLog({ redis, retentionMs, timeZone, logger: silent }) };
  };
  return {
    name: "redis",
    carriesText: false,
    carriesAnyAttribute: true,
    async publish(company, events) {
      opened ??= open();
      const valid = events.flatMap((event) => parse(company, event) ?? []);
      if (valid.length > 0) await (await opened).log.append(valid);
    },
    async close() {
      const { redis, log } = (await opened?.catch(() => undefined)) ?? {};
      await log?.[Symbol.asyncDispose]();
      await redis?.[Symbol.asyncDispose]();
    },
  };
}

/** Undefined: a bridge would put it into the dead letters and go on. */
function parse(companyId: string, { type, data, id = randomUUID() }: Outgoing): MillraceEvent | undefined {
  try {
    return parseEvent({ companyId, source: "/conformance", id, type, dataText: data });
  } catch (error) {
    if (error instanceof MillraceError && error.code === "invalid-input") return undefined;
    throw error;
  }
}
