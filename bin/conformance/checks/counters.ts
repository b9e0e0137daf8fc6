/** The counters: numbers of the log itself, the same over every transport. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Check, fail, MILLRACE, notRun, pass } from "../check.ts";
import { sameJson } from "../compare.ts";
import { parseJson } from "../http.ts";
import { poll } from "../poll.ts";
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
interface Fed {
  readonly total: number;
  /** Oldest first. */
  readonly recent: readonly unknown[];
}
type Feed = Readonly<Record<string, Fed | undefined>>;
/** Milliseconds from one snapshot to the next, and a little. */
const SNAPSHOT_MS = 1_100;
/** How many the feed shows. */
const RECENT = 10;

/** How many there were up to and with the one of that mark; undefined: it is not among the newest. */
function countUpTo(fed: Fed | undefined, mark: string): number | undefined {
  const at = fed?.recent.findIndex((payload) => JSON.stringify(payload).includes(mark)) ?? -1;
  return fed === undefined || at < 0 ? undefined : fed.total - (fed.recent.length - 1 - at);
}

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
      /** Total and newest payloads may be of two moments: what is the same a snapshot later is of one. */
      const settled = async (mark: string) => {
        if (!(await feed.until(() => countUpTo(read(), mark) !== undefined, context.waitMs)))
          return undefined;
        for (let tries = 5, count = countUpTo(read(), mark); tries > 0; tries--) {
          const had = feed.parsed.events.length;
          await sleep(SNAPSHOT_MS);
          // A busy server may be late: the same one twice says nothing.
          await feed.until(() => feed.parsed.events.length > had, context.waitMs);
          const later = countUpTo(read(), mark);
          if (later === count || later === undefined) return later;
          count = later;
        }
        return undefined;
      };
      if (!(await feed.until(() => read() !== undefined, context.waitMs))) return fail("no snapshot came");
      // Others may be counted meanwhile: how many they are is on the stream.
      const stream = await context.open({ query: { types: FED } });
      const [first, ...rest] = context.make(4, { type: FED });
      const last = rest.at(-1)!;
      const counts: number[] = [];
      for (const events of [[first!], rest]) {
        const { mark } = events.at(-1)!;
        const before = read()!.total;
        await context.publish(events);
        const count = await settled(mark);
        if (count === undefined) {
          const came = read()!.total - before;
          return came > RECENT
            ? notRun(`other events of type ${FED} come faster than the feed shows them`)
            : fail(`a total of ${read()!.total} after ${before}, and not with the newest payload`);
        }
        counts.push(count);
      }
      if (!(await context.arrived(stream, [first!, ...rest]))) return fail("they did not come on the stream");
      // A server that does not filter is not to be blamed here for that.
      const streamed = stream.parsed.events.filter(({ type }) => type === FED);
      const places = [first!, last].map(({ mark }) => streamed.findIndex(({ data }) => data.includes(mark)));
      const [came, counted] = [places[1]! - places[0]!, counts[1]! - counts[0]!];
      if (came !== counted) return fail(`${counted} were counted where the stream had ${came}`);
      const stray = feed.parsed.events.find(
        ({ type, lastEventId }) => type !== "message" || lastEventId !== "",
      );
      if (stray) return fail(`an event of type ${show(stray.type)}, expected unnamed ones without an id`);
      const { target } = context;
      const ask = () => context.askRoute(`/api/metrics?${target.companyParam}=${target.company}`);
      // At most a second old: the last one may be missing. And of two moments, where others come.
      const isSame = ({ json }: Awaited<ReturnType<typeof ask>>) => {
        const fed = ((json ?? {}) as Feed).AUDIT_TXN;
        const known = [first!, last].map(({ mark }, at) => [countUpTo(fed, mark), counts[at]] as const);
        const found = known.filter(([count]) => count !== undefined);
        return found.length > 0 && found.every(([count, expected]) => count === expected);
      };
      const polled = await poll(ask, isSame, 2_000);
      return isSame(polled)
        ? pass(`${counts[0]}, then ${counts[1]}`)
        : fail(`/api/metrics answered ${polled.status} ${show(polled.text)}, expected ${counts[1]}`);
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
