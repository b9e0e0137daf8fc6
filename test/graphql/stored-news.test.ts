/** readStoredNews and readStoredMessages on both stores: what the log holds at a cursor. */
import { describe, expect, it } from "vitest";
import { createRedisLog } from "../../functions/adapters/event-log-redis.ts";
import type { Cursor } from "../../functions/core/cursor.ts";
import type { CompanyId } from "../../functions/core/ids.ts";
import { readStoredMessages, readStoredNews } from "../../functions/graphql/stored-news.ts";
import { ticketEvent } from "../../functions/graphql/ticket-events.ts";
import type { EventLog } from "../../functions/ports/event-log.ts";
import { connectRedis } from "../../functions/runtimes/node/redis-resp.ts";
import { startTestApp } from "../routes/test-app.ts";
import { silent } from "../support/logger.ts";
import { missing, startRedis } from "../support/servers.ts";

const ACME = "acme" as CompanyId;

async function check(log: EventLog) {
  const at = new Date().toISOString();
  const message = { ticketId: "t", author: null, text: "x", at };
  const events = (from: number, count: number) =>
    Array.from({ length: count }, (_, n) => {
      const id = `m${from + n}`;
      return ticketEvent(ACME, { kind: "message", message: { ...message, id } }, id);
    });
  const cursors: Cursor[] = [];
  // Several of one append, and of several.
  for (const from of [0, 5, 6]) {
    for (const { cursor } of await log.append(events(from, from === 5 ? 1 : 5))) cursors.push(cursor);
  }
  for (const [n, cursor] of cursors.entries()) {
    expect(await readStoredNews(log, ACME, cursor)).toMatchObject({ message: { id: `m${n}` } });
  }
  // Some of them, one that is held already among them, and one that the log never had.
  const [epoch] = cursors[0]!.split(".");
  const held = { ...message, id: "held" };
  const some = [`${epoch}.1-0` as Cursor, ...cursors.slice(0, 7), held, cursors[9]!];
  expect((await readStoredMessages(log, ACME, some)).map(({ id }) => id)).toEqual([
    ...["m0", "m1", "m2", "m3", "m4", "m5", "m6", "held", "m9"],
  ]);
  expect(await readStoredNews(log, ACME, `${epoch}.1-0` as Cursor)).toBeUndefined();
}

describe("readStoredNews, readStoredMessages", () => {
  it("of the embedded log, read the entry at a cursor, and none where there is none", async () => {
    await using test = await startTestApp();
    await check(test.log);
  });

  it.skipIf(missing("redis-server"))("of the log on Redis, do so too", async () => {
    await using server = await startRedis();
    await using redis = await connectRedis(server.url, silent);
    await using log = createRedisLog({ redis, retentionMs: 3_600_000, timeZone: "UTC", logger: silent });
    await check(log);
  });
});
