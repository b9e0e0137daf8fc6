/** What a subscriber is told is held until Redis has answered; that it is lost where Redis is killed is in test/faults/redis-unwritten.test.ts. */
import { createClient } from "redis";
import { expect, it } from "vitest";
import { createWhenWritten } from "../../functions/runtimes/node/redis-written.ts";
import { missing, startRedis } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";

it("hands nothing on behind what could not be read, and gives the connection up", async (context) => {
  const reason = missing("redis-server");
  if (reason) context.skip(reason);
  await using redis = await startRedis();
  const client = createClient({
    ...{ url: redis.url, RESP: 2, disableOfflineQueue: true, maintNotifications: "disabled" },
    socket: { reconnectStrategy: false },
  } as const);
  client.on("error", () => {});
  await client.connect();
  const whenWritten = createWhenWritten();
  const ran: number[] = [];
  whenWritten(client as never, () => ran.push(1));
  await client.ping();
  whenWritten(client as never, () => {
    ran.push(2);
    throw new Error("unreadable");
  });
  // Another batch, whose PING goes with the first one's.
  await Promise.resolve();
  whenWritten(client as never, () => ran.push(3));
  await waitFor("the end", () => !client.isOpen);
  await new Promise(setImmediate);
  expect(ran).toEqual([1, 2]);
});
