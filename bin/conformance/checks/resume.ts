/** Resume: what came before the cut and after it make the whole, once and in order. */
import { type Check, fail, MILLRACE, MUST, notRun, pass, verdict } from "../check.ts";
import { compareOrder } from "../compare.ts";
import type { Context, Marked } from "../context.ts";
import { type SseEvent, show } from "../sse-parser.ts";
import type { SseStream } from "../sse-reader.ts";

const area = "resume";

/** A client that read a burst without a break: what every resume is measured by. */
async function readBurst(context: Context, count: number) {
  const stream = await context.open();
  const events = context.make(count);
  await context.publish(events);
  const came = await context.arrived(stream, events);
  if (!came) throw new Error(`an uninterrupted client did not get ${count} events`);
  return { stream, events };
}

/** The events after the one with the id, up to the last of `until`. */
function slice(stream: SseStream, afterId: string, until: Marked): SseEvent[] {
  const { events } = stream.parsed;
  const from = events.findIndex(({ lastEventId }) => lastEventId === afterId) + 1;
  const to = events.findIndex(({ data }) => data.includes(until.mark)) + 1;
  return events.slice(from, to);
}

const idOf = (stream: SseStream, event: Marked): string =>
  stream.parsed.events.find(({ data }) => data.includes(event.mark))?.lastEventId ?? "";

const ids = (events: readonly SseEvent[]): string[] => events.map(({ lastEventId }) => lastEventId);

/** What a resumed stream got, up to the last of the burst, against the uninterrupted one; undefined when they are the same. */
function differs(whole: SseStream, resumed: SseStream, afterId: string, last: Marked): string | undefined {
  const { events } = resumed.parsed;
  const until = events.findLastIndex(({ data }) => data.includes(last.mark)) + 1;
  const got = events.slice(0, until || undefined);
  const gap = got.find(({ type }) => type === "gap");
  if (gap) return `a gap was said where nothing was lost: ${show(gap.data)}`;
  return compareOrder(ids(slice(whole, afterId, last)), ids(got));
}

export const resumeChecks: readonly Check[] = [
  {
    id: "resume.every-point",
    area,
    title: "Resuming with Last-Event-ID at any point of a burst gives exactly the rest of it",
    source: "WHATWG HTML 9.2.4 (Last-Event-ID)",
    levels: MUST,
    needs: ["publish", "ids"],
    async run(context) {
      const { stream: whole, events } = await readBurst(context, 20);
      const last = events.at(-1)!;
      const points = events.slice(0, -1);
      const resumed = await Promise.all(
        points.map(async (event) => {
          const id = idOf(whole, event);
          const stream = await context.open({ lastEventId: id });
          await context.arrived(stream, [last], 2_000);
          return { id, stream };
        }),
      );
      await context.settle();
      for (const [index, { id, stream }] of resumed.entries()) {
        const problem = differs(whole, stream, id, last);
        if (problem) return fail(`resumed after event ${index + 1} of 20: ${problem}`);
      }
      return pass(`${points.length} points, each exact`);
    },
  },
  {
    id: "resume.nothing-missed",
    area,
    title: "A client that missed nothing is sent nothing again, and stays live",
    source: "WHATWG HTML 9.2.4 (Last-Event-ID)",
    levels: MUST,
    needs: ["publish", "ids"],
    async run(context) {
      const { stream: whole } = await readBurst(context, 3);
      const seen = whole.parsed.events.length;
      const stream = await context.open({ lastEventId: whole.parsed.lastEventId });
      await context.settle();
      const next = context.make(1);
      await context.publish(next);
      if (!(await context.arrived(stream, next)))
        return fail("after the resume a new event never came, expected it live");
      const known = new Set(ids(whole.parsed.events.slice(0, seen)));
      const again = ids(stream.parsed.events).filter((id) => known.has(id));
      return verdict(
        again.length > 0
          ? `${again.length} known events came again, such as ${show(again[0]!)}, expected none`
          : undefined,
        "no repeat, then live",
      );
    },
  },
  {
    id: "resume.seam",
    area,
    title: "Resuming while events are being published leaves no gap and no duplicate at the seam",
    source: "WHATWG HTML 9.2.4; Millrace PROTOCOL, streams (replay, then live, in log order)",
    levels: MUST,
    needs: ["publish", "ids"],
    async run(context) {
      const { stream: whole, events } = await readBurst(context, 5);
      const startId = idOf(whole, events[0]!);
      let stopped = false;
      const publishing = context.publishUntil(() => stopped);
      const resumed: SseStream[] = [];
      try {
        const startMs = performance.now();
        while (resumed.length < 12 && performance.now() - startMs < 3_000) {
          resumed.push(await context.open({ lastEventId: startId }));
          // Let some traffic pass between two seams: the next client joins at another point of it.
          const seen = whole.parsed.events.length;
          await whole.until(() => whole.parsed.events.length > seen + 20, 250);
        }
      } finally {
        stopped = true;
      }
      const published = await publishing;
      const last = published.at(-1);
      if (!last) return notRun("nothing could be published meanwhile");
      if (!(await context.arrived(whole, published)))
        return fail("the uninterrupted client itself missed events");
      await Promise.all(resumed.map((stream) => context.arrived(stream, [last])));
      await context.settle();
      for (const [index, stream] of resumed.entries()) {
        const problem = differs(whole, stream, startId, last);
        if (problem)
          return fail(`client ${index + 1} of ${resumed.length}, resumed under traffic: ${problem}`);
      }
      return pass(`${resumed.length} clients joined amid ${published.length} events, each exact`);
    },
  },
  {
    id: "resume.reconnects",
    area,
    title: "A client cut and resumed again and again under traffic ends with what an uninterrupted one has",
    source: "WHATWG HTML 9.2.3 (reestablish the connection), 9.2.4",
    levels: MUST,
    needs: ["traffic", "ids"],
    run: runReconnects,
  },
  {
    id: "resume.long-absence",
    area,
    title: "A client that was away for 5,000 events gets them all, in order",
    source: "Millrace PROTOCOL, streams (a slow client loses nothing while the log has its events)",
    levels: MILLRACE,
    needs: ["publish", "ids"],
    async run(context) {
      const { stream: whole, events } = await readBurst(context, 1);
      const id = idOf(whole, events[0]!);
      whole.close();
      const missed = context.make(5_000);
      await context.publish(missed);
      const stream = await context.open({ lastEventId: id });
      await context.arrived(stream, missed, context.target.patienceMs / 2);
      return verdict(
        compareOrder(
          missed.map(({ mark }) => mark),
          context.marksOf(stream.parsed.events),
        ),
        "5,000 of 5,000",
      );
    },
  },
  {
    id: "resume.query",
    area,
    title: "The cursor may come in the query",
    source: "Millrace PROTOCOL, streams (lastEventId)",
    levels: MILLRACE,
    needs: ["publish", "ids"],
    async run(context) {
      const { stream: whole, events } = await readBurst(context, 5);
      const id = idOf(whole, events[1]!);
      const stream = await context.open({ query: { [context.target.lastIdParam]: id } });
      await context.arrived(stream, events.slice(2));
      await context.settle();
      return verdict(differs(whole, stream, id, events.at(-1)!), "the rest, exactly");
    },
  },
  {
    id: "resume.header-wins",
    area,
    title: "The Last-Event-ID header wins over the query, which a browser's own reconnect repeats stale",
    source: "WHATWG HTML 9.2.3; Millrace PROTOCOL, streams",
    levels: MILLRACE,
    needs: ["publish", "ids"],
    async run(context) {
      const { stream: whole, events } = await readBurst(context, 6);
      const stale = idOf(whole, events[0]!);
      const fresh = idOf(whole, events[3]!);
      const stream = await context.open({
        lastEventId: fresh,
        query: { [context.target.lastIdParam]: stale },
      });
      await context.arrived(stream, events.slice(4));
      await context.settle();
      return verdict(differs(whole, stream, fresh, events.at(-1)!), "resumed at the header's cursor");
    },
  },
];

