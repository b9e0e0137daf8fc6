/** The counters: numbers of the log itself, the same over every transport. */
import { type Check, fail, MILLRACE, pass } from "../check.ts";
import { sameJson } from "../compare.ts";
import { parseJson } from "../http.ts";
import { show } from "../sse-parser.ts";
import { errorProblem } from "./status.ts";

const area = "counters";
const source = "Millrace PROTOCOL, counters";
const COUNTED = "conformance.counted";
const FED = "audit.txn";

interface Dashboard {
  readonly companyId?: unknown;
  readonly counters?: Readonly<
    Record<string, { readonly total: number; readonly minutes: readonly number[] }>
  >;
}
type Feed = Readonly<
  Record<string, { readonly total: number; readonly recent: readonly unknown[] } | undefined>
>;

/** The newest of the texts as what it says. */
const newest = <T>(texts: readonly string[]): T | undefined => parseJson(texts.at(-1) ?? "") as T | undefined;

export const counterChecks: readonly Check[] = [
  {
    id: "counters.dashboard",
    area,
    title: "The dashboard counts every event once, and says the same as a stream and over WebSocket",
    source,
    levels: MILLRACE,
    needs: ["publish", "types"],
    async run(context) {
      const sse = await context.openPath("/stream/dashboard");
      const socket = await context.openPath("/ws/dashboard");
      const ofSse = () => newest<Dashboard>(sse.parsed.events.map(({ data }) => data));
      const ofSocket = () => newest<Dashboard>(socket.texts.filter((text) => text !== "{}"));
      const totalOf = (dashboard: Dashboard | undefined) => dashboard?.counters?.[COUNTED]?.total ?? 0;
      const came =
        (await sse.until(() => ofSse() !== undefined, context.waitMs)) &&
        (await socket.until(() => ofSocket() !== undefined, context.waitMs));
      if (!came) return fail("no snapshot came at once");
      const before = totalOf(ofSse());
      const events = context.make(7, { type: COUNTED });
      await context.publish(events);
      for (const [stream, read] of [
        [sse, ofSse],
        [socket, ofSocket],
      ] as const)
        await stream.until(() => totalOf(read()) >= before + events.length, context.waitMs);
      const said = [ofSse(), ofSocket()];
      const totals = said.map(totalOf);
      if (totals.some((total) => total !== before + events.length))
        return fail(`totals of ${totals.join(" and ")}, expected ${before + events.length}`);
      const [first, second] = said;
      if (first?.companyId !== context.target.company || second?.companyId !== context.target.company)
        return fail(`snapshots of ${show(String(first?.companyId))}, expected the company's`);
      const counted = first.counters?.[COUNTED];
      return counted?.minutes.length === 60 && sameJson(counted, second.counters?.[COUNTED])
        ? pass(`${before}, then ${totals[0]}`)
        : fail(`${JSON.stringify(counted)} and ${JSON.stringify(second.counters?.[COUNTED])}`);
    },
  },
  {
    id: "counters.feed",
    area,
    title: "The feed comes as an unnamed event once a second, and when asked for, with the newest payloads",
    source,
    levels: MILLRACE,
    needs: ["publish", "types"],
    async run(context) {
      const feed = await context.openPath("/sse");
      const read = () => newest<Feed>(feed.parsed.events.map(({ data }) => data))?.AUDIT_TXN;
      if (!(await feed.until(() => read() !== undefined, context.waitMs))) return fail("no snapshot came");
      const before = read()!.total;
      const [event] = context.make(1, { type: FED });
      await context.publish([event!]);
      const came = await feed.until(() => read()!.total === before + 1, context.waitMs);
      if (!came) return fail(`a total of ${read()!.total}, expected ${before + 1}`);
      if (!JSON.stringify(read()!.recent.at(-1)).includes(event!.mark))
        return fail("the newest payload is not the last of recent");
      const stray = feed.parsed.events.find(
        ({ type, lastEventId }) => type !== "message" || lastEventId !== "",
      );
      if (stray) return fail(`an event of type ${show(stray.type)}, expected unnamed ones without an id`);
      const { target } = context;
      const polled = await context.askRoute(`/api/metrics?${target.companyParam}=${target.company}`);
      // At most a second old.
      const total = ((polled.json ?? {}) as Feed).AUDIT_TXN?.total;
      return total === before + 1 || total === before
        ? pass(`${before}, then ${before + 1}`)
        : fail(`/api/metrics answered ${polled.status} ${show(polled.text)}, expected ${before + 1}`);
    },
  },
  {
    id: "counters.scope",
    area,
    title: "Nobody sees the numbers of another company",
    source,
    levels: MILLRACE,
    needs: ["stream", "auth"],
    async run(context) {
      const { companyParam, otherCompany } = context.target;
      for (const path of ["/stream/dashboard", "/sse", "/api/metrics"]) {
        const problem = errorProblem(await context.askRoute(`${path}?${companyParam}=${otherCompany}`), 403);
        if (problem) return fail(`${path}: ${problem}`);
      }
      return pass("403 on each");
    },
  },
];
