/** The history: the same events as JSON pages, for backfill behind a cache. */
import { type Check, fail, MILLRACE, pass, verdict } from "../check.ts";
import { compareOrder } from "../compare.ts";
import type { Context } from "../context.ts";
import { show } from "../sse-parser.ts";
import { errorProblem } from "./status.ts";

const area = "history";
const source = "Millrace PROTOCOL, streams (history)";

interface Page {
  readonly events: readonly { readonly cursor: string; readonly type: string }[];
  readonly next: string;
  readonly more: boolean;
}

const path = (company: string, after: string, limit = 500) =>
  `/stream/history?${new URLSearchParams({ companyId: company, after, limit: String(limit) })}`;

/** Reads pages until the tip. Throws, in words for the report, at the first that has another shape. */
async function readPages(context: Context, after: string, limit: number): Promise<Page["events"]> {
  const events: Page["events"][number][] = [];
  for (let cursor = after; ; ) {
    const answer = await context.askRoute(path(context.target.company, cursor, limit));
    const page = answer.json as Partial<Page> | undefined;
    if (answer.status !== 200 || !Array.isArray(page?.events)) {
      throw new Error(
        `the history answered ${answer.status} ${show(answer.text)}, expected 200 and JSON with events`,
      );
    }
    if (page.events.length > limit)
      throw new Error(`a page of ${page.events.length} events, expected at most ${limit}`);
    events.push(...page.events);
    if (!page.more) return events;
    if (typeof page.next !== "string" || page.next === cursor)
      throw new Error(`more is true and next is ${show(String(page.next))}: no way on`);
    cursor = page.next;
  }
}

export const historyChecks: readonly Check[] = [
  {
    id: "history.pages",
    area,
    title: "The pages after a cursor hold exactly what the stream carried, ids and types included",
    source,
    levels: MILLRACE,
    needs: ["publish", "ids"],
    async run(context) {
      const stream = await context.open();
      const events = context.make(13, { type: "conformance.paged" });
      await context.publish(events);
      if (!(await context.arrived(stream, events))) return fail("the stream itself missed events");
      const streamed = stream.parsed.events;
      const from = streamed.findIndex(({ data }) => data.includes(events[0]!.mark));
      const to = streamed.findIndex(({ data }) => data.includes(events.at(-1)!.mark));
      const due = streamed.slice(from + 1, to + 1);
      const pages = await readPages(context, streamed[from]!.lastEventId, 5);
      // What happened since is in the pages too.
      const got = pages.slice(0, due.length);
      return verdict(
        compareOrder(
          due.map(({ lastEventId, type }) => `${lastEventId} ${type}`),
          got.map(({ cursor, type }) => `${cursor} ${type}`),
        ),
        `${got.length} events in pages of 5, as streamed`,
      );
    },
  },
  {
    id: "history.latest",
    area,
    title: "`after=latest` says where the log ends: from there on comes what is new, and nothing else",
    source,
    levels: MILLRACE,
    needs: ["publish", "ids"],
    async run(context) {
      const stream = await context.open();
      const [before, ...events] = context.make(4);
      await context.publish([before!]);
      if (!(await context.arrived(stream, [before!]))) return fail("the stream itself missed an event");
      const answer = await context.askRoute(path(context.target.company, "latest"));
      const page = answer.json as Partial<Page> | undefined;
      if (answer.status !== 200 || page?.events?.length !== 0 || page.more !== false)
        return fail(`it answered ${answer.status} ${show(answer.text)}, expected 200, no events and no more`);
      await context.publish(events);
      if (!(await context.arrived(stream, events))) return fail("the stream itself missed events");
      const pages = await readPages(context, page.next ?? "", 500);
      return verdict(
        compareOrder(
          events.map(({ mark }) => mark),
          context.marksOf(pages.map((event) => ({ data: JSON.stringify(event) }))),
        ),
        "where the log ended, then the 3 events since",
      );
    },
  },
  {
    id: "history.scoped",
    area,
    title: "The pages hold no event of another company",
    source,
    levels: MILLRACE,
    needs: ["publish", "ids"],
    async run(context) {
      const { otherCompany } = context.target;
      const stream = await context.open();
      const [start, own] = context.make(2);
      const theirs = context.make(3, { company: otherCompany });
      await context.publish([start!]);
      await context.arrived(stream, [start!]);
      const after = stream.parsed.events.find(({ data }) => data.includes(start!.mark))!.lastEventId;
      await context.publish(theirs, otherCompany);
      await context.publish([own!]);
      await context.arrived(stream, [own!]);
      const text = JSON.stringify(await readPages(context, after, 500));
      const leak = theirs.find(({ mark }) => text.includes(mark));
      if (leak) return fail(`event ${show(leak.mark)} of ${otherCompany} is in the pages`);
      return text.includes(own!.mark) ? pass("own events only") : fail("the company's own event is missing");
    },
  },
  {
    id: "history.refusals",
    area,
    title: "The history refuses what the stream refuses",
    source,
    levels: MILLRACE,
    needs: ["stream"],
    async run(context) {
      const { company, otherCompany, token } = context.target;
      const bad = { "a bad company": path("a b", ""), "a bad cursor": path(company, "nonsense") };
      for (const [name, url] of Object.entries(bad)) {
        const problem = errorProblem(await context.askRoute(url), 400);
        if (problem) return fail(`${name}: ${problem}`);
      }
      if (!token) return pass("400 for a bad company and a bad cursor");
      const anonymous = await context.askRoute(path(company, ""), { token: null });
      if (anonymous.status !== 401) return fail(`no token was answered ${anonymous.status}, expected 401`);
      const problem = errorProblem(await context.askRoute(path(otherCompany, "")), 403);
      return verdict(problem && `another company: ${problem}`, "400, 401 and 403 as the stream");
    },
  },
];
