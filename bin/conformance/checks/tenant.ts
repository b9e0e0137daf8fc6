/** Tenants: no byte of one company's event reaches another's connection. */
import { type Check, fail, MUST, notRun, pass } from "../check.ts";
import type { Context, Marked } from "../context.ts";
import { show } from "../sse-parser.ts";
import type { SseStream } from "../sse-reader.ts";

const area = "tenant";
const source = "OWASP API Security Top 10, API1:2023; Millrace PROTOCOL, who may read what";

/** Some for the other company around some for this one. */
async function publishBoth(context: Context): Promise<{ mine: Marked[]; theirs: Marked[] }> {
  const { otherCompany } = context.target;
  const theirs = context.make(6, { company: otherCompany });
  const mine = context.make(4);
  for (let at = 0; at < 3; at++) {
    await context.publish(theirs.slice(at * 2, at * 2 + 2), otherCompany);
    await context.publish(mine.slice(at, at + 1));
  }
  await context.publish(mine.slice(3));
  return { mine, theirs };
}

/** The first of their marks anywhere on the stream, also outside of events. */
function leaked({ parsed }: SseStream, theirs: readonly Marked[]): string | undefined {
  const text = [
    ...parsed.blocks.flatMap(({ fields }) => fields.map(([, value]) => value)),
    parsed.unfinished(),
  ];
  return theirs.find(({ mark }) => text.some((value) => value.includes(mark)))?.mark;
}

export const tenantChecks: readonly Check[] = [
  {
    id: "tenant.live",
    area,
    title: "Events of another company never arrive live",
    source,
    levels: MUST,
    needs: ["publish"],
    async run(context) {
      const stream = await context.open();
      const { mine, theirs } = await publishBoth(context);
      if (!(await context.arrived(stream, mine))) return fail("the company's own events did not arrive");
      await context.settle();
      const leak = leaked(stream, theirs);
      return leak
        ? fail(
            `event ${show(leak)} of ${context.target.otherCompany} came on the stream of ${context.target.company}`,
          )
        : pass(
            `${theirs.length} events of ${context.target.otherCompany} among ${mine.length} own, none came`,
          );
    },
  },
  {
    id: "tenant.replay",
    area,
    title: "Events of another company never arrive in a replay",
    source,
    levels: MUST,
    needs: ["publish", "ids"],
    async run(context) {
      const before = await context.open();
      const start = context.make(1);
      await context.publish(start);
      await context.arrived(before, start);
      const { mine, theirs } = await publishBoth(context);
      await context.arrived(before, mine);
      const stream = await context.open({ lastEventId: idOf(before, start[0]!) });
      if (!(await context.arrived(stream, mine)))
        return notRun("there is no replay: the company's own events did not come either");
      await context.settle();
      const leak = leaked(stream, theirs);
      return leak
        ? fail(
            `event ${show(leak)} of ${context.target.otherCompany} was replayed to ${context.target.company}`,
          )
        : pass(`${mine.length} own events replayed, none of ${context.target.otherCompany}`);
    },
  },
  {
    id: "tenant.foreign-cursor",
    area,
    title: "A cursor of another company's stream opens none of its events",
    source,
    levels: MUST,
    needs: ["publish", "ids"],
    async run(context) {
      const { otherCompany, otherToken, token } = context.target;
      if (token && !otherToken) return notRun("needs a token of the other company (--other-token)");
      const other = await context.open({
        company: otherCompany,
        ...(otherToken ? { token: otherToken } : {}),
      });
      const first = context.make(1, { company: otherCompany });
      await context.publish(first, otherCompany);
      if (!(await context.arrived(other, first)))
        return notRun("the other company's stream carries no events");
      const cursor = other.parsed.lastEventId;
      const { mine, theirs } = await publishBoth(context);
      const answer = await context.open({ lastEventId: cursor }).catch((error: Error) => error);
      if (answer instanceof Error) return pass(`refused: ${answer.message}`);
      const after = context.make(1);
      await context.publish(after);
      if (!(await context.arrivedAfterReplay(answer, after)))
        return fail("the stream was opened with a foreign cursor and stays silent");
      await context.settle();
      const leak = leaked(answer, [...first, ...theirs]);
      return leak
        ? fail(`event ${show(leak)} of ${otherCompany} came on the stream of ${context.target.company}`)
        : pass(`none of ${theirs.length} foreign events; ${mine.length} own`);
    },
  },
];

const idOf = ({ parsed }: SseStream, { mark }: Marked): string =>
  parsed.events.find(({ data }) => data.includes(mark))?.lastEventId ?? "";
