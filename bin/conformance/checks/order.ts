/** Order: everybody sees one and the same. */
import { type Check, fail, MUST, pass } from "../check.ts";
import { compareOrder } from "../compare.ts";

export const orderChecks: readonly Check[] = [
  {
    id: "order.same",
    area: "order",
    title: "Several clients see 200 events in one and the same order, the order of publishing",
    source: "Millrace PROTOCOL, streams (log order); WHATWG HTML 9.2.4 (an id stands for all before it)",
    levels: MUST,
    needs: ["publish"],
    async run(context) {
      const streams = await Promise.all(Array.from({ length: 5 }, () => context.open()));
      const events = context.make(200);
      await context.publish(events);
      await Promise.all(streams.map((stream) => context.arrived(stream, events)));
      await context.settle();
      for (const [index, stream] of streams.entries()) {
        const problem = compareOrder(
          events.map(({ mark }) => mark),
          context.marksOf(stream.parsed.events),
        );
        if (problem) return fail(`client ${index + 1} of 5: ${problem}`);
      }
      return pass("5 clients, 200 events each, as published");
    },
  },
];
