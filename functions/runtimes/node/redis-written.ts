/**
 * Holds back what a subscriber is told until Redis has written what it tells of.
 *
 * Redis writes its append-only file once a turn of its event loop, before it answers. A subscriber whose socket was full is the exception: it is sent
 * bytes within the turn (ae.c: AE_BARRIER orders the events of one socket, not of two), and a Redis that is killed in that moment has told of an append that
 * it does not have when it is back. Whoever was given it would be given it again under another id. An answer to anything sent after the message is of a
 * later turn, so one PING a batch of messages is enough.
 */
import type { Client } from "./redis-link.ts";

/** Runs the function when Redis has written what it told on this client before the call, in the order of the calls; never, when the client is lost first. */
export type WhenWritten = (client: Client, run: () => void) => void;

export function createWhenWritten(): WhenWritten {
  let batch: (() => void)[] | undefined;
  const confirm = async (client: Client, runs: readonly (() => void)[]) => {
    try {
      await client.ping();
      // An earlier batch may have failed, and nothing behind it may be handed on.
      if (!client.isOpen) return;
      for (const run of runs) run();
    } catch {
      // It is lost; or Redis is busy with a script, and said so within its turn; or nobody can read what it told. On another client the subscriptions
      // are restored, and what was missed is read.
      if (client.isOpen) client.destroy();
    }
  };
  return (client, run) => {
    if (batch === undefined) {
      const own: (() => void)[] = [];
      batch = own;
      // What came in one read of the socket goes together: nothing runs in between.
      queueMicrotask(() => {
        batch = undefined;
        void confirm(client, own);
      });
    }
    batch.push(run);
  };
}