/** Uses published events where it can and what happens by itself where it cannot. */
async function runReconnects(context: Context) {
  const publishes = context.target.publisher !== undefined && context.learned.publishProblem === undefined;
  const wantedCuts = publishes ? 15 : 6;
  const whole = await context.open();
  let stream = await context.open();
  let stopped = false;
  const publishing = publishes ? context.publishUntil(() => stopped) : Promise.resolve([]);
  const got: SseEvent[] = [];
  let cuts = 0;
  try {
    const endMs = performance.now() + context.target.patienceMs / 2;
    while (cuts < wantedCuts && performance.now() < endMs) {
      const due = publishes ? 3 + ((cuts * 7) % 20) : 1;
      const enough = await stream.until(() => stream.parsed.events.length >= due, 1_500);
      if (!enough && !publishes) continue;
      got.push(...stream.parsed.events);
      if (cuts % 2 === 0) stream.reset();
      else stream.close();
      cuts++;
      const lastEventId = got.at(-1)?.lastEventId;
      stream = await context.open(lastEventId === undefined ? {} : { lastEventId });
    }
  } finally {
    stopped = true;
  }
  const published = await publishing;
  if (publishes) {
    // The last of them may have come before the last cut: one more that both must see.
    const closing = context.make(1);
    await context.publish(closing);
    await context.arrived(whole, [...published, ...closing]);
    await context.arrived(stream, closing);
  } else {
    const seen = whole.parsed.events.length;
    await whole.until(() => whole.parsed.events.length > seen, 1_500);
  }
  await context.settle();
  got.push(...stream.parsed.events);
  if (cuts < 3) return notRun(`only ${cuts} reconnects could be made in time: too little traffic`);
  const first = got[0]!.lastEventId;
  const due = whole.parsed.events.slice(
    whole.parsed.events.findIndex(({ lastEventId }) => lastEventId === first),
  );
  // One may have heard an event more than the other when the looking stopped.
  const length = publishes ? Math.max(due.length, got.length) : Math.min(due.length, got.length);
  return verdict(
    compareOrder(ids(due.slice(0, length)), ids(got.slice(0, length))),
    `${cuts} cuts amid ${got.length} events, nothing lost, repeated or out of place`,
  );
}
