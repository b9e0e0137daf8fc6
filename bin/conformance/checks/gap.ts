/** Gaps: what cannot be replayed is said in the stream, where a bare EventSource sees it. */
import { type Check, fail, MILLRACE, notRun, pass, verdict } from "../check.ts";
import type { Context } from "../context.ts";
import { parseJson } from "../http.ts";
import { type SseEvent, show } from "../sse-parser.ts";

const area = "gap";
const source =
  "Millrace PROTOCOL, streams (gap); whatwg/html issue 8297 (no header or status reaches an EventSource)";

/** A cursor of the same form that names a log which never was. Undefined when the id has no epoch to change. */
export function foreignCursor(id: string): string | undefined {
  const match = /^[A-Za-z0-9]{1,24}(\..+)$/.exec(id);
  return match ? `conformance0${match[1]}` : undefined;
}

/** A cursor of the same log, a day ahead of it. */
function futureCursor(id: string): string | undefined {
  const match = /^([A-Za-z0-9]{1,24}\.)(\d+)(-\d+)$/.exec(id);
  return match ? `${match[1]}${Number(match[2]) + 86_400_000}${match[3]}` : undefined;
}

async function realCursor(context: Context): Promise<string> {
  const stream = await context.open();
  const events = context.make(3);
  await context.publish(events);
  await (context.target.publisher
    ? context.arrived(stream, events)
    : stream.until(() => stream.parsed.events.length > 0, context.waitMs));
  return stream.parsed.lastEventId;
}

/** What is wrong with a gap event, undefined when nothing is. */
export function gapProblem(event: SseEvent | undefined, requested: string): string | undefined {
  if (!event) return "no event came, expected a gap event first";
  if (event.type !== "gap") return `the first event is of type ${show(event.type)}, expected gap`;
  const data = parseJson(event.data) as Record<string, unknown> | undefined;
  if (data?.reason !== "reset") return `gap data is ${show(event.data)}, expected the reason "reset"`;
  if (data.requested !== requested)
    return `gap data is ${show(event.data)}, expected requested: "${requested}"`;
  if (typeof data.resumedAt !== "string")
    return `gap data is ${event.data}, expected resumedAt to be a cursor`;
  return undefined;
}

export const gapChecks: readonly Check[] = [
  {
    id: "gap.foreign-epoch",
    area,
    title:
      "A cursor of a log that is gone is answered with a gap of reason reset, then the oldest event kept",
    source,
    levels: MILLRACE,
    needs: ["publish", "ids"],
    async run(context) {
      const cursor = foreignCursor(await realCursor(context));
      if (!cursor) return notRun("ids have no epoch this kit could change");
      const stream = await context.open({ lastEventId: cursor });
      await stream.until(() => stream.parsed.events.length > 1, context.waitMs);
      const [gap, oldest] = stream.parsed.events;
      const problem = gapProblem(gap, cursor);
      if (problem) return fail(problem);
      if (!oldest) return fail("nothing came after the gap, expected the oldest event kept");
      const { resumedAt } = parseJson(gap!.data) as { resumedAt: string };
      return verdict(
        oldest.lastEventId === resumedAt
          ? undefined
          : `the event after the gap has the id ${show(oldest.lastEventId)}, expected resumedAt, ${show(resumedAt)}`,
        `gap ${gap!.data}, then the event it names`,
      );
    },
  },
  {
    id: "gap.future",
    area,
    title: "A cursor beyond the newest event is answered with a gap, and new events come",
    source,
    levels: MILLRACE,
    needs: ["publish", "ids"],
    async run(context) {
      const cursor = futureCursor(await realCursor(context));
      if (!cursor) return notRun("ids have no position this kit could change");
      const stream = await context.open({ lastEventId: cursor });
      await stream.until(() => stream.parsed.events.length > 0, context.waitMs);
      const problem = gapProblem(stream.parsed.events[0], cursor);
      if (problem) return fail(problem);
      const events = context.make(3);
      await context.publish(events);
      const came = await context.arrivedAfterReplay(stream, events);
      return came
        ? pass("gap, then new events")
        : fail("after the gap new events never came: the client starves");
    },
  },
  {
    id: "gap.once",
    area,
    title: "A client that has heard of a gap is not told again when it reconnects",
    source,
    levels: { millrace: "SHOULD" },
    needs: ["publish", "ids"],
    async run(context) {
      const cursor = foreignCursor(await realCursor(context));
      if (!cursor) return notRun("ids have no epoch this kit could change");
      const stream = await context.open({ lastEventId: cursor });
      await stream.until(() => stream.parsed.events.length > 0, context.waitMs);
      const gap = stream.parsed.events[0];
      if (gap?.type !== "gap") return fail("no gap came");
      stream.reset();
      const again = await context.open({ lastEventId: gap.lastEventId });
      await again.until(() => again.parsed.events.length > 0, context.waitMs);
      return verdict(
        again.parsed.events[0]?.type === "gap" ? "the reconnect heard the same gap again" : undefined,
        "the reconnect went on behind the gap",
      );
    },
  },
];
