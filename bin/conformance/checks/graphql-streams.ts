/** GraphQL over Server-Sent Events: subscriptions, their resuming and their end. */
import { type Check, fail, MILLRACE, pass, verdict } from "../check.ts";
import { compareOrder } from "../compare.ts";
import { type Context, newRunId } from "../context.ts";
import {
  CREATE,
  itemsOf,
  MESSAGES,
  POST,
  type Result,
  run,
  subscribe,
  UPDATES,
  type Variables,
} from "../graphql-client.ts";
import { parseJson } from "../http.ts";
import { show } from "../sse-parser.ts";
import type { SseStream } from "../sse-reader.ts";

const area = "graphql";
const source = "Millrace PROTOCOL, GraphQL; GraphQL over Server-Sent Events, distinct connections mode";
const rule = { area, source, levels: MILLRACE, needs: ["stream"] } as const;

const textsOf = (stream: SseStream) =>
  itemsOf(stream).flatMap(({ message }) => (message ? [String((message as Variables).text)] : []));

const numbered = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => `message ${from + index}`);

async function say(context: Context, ticketId: string, texts: readonly string[]): Promise<void> {
  for (const text of texts) await run(context, POST, { ticketId, text });
}

export const graphqlStreamChecks: readonly Check[] = [
  {
    ...rule,
    id: "graphql.subscription",
    title: "A mutation reaches who has subscribed, and nobody who follows something else",
    async run(context) {
      const [id, other] = [`kit-${newRunId()}`, `kit-${newRunId()}`];
      const stream = await subscribe(context, UPDATES, { id });
      if (!(await stream.until(() => itemsOf(stream).length > 0, context.waitMs)))
        return fail("nothing said where one stands");
      await run(context, CREATE, { id: other, subject: "other" });
      await run(context, CREATE, { id, subject: "own" });
      const change = "mutation ($id: ID!) { updateTicket(id: $id, input: { status: CLOSED }) { id } }";
      await run(context, change, { id });
      const tickets = () => itemsOf(stream).flatMap(({ ticket }) => (ticket ? [ticket as Variables] : []));
      if (!(await stream.until(() => tickets().length >= 2, context.waitMs)))
        return fail(`${tickets().length} updates came within ${context.waitMs} ms, expected 2`);
      const stray = stream.parsed.events.find(({ type }) => type !== "next");
      if (stray) return fail(`an event of type ${show(stray.type)}, expected next`);
      return verdict(
        compareOrder(
          [`${id} OPEN`, `${id} CLOSED`],
          tickets().map((ticket) => `${ticket.id} ${ticket.status}`),
          "update",
        ),
        "created and closed",
      );
    },
  },
  {
    ...rule,
    id: "graphql.resume",
    title: "A subscription goes on after a cursor, in `after` or Last-Event-ID, without gap and duplicate",
    async run(context) {
      const ticketId = `kit-${newRunId()}`;
      await run(context, CREATE, { id: ticketId, subject: "resumed" });
      const stream = await subscribe(context, MESSAGES, { ticketId });
      await stream.until(() => itemsOf(stream).length > 0, context.waitMs);
      await say(context, ticketId, numbered(0, 4));
      if (!(await stream.until(() => textsOf(stream).length >= 4, context.waitMs)))
        return fail(`${textsOf(stream).length} of 4 messages came`);
      const at = itemsOf(stream).findIndex(
        ({ message }) => (message as Variables | null)?.text === "message 1",
      );
      const after = String(itemsOf(stream)[at]!.cursor);
      const nexts = stream.parsed.events.filter(({ type }) => type === "next");
      if (nexts[at]!.lastEventId !== after)
        return fail(`an id of ${show(nexts[at]!.lastEventId)}, expected the cursor ${show(after)}`);
      stream.close();
      await say(context, ticketId, numbered(4, 6));
      const writing = say(context, ticketId, numbered(6, 12));
      writing.catch(() => {});
      const ways = {
        after: await subscribe(context, MESSAGES, { ticketId, after }),
        // A browser repeats the stale argument.
        "Last-Event-ID": await subscribe(
          context,
          MESSAGES,
          { ticketId, after: String(itemsOf(stream)[0]!.cursor) },
          { lastEventId: after },
        ),
      };
      await writing;
      for (const [name, back] of Object.entries(ways)) {
        await back.until(() => textsOf(back).includes("message 11"), context.waitMs);
        await context.settle();
        const problem = compareOrder(numbered(2, 12), textsOf(back), "message");
        if (problem) return fail(`by ${name}: ${problem}`);
      }
      return pass("4 messages replayed, 6 that came meanwhile");
    },
  },
  {
    ...rule,
    id: "graphql.complete",
    title: "What has an end ends with `complete`, a query and a subscription that fails alike",
    async run(context) {
      const streams = {
        "a query": await subscribe(context, "{ __typename }", {}),
        "a subscription of a bad cursor": await subscribe(context, MESSAGES, {
          ticketId: "t",
          after: "nonsense",
        }),
      };
      for (const [name, stream] of Object.entries(streams)) {
        if (!(await stream.until(() => stream.ended, context.waitMs))) return fail(`${name} did not end`);
        const types = stream.parsed.events.map(({ type }) => type).join(", ");
        if (types !== "next, complete")
          return fail(`${name}: ${types || "nothing"}, expected next, complete`);
      }
      const refused = parseJson(streams["a subscription of a bad cursor"].parsed.events[0]!.data) as Result;
      return Array.isArray(refused.errors)
        ? pass("next, then complete")
        : fail(`a bad cursor was answered ${show(JSON.stringify(refused))}, expected errors`);
    },
  },
  {
    ...rule,
    id: "graphql.disabled",
    title:
      "Where streaming is switched off a subscription says when to come back, and completes; queries are answered",
    needs: ["disabled"],
    async run(context) {
      const stream = await subscribe(context, UPDATES, {});
      if (!(await stream.until(() => stream.ended, context.waitMs)))
        return fail("the subscription was left open, expected its end");
      const { blocks, events } = stream.parsed;
      const types = events.map(({ type }) => type).join(", ");
      if (types !== "next, complete") return fail(`${types || "nothing"}, expected next, complete`);
      const { errors } = parseJson(events[0]!.data) as Result;
      const { code, retryAfter } = errors?.[0]?.extensions ?? {};
      if (code !== "disabled" || typeof retryAfter !== "number")
        return fail(`${show(events[0]!.data)}, expected the code disabled and retryAfter`);
      if (!blocks.some(({ fields }) => fields.some(([name]) => name === "retry")))
        return fail("no retry field, expected one for an EventSource");
      await run(context, "{ __typename }");
      return pass(`disabled, come back after ${retryAfter} s`);
    },
  },
];
