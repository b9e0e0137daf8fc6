/** Filters and formats. */
import { type Check, fail, MILLRACE, pass, verdict } from "../check.ts";
import { compareOrder, sameJson } from "../compare.ts";
import { parseJson } from "../http.ts";
import { show } from "../sse-parser.ts";

const WANTED = "conformance.wanted";
const OTHER = "conformance.other";

export const filterChecks: readonly Check[] = [
  {
    id: "filters.types",
    area: "filters",
    title: "types= lets exactly the named types through",
    source: "Millrace PROTOCOL, streams (types)",
    levels: MILLRACE,
    needs: ["publish", "types"],
    async run(context) {
      const third = "conformance.third";
      const one = await context.open({ query: { types: WANTED } });
      const two = await context.open({ query: { types: `${WANTED},${third}` } });
      const events = [WANTED, OTHER, third, OTHER, WANTED, third, WANTED].map(
        (type) => context.make(1, { type })[0]!,
      );
      await context.publish(events);
      await context.arrived(one, events.slice(-1));
      await context.arrived(two, events.slice(-1));
      await context.settle();
      const due = (...types: string[]) =>
        events.filter(({ type }) => types.includes(type)).map(({ mark }) => mark);
      const problem =
        compareOrder(due(WANTED), context.marksOf(one.parsed.events)) ??
        compareOrder(due(WANTED, third), context.marksOf(two.parsed.events));
      const stray = one.parsed.events.find(({ type }) => type !== WANTED);
      if (stray) return fail(`an event of type ${show(stray.type)} came through types=${WANTED}`);
      return verdict(problem, "one type and two types, each exact");
    },
  },
  {
    id: "filters.cursor",
    area: "filters",
    title: "Events filtered out still move the cursor, so a filtered client never replays them",
    source: "Millrace PROTOCOL, streams (id-only frames); WHATWG HTML 9.2.6 (an id without data)",
    levels: MILLRACE,
    needs: ["publish", "ids", "types"],
    async run(context) {
      const whole = await context.open();
      const filtered = await context.open({ query: { types: WANTED } });
      const wanted = context.make(1, { type: WANTED });
      const others = context.make(5, { type: OTHER });
      await context.publish([...wanted, ...others]);
      if (!(await context.arrived(whole, others))) return fail("the unfiltered client missed events");
      const tip = whole.parsed.events.find(({ data }) => data.includes(others.at(-1)!.mark))!.lastEventId;
      const idOf = ({ fields }: (typeof whole.parsed.blocks)[number]) =>
        fields.find(([name]) => name === "id")?.[1];
      // At the last of them, or behind it: others may publish to the company as well. An event that comes later proves nothing.
      const moved = await filtered.until(() => {
        const ids = whole.parsed.blocks.map(idOf).filter((id) => id !== undefined);
        const behind = new Set(ids.slice(ids.indexOf(tip)));
        return filtered.parsed.blocks.some(
          (block) => block.event === undefined && behind.has(idOf(block) ?? ""),
        );
      }, context.waitMs);
      if (!moved) {
        return fail(
          `the filtered client's cursor stayed at ${show(filtered.parsed.lastEventId)}, expected ${show(tip)}`,
        );
      }
      const came = context.marksOf(filtered.parsed.events);
      return came.length === 1
        ? pass("5 events filtered out, the cursor is at the last of them")
        : fail(`${came.length} events came through the filter, expected 1`);
    },
  },
  {
    id: "filters.resume",
    area: "filters",
    title: "A filtered client resumes into its filtered stream, exactly",
    source: "Millrace PROTOCOL, streams (types, resume)",
    levels: MILLRACE,
    needs: ["publish", "ids", "types"],
    async run(context) {
      const first = await context.open();
      const [start] = context.make(1);
      await context.publish([start!]);
      await context.arrived(first, [start!]);
      const lastEventId = first.parsed.lastEventId;
      const events = Array.from({ length: 20 }, (_, index) =>
        context.make(1, { type: index % 3 === 0 ? WANTED : OTHER }),
      ).flat();
      await context.publish(events);
      if (!(await context.arrived(first, events))) return fail("the unfiltered client missed events");
      const stream = await context.open({ lastEventId, query: { types: WANTED } });
      const wanted = events.filter(({ type }) => type === WANTED);
      await context.arrived(stream, wanted);
      await context.settle();
      return verdict(
        compareOrder(
          wanted.map(({ mark }) => mark),
          context.marksOf(stream.parsed.events),
        ),
        `${wanted.length} of ${events.length} replayed through the filter`,
      );
    },
  },
  {
    id: "format.cloudevents",
    area: "format",
    title: "format=cloudevents gives the whole event in the JSON event format, under the same id",
    source: "CloudEvents 1.0, required attributes; JSON event format 3; Millrace PROTOCOL, streams",
    levels: MILLRACE,
    needs: ["publish"],
    async run(context) {
      const plain = await context.open();
      const whole = await context.open({ query: { format: "cloudevents" } });
      const [event] = context.make(1, { type: WANTED });
      await context.publish([event!]);
      await context.arrived(plain, [event!]);
      if (!(await context.arrived(whole, [event!]))) return fail("the event never came");
      const find = ({ parsed }: typeof plain) =>
        parsed.events.find(({ data }) => data.includes(event!.mark))!;
      const got = find(whole);
      const cloudEvent = (parseJson(got.data) ?? {}) as Record<string, unknown>;
      const strings = ["id", "source", "type", "time"].filter(
        (name) => typeof cloudEvent[name] !== "string" || cloudEvent[name] === "",
      );
      if (cloudEvent.specversion !== "1.0" || strings.length > 0) {
        return fail(`the CloudEvent ${show(got.data)} lacks ${["specversion 1.0", ...strings].join(", ")}`);
      }
      if (cloudEvent.type !== got.type || cloudEvent.companyid !== context.target.company) {
        return fail(
          `type ${show(String(cloudEvent.type))}, companyid ${show(String(cloudEvent.companyid))}, expected ${show(got.type)} and ${show(context.target.company)}`,
        );
      }
      if (!sameJson(cloudEvent.data, JSON.parse(event!.data)))
        return fail(`its data is ${show(JSON.stringify(cloudEvent.data))}, expected ${show(event!.data)}`);
      return verdict(
        got.lastEventId === find(plain)?.lastEventId
          ? undefined
          : `its id is ${show(got.lastEventId)}, the plain stream's ${show(find(plain)?.lastEventId ?? "")}`,
        "a CloudEvent with the same id, type and data",
      );
    },
  },
];
