/** Ids: what they may look like and what they stand for. */
import { type Check, fail, MILLRACE, MUST, notRun, pass, SHOULD, verdict } from "../check.ts";
import { compareOrder } from "../compare.ts";
import type { Context } from "../context.ts";
import { show } from "../sse-parser.ts";
import type { SseStream } from "../sse-reader.ts";

const area = "cursor";

async function readIds(context: Context): Promise<SseStream> {
  const stream = await context.open();
  const events = context.make(10);
  await context.publish(events);
  await (context.target.publisher
    ? context.arrived(stream, events)
    : stream.until(() => stream.parsed.events.length > 4, context.waitMs));
  return stream;
}

const idsOf = ({ parsed }: SseStream): string[] => [
  ...parsed.events.map(({ lastEventId }) => lastEventId),
  parsed.lastEventId,
];

export const cursorChecks: readonly Check[] = [
  {
    id: "cursor.sendable",
    area,
    title: "Ids are short printable ASCII, so every client can send them back in a header",
    source: "WHATWG HTML 9.2.4; RFC 9110 5.5",
    levels: SHOULD,
    needs: ["traffic", "ids"],
    async run(context) {
      const stream = await readIds(context);
      if (stream.parsed.events.length === 0) return notRun("no event came");
      const bad = idsOf(stream).find((id) => !/^[\x21-\x7e]{1,256}$/.test(id));
      return verdict(
        bad === undefined ? undefined : `the id ${show(bad)}, expected 1-256 printable ASCII characters`,
        `ids such as ${show(stream.parsed.lastEventId)}`,
      );
    },
  },
  {
    id: "cursor.syntax",
    area,
    title: "Ids are at most 64 characters of A-Z a-z 0-9 . _ -",
    source: "Millrace PROTOCOL, streams (the cursor)",
    levels: MILLRACE,
    needs: ["traffic", "ids"],
    async run(context) {
      const stream = await readIds(context);
      if (stream.parsed.events.length === 0) return notRun("no event came");
      const bad = idsOf(stream).find((id) => !/^[A-Za-z0-9._-]{1,64}$/.test(id));
      return verdict(
        bad === undefined ? undefined : `the id ${show(bad)} has other characters or is too long`,
        `ids such as ${show(stream.parsed.lastEventId)}`,
      );
    },
  },
  {
    id: "cursor.unique",
    area,
    title: "No two events share an id, and an event has the same id for every client",
    source: "WHATWG HTML 9.2.4 (the id alone says where to resume)",
    levels: MUST,
    needs: ["publish", "ids"],
    async run(context) {
      const streams = [await context.open(), await context.open()] as const;
      const events = context.make(10);
      await context.publish(events);
      for (const stream of streams) await context.arrived(stream, events);
      const [mine, yours] = streams.map(({ parsed }) =>
        parsed.events
          .filter((event) => context.marksOf([event]).length > 0)
          .map((event) => event.lastEventId),
      );
      const repeated = mine!.find((id, index) => mine!.indexOf(id) !== index);
      if (repeated !== undefined) return fail(`the id ${show(repeated)} stands for two events`);
      const problem = compareOrder(mine!, yours!, "id");
      return problem
        ? fail(`two clients saw different ids: ${problem}`)
        : pass("10 events, 10 ids, the same for both");
    },
  },
];
