/** The events over WebSocket: the same as on the stream, in another wrapping. */
import { type Check, fail, MILLRACE, pass, verdict } from "../check.ts";
import { compareOrder, sameJson } from "../compare.ts";
import type { Context, Marked } from "../context.ts";
import { parseJson } from "../http.ts";
import { show } from "../sse-parser.ts";
import type { Stream } from "../stream.ts";
import { foreignCursor, gapProblem } from "./gap.ts";

const area = "web-socket";
const source = "Millrace PROTOCOL, WebSocket";

/** Id and type of the run's own events, in order. */
const named = (context: Context, { parsed }: Stream): string[] =>
  parsed.events
    .filter((event) => context.marksOf([event]).length > 0)
    .map(({ lastEventId, type }) => `${lastEventId} ${type}`);

const idOf = ({ parsed }: Stream, { mark }: Marked): string =>
  parsed.events.find(({ data }) => data.includes(mark))?.lastEventId ?? "";

/** Both transports, each told of the same burst. */
async function readBoth(context: Context, events: readonly Marked[]) {
  const sse = await context.open();
  const socket = await context.openSocket();
  // The handshake promises nothing, the first message does.
  await socket.until(() => socket.messages.length > 0, context.waitMs);
  await context.publish(events);
  for (const stream of [sse, socket]) {
    if (!(await context.arrived(stream, events))) throw new Error("not every event came");
  }
  return { sse, socket };
}

