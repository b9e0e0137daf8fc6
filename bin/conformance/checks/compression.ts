/** Compression: only for who asks, and nothing is held back by it. */
import { type Check, fail, MILLRACE, MUST, pass, verdict } from "../check.ts";
import { compareOrder } from "../compare.ts";
import type { Context } from "../context.ts";
import type { SseStream } from "../sse-reader.ts";

const area = "compression";
const source = "Millrace PROTOCOL, compression; RFC 9110 8.4.1.3 (gzip)";
const GZIP = { headers: { "accept-encoding": "gzip" } } as const;
/** Bound on one event's way through, generous for a far server. */
const LATE_MS = 2_000;

const codingOf = ({ headers }: SseStream) => headers["content-encoding"];
const ids = (context: Context, { parsed }: SseStream) =>
  parsed.events
    .filter((event) => context.marksOf([event]).length > 0)
    .map(({ lastEventId, data }) => `${lastEventId} ${data}`);

export const compressionChecks: readonly Check[] = [
  {
    id: "compression.asked",
    area,
    title: "A stream is compressed for nobody who has not asked for it, or has declined it",
    source: "RFC 9110 12.5.3 (Accept-Encoding; a weight of 0 is not acceptable)",
    levels: MUST,
    needs: ["stream"],
    async run(context) {
      for (const asked of ["gzip;q=0, identity", "gzip;q=0.0, *;q=0, identity;q=1", "identity;q=1, *;q=0"]) {
        const coding = codingOf(await context.open({ headers: { "accept-encoding": asked } }));
        if (coding !== undefined && coding !== "identity")
          return fail(`accept-encoding: ${asked} was answered with content-encoding: ${coding}`);
      }
      const coding = codingOf(await context.open());
      return context.learned.profile === "millrace" && coding !== undefined
        ? fail(`content-encoding: ${coding} without Accept-Encoding, expected none`)
        : pass(`content-encoding: ${coding ?? "none"} without Accept-Encoding`);
    },
  },
  {
    id: "compression.each-event",
    area,
    title: "In gzip every event can be decoded as soon as it comes, in replay as live, and is the same event",
    source,
    levels: MILLRACE,
    needs: ["publish", "ids"],
    async run(context) {
      const plain = await context.open();
      const live = await context.open(GZIP);
      if (codingOf(live) === undefined) return pass("streams are not compressed here");
      const vary = live.headers.vary ?? "";
      if (!/\baccept-encoding\b/i.test(vary)) return fail(`vary: ${vary}, expected Accept-Encoding`);
      const came = await live.until(() => live.parsed.blocks.length > 0, LATE_MS);
      if (!came) return fail("nothing could be decoded of the opening, expected a first frame at once");
      for (let count = 1; count <= 5; count++) {
        const events = context.make(1);
        await context.publish(events);
        if (!(await context.arrived(live, events, LATE_MS)))
          return fail(`event ${count} of 5 could not be decoded before the next was published`);
      }
      const burst = context.make(200, { data: { pad: "the same again ".repeat(20) } });
      await context.publish(burst);
      for (const stream of [plain, live]) await context.arrived(stream, burst);
      const after = plain.parsed.events.find((event) => context.marksOf([event]).length > 0)?.lastEventId;
      const replayed = await context.open({ ...GZIP, lastEventId: after ?? "" });
      await context.arrived(replayed, burst);
      await context.settle();
      const due = ids(context, plain);
      return verdict(
        compareOrder(due, ids(context, live)) ?? compareOrder(due.slice(1), ids(context, replayed)),
        `${due.length} events, the same as uncompressed`,
      );
    },
  },
];
