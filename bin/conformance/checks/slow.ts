/** Slow readers: one who hangs costs nobody else anything. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Check, fail, MILLRACE, MUST, PROMISED, pass, verdict } from "../check.ts";
import { compareOrder } from "../compare.ts";
import type { Context, Marked } from "../context.ts";
import { parseJson } from "../http.ts";
import { show } from "../sse-parser.ts";
import type { SseStream } from "../sse-reader.ts";

const area = "slow";
/** More than the sockets of both ends take in (Linux: 4 MiB to send, 6 MiB to receive), so the server must hold or stop. */
const EVENTS = 300;
const PAD = "x".repeat(40_000);
/** How long the client stays hung once everything has been published. */
const HANG_MS = 1_000;

/** A client that reads the opening and one event, then hangs while the rest is published. */
async function hang(context: Context, query: Record<string, string> = {}) {
  const slow = await context.open({ query });
  const first = context.make(1);
  await context.publish(first);
  if (!(await context.arrived(slow, first))) throw new Error("the first event did not arrive");
  slow.pause();
  return slow;
}

const marks = (events: readonly Marked[]): string[] => events.map(({ mark }) => mark);
const publishAll = async (context: Context, events: readonly Marked[]) => {
  for (let at = 0; at < events.length; at += 20) await context.publish(events.slice(at, at + 20));
};

function exact(context: Context, stream: SseStream, events: readonly Marked[]): string | undefined {
  const due = new Set(marks(events));
  return compareOrder(
    marks(events),
    context.marksOf(stream.parsed.events).filter((mark) => due.has(mark)),
  );
}

export const slowChecks: readonly Check[] = [
  {
    id: "slow.others",
    area,
    title: "While one client does not read, the others get everything",
    source: "Millrace PROTOCOL, streams (a slow client never costs another client anything)",
    levels: MUST,
    needs: ["publish"],
    async run(context) {
      await hang(context);
      const reader = await context.open();
      const events = context.make(EVENTS, { data: { pad: PAD } });
      await publishAll(context, events);
      await context.arrived(reader, events, context.target.patienceMs / 2);
      return verdict(
        exact(context, reader, events),
        `${EVENTS} of ${EVENTS} events, 12 MB, past a hung client`,
      );
    },
  },
  {
    id: "slow.catches-up",
    area,
    title: "A client that did not read for a while then gets everything, in order",
    source: "Millrace PROTOCOL, streams (it loses nothing while the log still has its events)",
    levels: PROMISED,
    needs: ["publish"],
    async run(context) {
      const slow = await hang(context);
      const reader = await context.open();
      const events = context.make(EVENTS, { data: { pad: PAD } });
      await publishAll(context, events);
      await context.arrived(reader, events, context.target.patienceMs / 2);
      await sleep(HANG_MS);
      slow.resume();
      await context.arrived(slow, events, context.target.patienceMs / 2);
      if (slow.ended && exact(context, slow, events))
        return fail("the slow client was cut, expected it to catch up");
      return verdict(exact(context, slow, events), `${EVENTS} of ${EVENTS} events once it read again`);
    },
  },
  {
    id: "slow.drop-oldest",
    area,
    title: "overflow=drop-oldest skips to fresh events and says so with a gap of reason dropped",
    source: "Millrace PROTOCOL, streams (overflow)",
    levels: MILLRACE,
    needs: ["publish"],
    async run(context) {
      const slow = await hang(context, { overflow: "drop-oldest" });
      const reader = await context.open();
      const events = context.make(EVENTS, { data: { pad: PAD } });
      await publishAll(context, events);
      await context.arrived(reader, events, context.target.patienceMs / 2);
      await sleep(HANG_MS);
      slow.resume();
      const newest = events.slice(-1);
      if (!(await context.arrived(slow, newest, context.target.patienceMs / 2)))
        return fail("the newest event never came once the client read again");
      const got = context
        .marksOf(slow.parsed.events)
        .filter((mark) => events.some((event) => event.mark === mark));
      const order = got.map((mark) => events.findIndex((event) => event.mark === mark));
      if (order.some((place, index) => index > 0 && place <= order[index - 1]!))
        return fail("events came twice or out of order after the drop");
      const gap = slow.parsed.events.find(({ type }) => type === "gap");
      if (got.length === EVENTS)
        return gap ? fail("a gap was said, yet nothing was dropped") : pass("nothing had to be dropped");
      const reason = (parseJson(gap?.data ?? "") as { reason?: unknown } | undefined)?.reason;
      return reason === "dropped"
        ? pass(`${EVENTS - got.length} of ${EVENTS} dropped, said so: ${gap!.data}`)
        : fail(`${EVENTS - got.length} events are missing and the gap is ${show(gap?.data ?? "not said")}`);
    },
  },
];
