/** Liveness: an event comes when it happens, not when a buffer is full. */
import { type Check, fail, MILLRACE, MUST, PROMISED, pass, verdict } from "../check.ts";
import type { Context } from "../context.ts";
import type { SseStream } from "../sse-reader.ts";

/** Bound on one event's way through, generous for a far server. */
const LATE_MS = 2_000;

/** Publishes one event and returns how long it took to come, or undefined when it was late. */
async function timeOne(context: Context, stream: SseStream): Promise<number | undefined> {
  const events = context.make(1);
  const startMs = performance.now();
  await context.publish(events);
  const came = await context.arrived(stream, events, LATE_MS);
  return came ? Math.round(performance.now() - startMs) : undefined;
}

export const liveChecks: readonly Check[] = [
  {
    id: "live.delivery",
    area: "live",
    title: "A published event reaches a connected client",
    source: "WHATWG HTML 9.2.1",
    levels: MUST,
    needs: ["stream"],
    async run({ learned, target }) {
      if (!target.publisher) return { kind: "not-run", reason: "needs a publisher (--publish)" };
      return verdict(learned.publishProblem, "the first event published arrived");
    },
  },
  {
    id: "live.from-headers",
    area: "live",
    title: "What is published once the response headers are there is never missed",
    source: "Millrace PROTOCOL, streams (replay, then live, no gap at the seam)",
    levels: MILLRACE,
    needs: ["publish"],
    async run(context) {
      const rounds = 10;
      for (let round = 1; round <= rounds; round++) {
        const stream = await context.open();
        const events = context.make(1);
        await context.publish(events);
        if (!(await context.arrived(stream, events))) {
          return fail(`the event published right after the headers never came (round ${round} of ${rounds})`);
        }
        stream.close();
      }
      return pass(`${rounds} of ${rounds} came`);
    },
  },
  {
    id: "buffering.live",
    area: "buffering",
    title: "A small event arrives while the connection stays open",
    source: "WHATWG HTML 9.2.7 (chunking and buffering between event and client)",
    levels: MUST,
    needs: ["publish"],
    async run(context) {
      const stream = await context.open();
      const ms = await timeOne(context, stream);
      if (ms === undefined) return fail(`not within ${LATE_MS} ms: something on the way buffers the stream`);
      return stream.ended ? fail("the event came, but the stream was closed with it") : pass(`${ms} ms`);
    },
  },
  {
    id: "buffering.separate",
    area: "buffering",
    title: "Events published one after the other arrive one after the other, not in a heap",
    source: "WHATWG HTML 9.2.7 (chunking and buffering between event and client)",
    levels: MUST,
    needs: ["publish"],
    async run(context) {
      const stream = await context.open();
      const times: number[] = [];
      for (let count = 1; count <= 5; count++) {
        const ms = await timeOne(context, stream);
        if (ms === undefined)
          return fail(`event ${count} of 5 did not come within ${LATE_MS} ms, before the next was published`);
        times.push(ms);
      }
      return pass(`${times.join(", ")} ms`);
    },
  },
  {
    id: "buffering.compressed",
    area: "buffering",
    title: "A client that accepts compression, as every browser does, gets events as promptly",
    source: "RFC 9110 12.5.3; RFC 9111 5.2.2.6",
    levels: PROMISED,
    needs: ["publish"],
    async run(context) {
      const stream = await context.open({ headers: { "accept-encoding": "gzip, deflate, br, zstd" } });
      const coding = stream.headers["content-encoding"] ?? "none";
      const ms = await timeOne(context, stream);
      return ms === undefined
        ? fail(`not within ${LATE_MS} ms with content-encoding: ${coding}: the compressor keeps it`)
        : pass(`${ms} ms, content-encoding: ${coding}`);
    },
  },
];
