/** Appends as fast as it can, one way or another, in a process of its own. */
import { createClient } from "redis";
import { encodeRecord, type MillraceEvent, parseEvent } from "../../../functions/core/event.ts";
import { type OpenLog, openRedisLog, openSqliteLog } from "./logs.ts";
import { payload } from "./payload.ts";
import { answerCalls } from "./worker.ts";

/** Events of one batch: what the bridge takes in one go. */
const BATCH_EVENTS = 500;
/** Batches sent and not yet answered, so that neither side waits for the other. */
const BATCHES_IN_FLIGHT = 4;

let lastId = 0;

function batch(company: string): MillraceEvent[] {
  return Array.from({ length: BATCH_EVENTS }, () => {
    const number = ++lastId;
    return parseEvent({
      companyId: company,
      source: "/bench",
      id: `bench-${number}`,
      type: "metric_updated",
      dataText: payload(company, number, number),
    });
  });
}

/** Events a second over the time; making the events is not counted. */
async function pace(
  seconds: number,
  prepared: number,
  send: (index: number) => Promise<unknown>,
): Promise<number> {
  const startMs = performance.now();
  let sent = 0;
  const lane = async () => {
    while (sent < prepared && performance.now() - startMs < seconds * 1000) await send(sent++);
  };
  await Promise.all(Array.from({ length: BATCHES_IN_FLIGHT }, lane));
  return (sent * BATCH_EVENTS * 1000) / (performance.now() - startMs);
}

/** More batches than the time is enough for. */
function prepare(company: string, seconds: number): MillraceEvent[][] {
  return Array.from({ length: Math.ceil((seconds * 250_000) / BATCH_EVENTS) }, () => batch(company));
}

async function append(opened: OpenLog, company: string, seconds: number): Promise<number> {
  const batches = prepare(company, seconds);
  const rate = await pace(seconds, batches.length, (index) => opened.log.append(batches[index]!));
  await opened[Symbol.asyncDispose]();
  return rate;
}

const calls = {
  /** The log's append: duplicates dropped, counted, trimmed, readers woken. */
  redisLog: async (url: string, company: string, seconds: number) =>
    append(await openRedisLog(url), company, seconds),

  sqliteLog: async (folder: string, company: string, seconds: number) =>
    append(await openSqliteLog(folder), company, seconds),

  /** The same records by bare XADD, pipelined by the same Redis client. */
  async bareXadd(url: string, key: string, seconds: number): Promise<number> {
    const batches = prepare(key, seconds).map((events) => events.map(encodeRecord));
    const client = createClient({ url });
    await client.connect();
    const rate = await pace(seconds, batches.length, (index) =>
      Promise.all(
        batches[index]!.map((record) => client.sendCommand(["XADD", `bare:${key}`, "*", "e", record])),
      ),
    );
    client.destroy();
    return rate;
  },
};

export type AppenderCalls = typeof calls;

answerCalls(calls);