export const webSocketChecks: readonly Check[] = [
  {
    id: "web-socket.same",
    area,
    title:
      "The WebSocket carries what the stream does: the same events, ids and order, each one message of JSON",
    source,
    levels: MILLRACE,
    needs: ["publish", "ids"],
    async run(context) {
      const events = context
        .make(20)
        .map((event, index) => ({ ...event, type: `conformance.t${index % 3}` }));
      const number = '"large":12345678901234567890';
      const verbatim = { ...events[7]!, data: `${events[7]!.data.slice(0, -1)},${number}}` };
      const { sse, socket } = await readBoth(context, events.with(7, verbatim));
      await context.settle();
      const problem = socket.parsed.problems[0] ?? compareOrder(named(context, sse), named(context, socket));
      if (problem) return fail(problem);
      const [first] = socket.messages;
      if (first?.retry === undefined || Object.keys(first).length > 1)
        return fail(`the first message is ${show(socket.texts[0] ?? "")}, expected retry alone`);
      const find = ({ parsed }: Stream, { mark }: Marked) =>
        parseJson(parsed.events.find(({ data }) => data.includes(mark))?.data ?? "");
      const other = events.find((event) => !sameJson(find(sse, event), find(socket, event)));
      if (other) return fail(`the data of ${other.mark} is another than on the stream`);
      return socket.texts.some((text) => text.includes(number))
        ? pass(`${events.length} events, as on the stream`)
        : fail(`${number} came as another number, expected the data as it was published`);
    },
  },
  {
    id: "web-socket.resume",
    area,
    title: "A cursor of either transport resumes on the other, in the header and in the query, at any point",
    source,
    levels: MILLRACE,
    needs: ["publish", "ids"],
    async run(context) {
      const events = context.make(20);
      const { sse, socket } = await readBoth(context, events);
      for (const index of [0, 9, 18]) {
        const rest = events.slice(index + 1);
        const fromStream = idOf(sse, events[index]!);
        const fromSocket = idOf(socket, events[index]!);
        const resumed = [
          await context.openSocket({ lastEventId: fromStream }),
          await context.openSocket({ query: { [context.target.lastIdParam]: fromSocket } }),
          await context.open({ lastEventId: fromSocket }),
        ];
        for (const stream of resumed) await context.arrived(stream, rest);
        await context.settle();
        for (const [at, stream] of resumed.entries()) {
          const problem = compareOrder(
            rest.map(({ mark }) => mark),
            context.marksOf(stream.parsed.events),
          );
          const way = ["a stream's id in the header", "its own in the query", "its own on the stream"][at];
          if (problem) return fail(`${way}, after event ${index + 1} of ${events.length}: ${problem}`);
        }
      }
      return pass("3 points, 3 ways each, exact");
    },
  },
  {
    id: "web-socket.seam",
    area,
    title: "Resuming a WebSocket while events are being published leaves no gap and no duplicate",
    source,
    levels: MILLRACE,
    needs: ["publish", "ids"],
    async run(context) {
      const [start] = context.make(1);
      const { socket: whole } = await readBoth(context, [start!]);
      const lastEventId = idOf(whole, start!);
      const resumed: Stream[] = [];
      const endMs = performance.now() + 2_000;
      const published = await context.publishUntil(() => resumed.length >= 6 || performance.now() > endMs, {
        meanwhile: async () => {
          while (resumed.length < 6) resumed.push(await context.openSocket({ lastEventId }));
        },
      });
      for (const stream of [whole, ...resumed]) await context.arrived(stream, published);
      await context.settle();
      const due = published.map(({ mark }) => mark);
      for (const stream of [whole, ...resumed]) {
        const got = context.marksOf(stream.parsed.events).filter((mark) => mark !== start!.mark);
        const problem = compareOrder(due, got);
        if (problem) return fail(problem);
      }
      return pass(`${resumed.length} joined amid ${published.length} events, each exact`);
    },
  },
  {
    id: "web-socket.filters",
    area,
    title: "types= and format=cloudevents are those of the stream; what is filtered out moves the cursor",
    source,
    levels: MILLRACE,
    needs: ["publish", "ids", "types"],
    async run(context) {
      const [wanted, type] = [context.make(2, { type: "conformance.wanted" }), "conformance.wanted"];
      const others = context.make(3, { type: "conformance.other" });
      const socket = await context.openSocket({ query: { types: type, format: "cloudevents" } });
      await socket.until(() => socket.messages.length > 0, context.waitMs);
      const { sse } = await readBoth(context, [wanted[0]!, ...others.slice(0, 2), wanted[1]!, others[2]!]);
      const tip = idOf(sse, others[2]!);
      // At the last of them, or behind it: others may publish to the company as well.
      const moved = await socket.until(() => {
        const ids = sse.parsed.events.map(({ lastEventId }) => lastEventId);
        const behind = ids.slice(ids.indexOf(tip));
        return socket.messages.some(({ id, event }) => !event && id !== undefined && behind.includes(id));
      }, context.waitMs);
      const came = compareOrder(
        wanted.map(({ mark }) => mark),
        context.marksOf(socket.parsed.events),
      );
      if (came) return fail(came);
      if (!moved) return fail(`the cursor stayed at ${socket.parsed.lastEventId}, expected ${tip}`);
      const event = parseJson(socket.parsed.events[0]?.data ?? "") as Record<string, unknown>;
      return event?.specversion === "1.0" && event.companyid === context.target.company
        ? pass("2 of 5 came as CloudEvents, and the cursor is at the last")
        : fail(`the data is ${show(socket.parsed.events[0]?.data ?? "")}, expected a CloudEvent`);
    },
  },
  {
    id: "web-socket.gap",
    area,
    title: "What cannot be replayed is said by a message, and the oldest event kept follows",
    source,
    levels: MILLRACE,
    needs: ["publish", "ids"],
    async run(context) {
      const events = context.make(2);
      const { socket } = await readBoth(context, events);
      const cursor = foreignCursor(socket.parsed.lastEventId);
      if (!cursor) return { kind: "not-run", reason: "ids have no epoch this kit could change" };
      const lost = await context.openSocket({ lastEventId: cursor });
      await lost.until(() => lost.parsed.events.length > 1, context.waitMs);
      const [gap, oldest] = lost.parsed.events;
      const { resumedAt } = (parseJson(gap?.data ?? "") ?? {}) as { resumedAt?: string };
      return verdict(
        gapProblem(gap, cursor) ??
          (oldest?.lastEventId === resumedAt
            ? undefined
            : `${oldest?.lastEventId} follows the gap, expected ${resumedAt}`),
        `${gap?.data}`,
      );
    },
  },
  {
    id: "web-socket.tenant",
    area,
    title: "No event of another company arrives, live or replayed",
    source: "OWASP API Security Top 10, API1:2023; Millrace PROTOCOL, who may read what",
    levels: MILLRACE,
    needs: ["publish", "ids"],
    async run(context) {
      const { company, otherCompany } = context.target;
      const [first, ...mine] = context.make(4);
      const theirs = context.make(4, { company: otherCompany });
      const { socket } = await readBoth(context, [first!]);
      await context.publish(theirs.slice(0, 2), otherCompany);
      await context.publish(mine);
      await context.publish(theirs.slice(2), otherCompany);
      const replayed = await context.openSocket({ lastEventId: idOf(socket, first!) });
      for (const stream of [socket, replayed]) {
        if (!(await context.arrived(stream, mine))) return fail(`events of ${company} did not arrive`);
      }
      await context.settle();
      const leak = theirs.find(({ mark }) =>
        [...socket.texts, ...replayed.texts].some((text) => text.includes(mark)),
      );
      return verdict(leak && `${leak.mark} of ${otherCompany} came`, `none of ${theirs.length}`);
    },
  },
  {
    id: "slow.web-socket",
    area: "slow",
    title:
      "A WebSocket client that does not read costs nobody anything, and gets everything when it reads again",
    source,
    levels: MILLRACE,
    needs: ["publish"],
    async run(context) {
      const [first, ...events] = context.make(301, { data: { pad: "x".repeat(40_000) } });
      const { sse, socket } = await readBoth(context, [first!]);
      socket.pause();
      for (let at = 0; at < events.length; at += 20) await context.publish(events.slice(at, at + 20));
      const { patienceMs } = context.target;
      if (!(await context.arrived(sse, events, patienceMs / 2)))
        return fail("the stream beside a hung WebSocket missed events");
      socket.resume();
      await context.arrived(socket, events, patienceMs / 2);
      const problem = compareOrder(
        events.map(({ mark }) => mark),
        context.marksOf(socket.parsed.events).filter((mark) => mark !== first!.mark),
      );
      return verdict(problem, `${events.length} of ${events.length} events once it read again`);
    },
  },
];
