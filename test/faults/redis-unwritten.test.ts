/**
 * Redis tells subscribers of what it has not written to its file yet, where the socket of one was full: it goes on sending in the turn in which the
 * append ran, and a kill -9 before the end of that turn takes the append with it (ae.c: a barrier orders one socket's own events only). Such a turn
 * is made here: an append, a subscriber that takes bytes again, then a script that never ends.
 */
import { once } from "node:events";
import { connect } from "node:net";
import { createClient } from "redis";
import { describe, expect, it } from "vitest";
import { GENESIS } from "../../functions/core/cursor.ts";
import { event, newCompany, readTail } from "../contracts/event-log-support.ts";
import { startRedisRest } from "../support/redis-rest.ts";
import { missing } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { type OpenedLog, openResp, openRest } from "./lib/log.ts";
import { startProxy } from "./lib/proxy.ts";
import { startDurableRedis } from "./lib/redis.ts";

const reason = missing("redis-server");
/** A reader of wake-ups takes it for the second half of one whose first half it missed. */
const FILLER = `{${"x".repeat(8191)}`;

/** Bytes Redis gives one socket in one turn (NET_MAX_WRITES_PER_EVENT). */
const SENT_IN_A_TURN = 64 * 1024;

type OpenTail = (redisUrl: string) => Promise<OpenedLog>;

const overRest: OpenTail = async (redisUrl) => {
  const gateway = await startRedisRest(redisUrl);
  const { log, [Symbol.asyncDispose]: close } = openRest(gateway.url);
  return {
    log,
    async [Symbol.asyncDispose]() {
      await close();
      await gateway.stop();
    },
  };
};

describe("what Redis had told and not written when it was killed", { timeout: 60_000 }, () => {
  it.for<[string, OpenTail]>([
    ["over RESP", openResp],
    ["over REST", overRest],
  ])("is read once, when it is appended again: %s", async ([, openTail], context) => {
    if (reason) context.skip(reason);
    await using redis = await startDurableRedis();
    let down = "";
    await using proxy = await startProxy(Number(new URL(redis.url).port), "down", (chunk, way) => {
      if (way === "down") down += chunk.toString("latin1");
    });
    await using bridge = await openResp(redis.url);
    await using server = await openTail(`redis://127.0.0.1:${proxy.port}`);
    const company = newCompany("unwritten");
    const reader = readTail(server.log, company, GENESIS);

    /** Redis is killed in the turn in which it appends the event and tells the subscriber. Whether the bridge was told that the event is in. */
    const killInTurn = async (id: string): Promise<boolean> => {
      const admin = createClient({ url: redis.url, socket: { reconnectStrategy: false } });
      await admin.on("error", () => {}).connect();
      const endless = connect(Number(new URL(redis.url).port), "127.0.0.1").on("error", () => {});
      await once(endless, "connect");
      proxy.stall("down");
      const channel = (await admin.pubSubChannels(`*${company}*`))[0]!;
      let fillers = 0;
      // Until Redis itself is left with some of it, which is less than it sends in one turn.
      const isFull = async () => {
        await admin.publish(channel, FILLER);
        fillers++;
        return / oll=[1-9]/.test(String(await admin.sendCommand(["CLIENT", "LIST", "TYPE", "pubsub"])));
      };
      await waitFor("the subscriber's socket to be full", isFull, { everyMs: 0 });
      await redis.freeze();
      const append = bridge.log.append([event(company, id)]).then(
        () => true,
        (error: unknown) => {
          expect(error).toMatchObject({ code: "unavailable" });
          return false;
        },
      );
      await new Promise(setImmediate);
      down = "";
      proxy.release();
      const least = fillers * FILLER.length - SENT_IN_A_TURN;
      await waitFor("the subscriber's socket to be empty", () => down.length > least);
      // Resolves when it waits at Redis, behind the other two.
      await new Promise<void>((done) => endless.write("EVAL 'while true do end' 0\r\n", () => done()));
      redis.thaw();
      await waitFor("the subscriber to be told", () => down.includes(`"id":"${id}"`));
      await redis.kill();
      endless.destroy();
      return append;
    };

    const sent = ["first"];
    await bridge.log.append([event(company, "first")]);
    await reader.has(1);
    // Again where Redis had the time to end the turn.
    for (let wasLost = false; !wasLost; ) {
      const [id, next] = [`told ${sent.length}`, `next ${sent.length}`];
      const wasAcked = await killInTurn(id);
      await redis.start();
      const again = await waitFor("Redis to be back", () =>
        bridge.log.append([event(company, id), event(company, next)]),
      );
      wasLost = again[0]!.isNew;
      expect({ wasAcked, wasLost }).not.toEqual({ wasAcked: true, wasLost: true });
      sent.push(id, next);
      await reader.has(sent.length);
    }
    await reader.stop();
    expect(reader.ids()).toEqual(sent);
    expect(reader.gaps).toEqual([]);
  });
});
